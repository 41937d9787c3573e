//! `POST /webhooks/github`: the signature over the bytes as they came, then what they tell, applied once.
//! What a delivery does to the mapping is `shared::github_app::mapping`'s business.

use std::sync::Arc;

use shared::contract::{Family, Request, Response, webhook};
use shared::failure::Failure;
use shared::github_app::mapping::{Dealt, deal_with};
use shared::github_app::webhook::{SignatureProblem, parse, verify};
use shared::metrics::Metric;
use shared::record::{Delivery, Record};
use shared::runtime::respond;
use shared::service::Service;

/// Answers one request.
pub async fn handle(service: Arc<Service>, request: Request) -> Response {
    respond(&service, Family::Webhook, request, answer).await
}

async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Failure> {
    let (headers, body) = (request.headers(), request.body().as_ref());
    let mut app = service.github_app.credentials().await?;
    let mut verdict = verify(app.webhook_secrets(), headers, body);
    if verdict == Err(SignatureProblem::Wrong) {
        // The secret may have been changed a moment ago.
        app = service.github_app.refreshed_credentials().await?;
        verdict = verify(app.webhook_secrets(), headers, body);
    }
    if let Err(problem) = verdict {
        service.metrics.count(Metric::WebhookRefused, 1);
        Record::of(request).problem(&problem);
        return Ok(webhook::unsigned(problem));
    }
    let delivery = match parse(headers, body, app.app_id) {
        Ok(delivery) => delivery,
        Err(problem) => {
            Record::of(request).problem(&problem);
            return Ok(webhook::unreadable(&problem));
        }
    };
    let (guid, event) = (delivery.guid.clone(), delivery.event.clone());
    let dealt = deal_with(service, delivery, &service.budget(request)).await?;
    if let Some(metric) = metric(dealt) {
        service.metrics.count(metric, 1);
    }
    let answer = webhook::dealt(&guid, dealt);
    Record::of(request).dealt_with(Delivery { guid, event, outcome: format!("{dealt:?}") });
    Ok(answer)
}

const fn metric(dealt: Dealt) -> Option<Metric> {
    match dealt {
        Dealt::Ping => None,
        Dealt::Applied => Some(Metric::WebhookApplied),
        Dealt::Unchanged => Some(Metric::WebhookUnchanged),
        Dealt::Repeated => Some(Metric::WebhookRepeated),
        Dealt::OtherApp => Some(Metric::WebhookOtherApp),
        Dealt::Unknown => Some(Metric::WebhookUnknown),
    }
}
