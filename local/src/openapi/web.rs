//! `/healthz`, this document and its viewer: what is for everybody.
//! Nothing here depends on who asks.

use serde_json::json;
use shared::contract::Family;
use shared::failure::Failure;

use super::failures::Named;
use super::operation::{Answer, Callers, HTML, Operation, if_none_match, in_path, reference};

pub(super) const TAG: &str = "Service";

const KEPT: [&str; 2] = ["ETag", "Cache-Control"];

pub(super) fn operations() -> Vec<(&'static str, Operation)> {
    vec![
        ("GET /healthz", health("get_health", true)),
        ("HEAD /healthz", health("head_health", false)),
        ("GET /openapi.json", document("get_document", true)),
        ("HEAD /openapi.json", document("head_document", false)),
        ("GET /docs", viewer("get_viewer", true)),
        ("HEAD /docs", viewer("head_viewer", false)),
        ("GET /docs/{file}", file("get_file_of_viewer", true)),
        ("HEAD /docs/{file}", file("head_file_of_viewer", false)),
    ]
}

fn failed() -> Vec<Named> {
    vec![("internal_error", Failure::Internal(String::new()))]
}

fn open(
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    answers: Vec<Answer>,
) -> Operation {
    Operation {
        id,
        tag: TAG,
        summary,
        description,
        callers: Callers::All,
        parameters: vec![],
        body: None,
        family: Family::OpenHands,
        answers,
        failures: failed(),
    }
}

fn health(id: &'static str, body: bool) -> Operation {
    let there = Answer::new(200, "The gateway reaches a function.");
    let there = if body { there.json(reference("Health")) } else { there };
    let description = "For a monitor. No other part of the service is asked.";
    open(id, "Whether the service is there", description, vec![there])
}

fn document(id: &'static str, body: bool) -> Operation {
    let it = Answer::new(200, "The document.").headers(&KEPT);
    let it = if body {
        it.json(json!({ "type": "object", "required": ["openapi", "info", "paths"] }))
    } else {
        it
    };
    let unchanged = Answer::new(304, "It is what the client knows already.").headers(&KEPT);
    let operation = open(id, "This document", "The API in OpenAPI 3.1.", vec![it, unchanged]);
    Operation { parameters: vec![if_none_match()], ..operation }
}

fn viewer(id: &'static str, body: bool) -> Operation {
    let it = Answer::new(200, "The page.").headers(&KEPT);
    let it = if body { it.body(HTML, json!({ "type": "string" })) } else { it };
    let unchanged = Answer::new(304, "It is what the client knows already.").headers(&KEPT);
    let operation = open(id, "This document, to be read", "A page with Swagger UI.", vec![it, unchanged]);
    Operation { parameters: vec![if_none_match()], ..operation }
}

fn file(id: &'static str, body: bool) -> Operation {
    let text = json!({ "type": "string" });
    let it = Answer::new(200, "The file.").headers(&KEPT);
    let it = if body {
        it.body("text/javascript", text.clone()).body("text/css", text).body("image/png", json!({}))
    } else {
        it
    };
    let unchanged = Answer::new(304, "It is what the client knows already.").headers(&KEPT);
    let operation =
        open(id, "A file of that page", "Named with its version, and kept for a year.", vec![it, unchanged]);
    let name = in_path("file", "Its name, as the page has it.", &json!({ "type": "string" }));
    let missing = [("not_found", Failure::NotFound("Page"))];
    Operation {
        parameters: vec![name, if_none_match()],
        failures: failed().into_iter().chain(missing).collect(),
        ..operation
    }
}
