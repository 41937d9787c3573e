//! The way of every request: recorded, faulty on demand, answered with the date of the sandbox's clock.
//! What the endpoints answer lives in `documents`, `auth_page`, `token`, `logout`, `broker` and `console`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE};

use super::auth_page::redirect;
use super::faults::{self, Call, FaultKind};
use super::state::lock;
use super::{
    OIDC, Openid, REALM, REMEMBERED_CALLS, answers, auth_page, broker, console, documents, logout, token,
};
use crate::sandbox_github::connection::Allowance;

/// All routes.
pub(super) fn router(openid: Arc<Openid>) -> Router {
    let oidc = |path: &str| format!("{REALM}{OIDC}{path}");
    Router::new()
        .route(&format!("{REALM}/.well-known/openid-configuration"), get(documents::discovery))
        .route(&oidc("/certs"), get(documents::certs))
        .route(&oidc("/userinfo"), get(documents::userinfo).post(documents::userinfo))
        .route(&oidc("/auth"), get(auth_page::show).post(auth_page::choose))
        .route(&oidc("/token"), post(token::token))
        .route(&oidc("/revoke"), post(token::revoke))
        .route(&oidc("/logout"), get(logout::get).post(logout::post))
        .route(&format!("{REALM}/broker/{{alias}}/token"), get(broker::token))
        .merge(console::router())
        .fallback(nothing_here)
        .layer(from_fn_with_state(Arc::clone(&openid), observe))
        .with_state(openid)
}

async fn nothing_here() -> Response {
    answers::error_page(StatusCode::NOT_FOUND, "Page not found")
}

/// Counts a call as under way, also when its caller goes away.
struct InFlight<'a>(&'a Openid);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Pages are for people, who are not made to wait.
fn is_for_people(path: &str) -> bool {
    path == "/" || path.starts_with("/sandbox/") || path.ends_with("/auth") || path.ends_with("/logout")
}

async fn observe(
    State(openid): State<Arc<Openid>>,
    ConnectInfo(allowance): ConnectInfo<Allowance>,
    request: Request,
    next: Next,
) -> Response {
    let in_flight = openid.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    let _under_way = InFlight(&openid);
    let path = request.uri().path().strip_prefix(REALM).unwrap_or(request.uri().path()).to_owned();
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let fault = faults::take(&mut lock(&openid.faults), &method, &path);

    if !is_for_people(&path) {
        tokio::time::sleep(openid.latency).await;
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
        Some(FaultKind::Drop) => allowance.limit(0),
        _ => {}
    }
    if let Ok(date) = answers::http_date(openid.clock.unix()).parse() {
        response.headers_mut().insert(DATE, date);
    }
    openid.store.save().await;
    let mut calls = lock(&openid.calls);
    if calls.len() >= REMEMBERED_CALLS {
        calls.pop_front();
    }
    calls.push_back(Call { method, path, query, status: response.status(), in_flight });
    response
}

/// Bare HTML, for what a proxy in front of the provider would say.
fn plain(status: StatusCode) -> Response {
    let body = format!("<!DOCTYPE html><html><head><title>{status}</title></head><body></body></html>");
    (status, [(CONTENT_TYPE, "text/html; charset=utf-8")], body).into_response()
}

/// The answer of a fault that has one of its own.
fn instead(fault: &FaultKind) -> Option<Response> {
    Some(match fault {
        FaultKind::Answer { status, headers, body } => {
            (*status, headers.clone(), body.clone()).into_response()
        }
        FaultKind::Status(status) => plain(*status),
        FaultKind::Redirect(location) => redirect(location),
        FaultKind::Html => plain(StatusCode::OK),
        FaultKind::TruncatedJson | FaultKind::Stall(_) | FaultKind::Drop => return None,
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
