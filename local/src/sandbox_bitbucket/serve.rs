//! The way of every request: recorded, faulty on demand, answered with the sandbox's time.
//! What the endpoints answer lives in `rest`, `oauth` and `authorize_page`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::answers::{Refusal, json_response};
use super::asking::authorization_kind;
use super::faults::{self, Call, FaultKind};
use super::tokens::Scope;
use super::{API_BASE, Bitbucket, REMEMBERED_CALLS, authorize_page, html, lock, oauth, rest};

/// All routes.
pub(super) fn router(bitbucket: Arc<Bitbucket>) -> Router {
    let api = Router::new()
        .route("/user", get(rest::user))
        .route("/user/workspaces", get(rest::user_workspaces))
        .route("/workspaces/{workspace}", get(rest::workspace))
        .route("/repositories/{workspace}", get(rest::repositories))
        .route("/workspaces", any(rest::removed))
        .route("/repositories", any(rest::removed))
        .route("/user/permissions/workspaces", any(rest::removed))
        .route("/user/permissions/repositories", any(rest::removed))
        .fallback(rest::nothing_here);
    Router::new()
        .nest(API_BASE, api)
        .route(authorize_page::AUTHORIZE_PATH, get(authorize_page::show).post(authorize_page::choose))
        .route(oauth::TOKEN_PATH, post(oauth::access_token))
        .fallback(async || {
            html::refusal(StatusCode::NOT_FOUND, "This page does not exist in the sandbox Bitbucket.")
        })
        .layer(from_fn_with_state(Arc::clone(&bitbucket), observe))
        .with_state(bitbucket)
}

/// Writes a call down when its answer leaves, or when the caller does.
struct Recording<'a> {
    bitbucket: &'a Bitbucket,
    call: Option<Call>,
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.bitbucket.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut calls = lock(&self.bitbucket.calls);
        if calls.len() >= REMEMBERED_CALLS {
            calls.pop_front();
        }
        calls.extend(self.call.take());
    }
}

async fn observe(Shared(bitbucket): Shared<Arc<Bitbucket>>, request: Request, next: Next) -> Response {
    let full_path = request.uri().path();
    let below = full_path.strip_prefix(API_BASE).filter(|rest| rest.starts_with('/'));
    let for_programs = below.is_some() || full_path == oauth::TOKEN_PATH;
    let address = format!("{}{}", bitbucket.web_url, request.uri());
    let call = Call {
        method: request.method().clone(),
        path: below.unwrap_or(full_path).to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        authorization: authorization_kind(request.headers()),
        at: bitbucket.clock.unix_millis(),
        in_flight: bitbucket.in_flight.fetch_add(1, Ordering::SeqCst) + 1,
    };
    let fault = faults::take(&mut lock(&bitbucket.faults), &call.path, &call.query);
    let mut recording = Recording { bitbucket: &bitbucket, call: Some(call) };

    if for_programs {
        tokio::time::sleep(bitbucket.latency).await;
    }
    if let Some(FaultKind::Stall(silence)) = &fault {
        tokio::time::sleep(*silence).await;
    }
    let mut response = match fault.as_ref().and_then(instead) {
        Some(response) => response,
        None => next.run(request).await,
    };
    match fault {
        Some(FaultKind::TruncatedJson) => response = halve(response).await,
        Some(FaultKind::Next(next)) => response = lead(response, &next).await,
        Some(FaultKind::NextLoop) => response = lead(response, &address).await,
        _ => {}
    }
    // The sandbox's own time, so that a client can measure its skew.
    let seconds = u64::try_from(bitbucket.clock.unix()).unwrap_or_default();
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(DATE, date);
    }
    if let Some(call) = &mut recording.call {
        call.status = Some(response.status());
    }
    response
}

/// The answer of a fault that has one of its own.
fn instead(fault: &FaultKind) -> Option<Response> {
    Some(match fault {
        FaultKind::Unauthorized => Refusal::Unauthorized.into_response(),
        FaultKind::MissingScope => {
            let granted = vec![Scope::User];
            Refusal::MissingScope { required: Scope::Repository, granted }.into_response()
        }
        FaultKind::NotFound => Refusal::NotFound("Repository dev/null".to_owned()).into_response(),
        FaultKind::Gone => Refusal::Gone.into_response(),
        FaultKind::InvalidPagelen => Refusal::Invalid("Invalid pagelen").into_response(),
        FaultKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS.into_response(),
        FaultKind::Html(status) => {
            let content = [(CONTENT_TYPE, "text/html; charset=utf-8")];
            (*status, content, "<!DOCTYPE html><title>Bitbucket is not available</title>").into_response()
        }
        FaultKind::Answer { status, body } => {
            (*status, [(CONTENT_TYPE, "application/json; charset=utf-8")], body.clone()).into_response()
        }
        FaultKind::Whole { status, headers, body } => {
            (*status, headers.clone(), body.clone()).into_response()
        }
        FaultKind::TruncatedJson | FaultKind::Stall(_) | FaultKind::Next(_) | FaultKind::NextLoop => {
            return None;
        }
    })
}

/// Half of an answer's body, as if the server had been stopped while it wrote.
async fn halve(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    // The body is in memory already: collecting it cannot fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}

/// A page that leads to this address next.
async fn lead(response: Response, next: &str) -> Response {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut page: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    page["next"] = json!(next);
    json_response(parts.status, &page)
}
