//! `/webhooks/github`: GitHub's deliveries.
//! What a delivery does is told where it is dealt with.

use serde_json::json;
use shared::contract::Family;
use shared::provider::ProviderType;

use super::failures::{of_host, own};
use super::operation::{Answer, Callers, JSON, Operation, in_header, reference};

pub(super) const TAG: &str = "Webhook";

pub(super) fn operations() -> Vec<(&'static str, Operation)> {
    vec![("POST /webhooks/github", deliver())]
}

fn deliver() -> Operation {
    let header = |name: &str, description: &str| {
        let mut header = in_header(name, description, &json!({ "type": "string" }));
        header["required"] = json!(true);
        header
    };
    Operation {
        id: "deliver_webhook",
        tag: TAG,
        summary: "GitHub delivers an event",
        description: "The signature over the bytes as they came is checked first. Events of the App about installations \
                      are applied to the mapping once, in any order; others are answered 202 and change nothing. GitHub \
                      takes 4xx and 5xx for a failed delivery.",
        callers: Callers::Github,
        parameters: vec![
            header("X-GitHub-Event", "The event's name."),
            header("X-GitHub-Delivery", "The delivery's GUID."),
        ],
        body: Some(json!({
            "required": true,
            "description": "The event as GitHub documents it.",
            "content": { JSON: { "schema": { "type": "object" } } },
        })),
        family: Family::Webhook,
        answers: vec![
            Answer::new(200, "The delivery was dealt with.").json(reference("DeliveryDealtWith")),
            Answer::new(202, "The delivery changes nothing here.").json(reference("DeliveryDealtWith")),
            Answer::new(400, "A header is missing, or the body is not what GitHub documents.")
                .json(reference("DeliveryRefused")),
            Answer::new(401, "The signature is missing or wrong.").json(reference("DeliveryRefused")),
            Answer::new(415, "The webhook's content type is not JSON.").json(reference("DeliveryRefused")),
        ],
        failures: [own(), of_host(ProviderType::Github)].into_iter().flatten().collect(),
    }
}
