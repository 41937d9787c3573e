//! The App's endpoints (JWT) around its webhooks and for changing its installations.
//! The log that they show lives in `deliveries`; endpoints that only read installations live in `app_rest`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::Github;
use super::answers::Answer;
use super::asking::Ask;
use super::deliveries::Delivery;
use super::json::{Json, object};
use super::rest::find;
use super::serve::VERSIONS;
use super::state::lock;
use super::world::World;

const LIST: &str = "/apps/webhooks#list-deliveries-for-an-app-webhook";
const ONE: &str = "/apps/webhooks#get-a-delivery-for-an-app-webhook";
const AGAIN: &str = "/apps/webhooks#redeliver-a-delivery-for-an-app-webhook";
const UNINSTALL: &str = "/apps/apps#delete-an-installation-for-the-authenticated-app";
const SUSPEND: &str = "/apps/apps#suspend-an-app-installation";

const DEFAULT_PAGE_SIZE: usize = 30;
const LARGEST_PAGE: usize = 100;
/// A redelivery can be asked for so long (reference/github.md 2.2).
const REDELIVERED_FOR: Duration = Duration::days(3);

type Answered = Result<Answer, Answer>;

/// `GET /app/hook/config`
pub(super) async fn config(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    ask.app()?;
    let url = lock(&github.hookshot.url).clone();
    let body = object! { "content_type": "json", "insecure_ssl": "0", "secret": "********" };
    Ok(Answer::ok(body.with(url.map(|url| ("url", Json::Text(url))))))
}

/// What `status` leaves over: GitHub goes by the number alone.
fn wanted(status: Option<&str>) -> Result<std::ops::RangeInclusive<u16>, Answer> {
    match status {
        None => Ok(0..=u16::MAX),
        Some("success") => Ok(200..=399),
        Some("failure") => Ok(400..=599),
        Some(_) => Err(Answer::unprocessable(
            "Invalid request.\n\nstatus must be one of \"success\" or \"failure\".",
            LIST,
        )),
    }
}

/// `GET /app/hook/deliveries`: newest first. A cursor names the last delivery of the page before, so that new
/// deliveries move no page. GitHub's `prev` is left out: nobody needs to go back.
pub(super) async fn deliveries(State(github): State<Arc<Github>>, ask: Ask) -> Answered {
    ask.app()?;
    let wanted = wanted(ask.parameter("status"))?;
    let below = match ask.parameter("cursor") {
        None => u64::MAX,
        Some(cursor) => {
            let id = cursor.strip_prefix("v1_").and_then(|id| id.parse().ok());
            id.ok_or_else(|| Answer::error(StatusCode::BAD_REQUEST, "Invalid cursor", LIST))?
        }
    };
    let size = ask.parameter("per_page").and_then(|size| size.parse().ok()).filter(|size| *size > 0);
    let size = size.unwrap_or(DEFAULT_PAGE_SIZE).min(LARGEST_PAGE);
    let state = github.store.lock();
    let mut found: Vec<&Delivery> = state
        .deliveries()
        .entries()
        .rev()
        .filter(|one| one.id < below && wanted.contains(&one.status_code()))
        .take(size + 1)
        .collect();
    let more = found.len() > size;
    found.truncate(size);
    let link = found.last().filter(|_| more).map(|last| {
        let address = ask.address_with("cursor", &format!("v1_{}", last.id));
        format!("<{address}>; rel=\"next\"")
    });
    let answer = Answer::ok(Json::List(found.into_iter().map(item).collect()));
    Ok(match link {
        Some(link) => answer.with_header("link", &link),
        None => answer,
    })
}

/// A delivery as the list has it.
pub(super) fn item(delivery: &Delivery) -> Json {
    object! {
        "id": delivery.id,
        "guid": &delivery.guid,
        "delivered_at": &delivery.delivered_at,
        "redelivery": delivery.redelivery,
        "duration": delivery.outcome.duration,
        "status": delivery.status(),
        "status_code": u64::from(delivery.status_code()),
        "event": &delivery.event,
        "action": delivery.action.as_ref(),
        "installation_id": delivery.installation_id,
        "repository_id": Json::Null,
        "throttled_at": Json::Null,
    }
}

