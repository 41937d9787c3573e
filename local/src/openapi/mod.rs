//! The API's own document (OpenAPI 3.1): the routes of `template.yaml`, each with what it takes and answers, over the
//! schemas that are derived from the wire types. The function `web` serves what tests have written from this.

mod auth;
mod components;
mod failures;
mod github;
mod mapping;
mod openhands;
mod operation;
mod web;
mod webhook;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::template::Template;
use operation::Operation;

/// Answers that were given, by the route's key and the status: `GET /api/keys 200`. Each has a name.
pub type Examples = BTreeMap<String, Vec<(String, Value)>>;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// A route of the template that nobody has described.
    #[error("the route {0} has no operation in local/src/openapi")]
    Undescribed(String),
    /// An operation whose route is gone.
    #[error("the template has no route {0}, which local/src/openapi describes")]
    NoRoute(String),
    /// An example of an answer that the document does not have.
    #[error("there is an example of {0}, which is no answer of any operation")]
    NoAnswer(String),
}

/// Every operation by its route's key.
fn operations() -> BTreeMap<&'static str, Operation> {
    let families = [
        openhands::operations(),
        github::operations(),
        mapping::operations(),
        auth::operations(),
        webhook::operations(),
        web::operations(),
    ];
    families.into_iter().flatten().collect()
}

/// The document for the routes of this template, with these examples of answers.
///
/// # Errors
/// [`DocumentError`], where routes, operations and examples do not fit each other.
pub fn document(template: &Template, mut examples: Examples) -> Result<Value, DocumentError> {
    let mut operations = operations();
    let mut paths = Map::new();
    for route in &template.routes {
        let key = route.key();
        let operation =
            operations.remove(key.as_str()).ok_or_else(|| DocumentError::Undescribed(key.clone()))?;
        let path = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        path[route.method.to_ascii_lowercase()] = operation.render(&key, &mut examples);
    }
    if let Some(route) = operations.into_keys().next() {
        return Err(DocumentError::NoRoute(route.to_owned()));
    }
    if let Some(answer) = examples.into_keys().next() {
        return Err(DocumentError::NoAnswer(answer));
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "git-installations",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Which installations and repositories a user reaches, over GitHub, GitLab, Bitbucket and enterprise SSO",
            "description": INTRODUCTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        // Relative: it is right wherever the service is deployed.
        "servers": [{ "url": "/", "description": "Where this document comes from" }],
        "tags": TAGS.map(|(name, description)| json!({ "name": name, "description": description })),
        "paths": paths,
        "components": components::all(),
    }))
}

const INTRODUCTION: &str = "\
Answers, for a signed-in user, which installations they have (GitHub App installations, GitLab groups, Bitbucket \
workspaces) and which repositories they reach through them.

**Who asks** proves it with an API key (`X-Session-API-Key` or `Authorization: Bearer gik_...`), made with \
`POST /api/keys`, or with the cookie of a session, begun in a browser at `/auth/{provider}/login`. With a cookie, POST \
and DELETE are answered to the service's own pages only. Checked first is who asks (401), then the parameters (422), \
then which hosts are linked (401).

**An error is never an empty list.** When one installation or host fails, the others are answered, and \
`X-Partial-Result` names what is missing; when nothing succeeds, the error is answered. 429 has `Retry-After`; 502 and \
504 are a host's failure, 503 (again with `Retry-After`) and 500 the service's own.

Answers that depend on who asks carry `Cache-Control: no-store`. Lists are compressed for who sends \
`Accept-Encoding: gzip`; whole JSON answers under `/api` have an `ETag`, and `If-None-Match` is answered with 304 while \
nothing has changed.

API Gateway, which is in front of every route, has answers of its own, `{\"message\"}`: 400 for a malformed request, 413, \
429 where there are too many requests, 431, 500 and 503.";

const TAGS: [(&str, &str); 7] = [
    (
        openhands::LISTS,
        "Installations and repositories over all hosts, as OpenHands' web client (0.53.0) reads them.",
    ),
    (openhands::CONNECTIONS, "A user's API keys, and the tokens that they bring (OpenHands)."),
    (github::TAG, "GitHub's own answers, byte by byte, for any GitHub client."),
    (mapping::TAG, "The mapping of users to GitHub App installations, as Neptun's web UI reads it."),
    (
        auth::TAG,
        "Sign-in, the App's setup URL, sessions. Pages are for people; programs read `X-Error-Code`.",
    ),
    (webhook::TAG, "What GitHub tells."),
    (web::TAG, "What is for everybody."),
];
