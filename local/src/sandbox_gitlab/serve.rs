//! The way of every request: recorded, faulty on demand, counted, answered with GitLab's headers.
//! What the endpoints answer lives in `rest`, `oauth` and `authorize_page`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_LENGTH, DATE, LINK};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answers::{self, Limit, Problem};
use super::faults::{self, Call, FaultKind};
use super::state::lock;
use super::{API, Gitlab, REMEMBERED_CALLS, asking, authorize_page, html, oauth, rest};

/// All routes, below the instance's own path.
pub(super) fn router(gitlab: Arc<Gitlab>) -> Router {
    let api = |path: &str| format!("{}{API}{path}", gitlab.prefix);
    let web = |path: &str| format!("{}{path}", gitlab.prefix);
    Router::new()
        .route(&api("/user"), get(rest::user))
        .route(&api("/groups"), get(rest::groups))
        .route(&api("/groups/{id}/projects"), get(rest::group_projects))
        .route(&api("/projects"), get(rest::projects))
        .route(&api("/users/{id}/projects"), get(rest::user_projects))
        .route(&web("/oauth/authorize"), get(authorize_page::show).post(authorize_page::choose))
        .route(&web("/oauth/token"), post(oauth::token))
        .route(&web("/oauth/revoke"), post(oauth::revoke))
        .fallback(nothing_here)
        .layer(from_fn_with_state(Arc::clone(&gitlab), observe))
        .with_state(gitlab)
}

async fn nothing_here(State(gitlab): State<Arc<Gitlab>>, OriginalUri(uri): OriginalUri) -> Response {
    if uri.path().starts_with(&format!("{}{API}/", gitlab.prefix)) {
        Problem::error(StatusCode::NOT_FOUND, "404 Not Found").into_response()
    } else {
        html::refusal(StatusCode::NOT_FOUND, "This page does not exist in the sandbox GitLab.")
    }
}

/// Counts a call as under way, also when its caller goes away.
struct InFlight<'a>(&'a Gitlab);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn observe(State(gitlab): State<Arc<Gitlab>>, request: Request, next: Next) -> Response {
    let in_flight = gitlab.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    let _under_way = InFlight(&gitlab);
    let below = request.uri().path().strip_prefix(&gitlab.prefix).unwrap_or(request.uri().path());
    let api_path = below.strip_prefix(API).filter(|rest| rest.starts_with('/'));
    let path = api_path.unwrap_or(below).to_owned();
    let (is_api, method) = (api_path.is_some(), request.method().clone());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let fault = faults::take(&mut lock(&gitlab.faults), &method, &path, &query);

    if is_api || path == "/oauth/token" || path == "/oauth/revoke" {
        tokio::time::sleep(gitlab.latency).await;
    }
    if let Some(FaultKind::Stall(silence)) = &fault {
        tokio::time::sleep(*silence).await;
    }
    let limit = if is_api { limit(&gitlab, request.headers()) } else { None };
    let now = gitlab.clock.unix();
    let instead = fault.as_ref().and_then(|fault| instead(&gitlab, fault));
    let mut response = match (instead, limit) {
        (Some(response), _) => response,
        (None, Some(limit)) if limit.observed > limit.limit => answers::throttled(limit, now),
        (None, _) => next.run(request).await,
    };
    match fault {
        Some(FaultKind::TruncatedJson) => response = halve(response).await,
        Some(FaultKind::Link(link)) => {
            response.headers_mut().remove("x-next-page");
            if let Ok(link) = HeaderValue::from_str(&link) {
                response.headers_mut().insert(LINK, link);
            }
        }
        Some(FaultKind::Unpaged) => unpage(response.headers_mut()),
        _ => {}
    }
    let headers = response.headers_mut();
    if let Some(limit) = limit.filter(|_| !headers.contains_key("ratelimit-limit")) {
        answers::write_limit(headers, limit);
    }
    let number = gitlab.answered.fetch_add(1, Ordering::Relaxed);
    for (name, value) in
        [("date", answers::http_date(now)), ("x-request-id", format!("01SANDBOX{number:017}"))]
    {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(if name == "date" { DATE.as_str() } else { name }, value);
        }
    }
    gitlab.store.save().await;
    let mut calls = lock(&gitlab.calls);
    if calls.len() >= REMEMBERED_CALLS {
        calls.pop_front();
    }
    calls.push_back(Call { method, path, query, status: response.status(), in_flight });
    response
}

/// Counts a call of a user for the minute that it is in.
fn limit(gitlab: &Gitlab, headers: &HeaderMap) -> Option<Limit> {
    let user = asking::identify(gitlab, headers)?;
    let minute = gitlab.clock.unix().div_euclid(60);
    let mut state = gitlab.store.lock();
    let (counted, observed) = state.requests.entry(user).or_insert((minute, 0));
    if *counted != minute {
        (*counted, *observed) = (minute, 0);
    }
    *observed += 1;
    Some(Limit { limit: gitlab.requests_per_minute, observed: *observed, reset: (minute + 1) * 60 })
}

fn unpage(headers: &mut HeaderMap) {
    let paging: Vec<_> = headers
        .keys()
        .filter(|name| {
            **name == LINK || name.as_str().ends_with("-page") || name.as_str().starts_with("x-total")
        })
        .cloned()
        .collect();
    for name in paging {
        headers.remove(name);
    }
}

/// The answer of a fault that has one of its own.
fn instead(gitlab: &Gitlab, fault: &FaultKind) -> Option<Response> {
    Some(match fault {
        FaultKind::Answer { status, headers, body } => {
            (*status, headers.clone(), body.clone()).into_response()
        }
        FaultKind::Throttled { retry_after } => {
            let now = gitlab.clock.unix();
            let reset = now.saturating_add(i64::try_from(*retry_after).unwrap_or(i64::MAX / 2));
            let limit = gitlab.requests_per_minute;
            answers::throttled(Limit { limit, observed: limit + 1, reset }, now)
        }
        FaultKind::EndpointLimit => Problem::endpoint_limit().into_response(),
        FaultKind::Status(status) => match status.as_u16() {
            401 => Problem::message(*status, "401 Unauthorized").into_response(),
            403 => Problem::insufficient_scope("api read_api").into_response(),
            500.. => html::plain(*status),
            code => {
                let reason = status.canonical_reason().unwrap_or("Error");
                Problem::message(*status, &format!("{code} {reason}")).into_response()
            }
        },
        FaultKind::Html => html::plain(StatusCode::OK),
        FaultKind::TruncatedJson | FaultKind::Stall(_) | FaultKind::Link(_) | FaultKind::Unpaged => {
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