/// `GET /app/hook/deliveries/{id}`
pub(super) async fn delivery(
    State(github): State<Arc<Github>>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answered {
    ask.app()?;
    let state = github.store.lock();
    let deliveries = state.deliveries();
    let found =
        id.parse().ok().and_then(|id| deliveries.entry(id)).ok_or_else(|| Answer::not_found_at(ONE))?;
    let payload = deliveries.body(&found.guid).and_then(|body| RawValue::from_string(body.to_owned()).ok());
    let headers = |headers: &[(String, String)]| {
        Json::Names(headers.iter().cloned().collect::<BTreeMap<String, String>>())
    };
    let outcome = &found.outcome;
    let answered = !outcome.response_headers.is_empty();
    let url = lock(&github.hookshot.url).clone().unwrap_or_default();
    Ok(Answer::ok(item(found).with([
        ("url", Json::Text(url)),
        ("request", object! { "headers": headers(&outcome.request_headers), "payload": payload }),
        (
            "response",
            object! {
                "headers": answered.then(|| headers(&outcome.response_headers)),
                "payload": answered.then(|| Json::from(&outcome.response_body)),
            },
        ),
    ])))
}

/// `POST /app/hook/deliveries/{id}/attempts`: the same bytes with the same GUID, once more.
pub(super) async fn attempt(State(github): State<Arc<Github>>, Path(id): Path<String>, ask: Ask) -> Answered {
    ask.app()?;
    redeliver(&github, &id)?;
    Ok(Answer::new(StatusCode::ACCEPTED, object! {}))
}

/// Queues a redelivery, if GitHub still would.
pub(super) fn redeliver(github: &Github, id: &str) -> Result<(), Answer> {
    let mut state = github.store.lock();
    let found = id.parse().ok().and_then(|id| state.deliveries().entry(id));
    let found = found.ok_or_else(|| Answer::not_found_at(AGAIN))?;
    let delivered_at = OffsetDateTime::parse(&found.delivered_at, &Rfc3339).ok();
    if delivered_at.is_none_or(|at| github.clock.now() - at > REDELIVERED_FOR) {
        return Err(Answer::unprocessable("Deliveries older than 3 days cannot be redelivered.", AGAIN));
    }
    let guid = found.guid.clone();
    if !state.change_deliveries().redeliver(&guid) {
        return Err(Answer::not_found_at(AGAIN));
    }
    drop(state);
    github.hookshot.wake();
    Ok(())
}

/// `DELETE /app/installations/{id}`: 204; from API version 2026-03-10 on 202, though here it is done at once.
pub(super) async fn uninstall(
    State(github): State<Arc<Github>>,
    Path(id): Path<String>,
    ask: Ask,
    headers: HeaderMap,
) -> Answered {
    ask.app()?;
    let newest = headers.get("x-github-api-version").is_some_and(|version| version == VERSIONS[1]);
    on(&github, &id, UNINSTALL, World::uninstall)?;
    Ok(if newest { Answer::new(StatusCode::ACCEPTED, object! {}) } else { Answer::no_content() })
}

/// `PUT /app/installations/{id}/suspended`: in the name of the account's owner, who is the webhook's sender too.
pub(super) async fn suspend(State(github): State<Arc<Github>>, Path(id): Path<String>, ask: Ask) -> Answered {
    ask.app()?;
    on(&github, &id, SUSPEND, World::suspend_by_owner)?;
    Ok(Answer::no_content())
}

/// `DELETE /app/installations/{id}/suspended`
pub(super) async fn unsuspend(
    State(github): State<Arc<Github>>,
    Path(id): Path<String>,
    ask: Ask,
) -> Answered {
    ask.app()?;
    on(&github, &id, SUSPEND, World::unsuspend)?;
    Ok(Answer::no_content())
}

fn on(
    github: &Github,
    id: &str,
    page: &str,
    change: impl FnOnce(&mut World, super::InstallationId),
) -> Result<(), Answer> {
    github.change(|world| {
        let id = find(world, id).ok_or_else(|| Answer::not_found_at(page))?.id;
        change(world, id);
        Ok(())
    })
}
