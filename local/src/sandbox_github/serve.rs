//! The way of every request: recorded, faulty on demand, identified, counted, answered with GitHub's headers.
//! What the endpoints answer lives in `rest`, `app_rest`, `oauth` and the pages.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER, USER_AGENT, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;

use super::answers::{self, Answer};
use super::asking::{self, Ask};
use super::connection::Allowance;
use super::faults::{self, Call, FaultKind};
use super::limits::{Bucket, Standing};
use super::state::lock;
use super::{
    API_BASE, Github, REMEMBERED_CALLS, app_rest, authorize_page, console, console_api, console_page,
    hook_rest, html, install_page, oauth, rest,
};

/// The versions of the API that GitHub serves, the default first (reference/github.md 1.5).
pub(super) const VERSIONS: [&str; 2] = ["2022-11-28", "2026-03-10"];
/// GitHub indents for these (reference/github.md 1.5).
const PEOPLE: [&str; 4] = ["curl", "Wget", "Safari", "Firefox"];
const NO_USER_AGENT: &str = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header (https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). Check https://developer.github.com for other possible causes.\n";

/// All routes.
pub(super) fn router(github: Arc<Github>) -> Router {
    let api = |path: &str| format!("{API_BASE}{path}");
    Router::new()
        .route(API_BASE, get(rest::root))
        .route(&api("/"), get(rest::root))
        .route(&api("/versions"), get(rest::versions))
        .route(&api("/user"), get(rest::user))
        .route(&api("/user/installations"), get(rest::installations))
        .route(&api("/user/installations/{id}/repositories"), get(rest::installation_repositories))
        .route(&api("/user/repos"), get(rest::repositories))
        .route(&api("/user/memberships/orgs/{organization}"), get(rest::membership))
        .route(&api("/users/{username}/installation"), get(app_rest::installation_of_user))
        .route(&api("/orgs/{organization}/installation"), get(app_rest::installation_of_organization))
        .route(&api("/app"), get(app_rest::app))
        .route(&api("/app/installations"), get(app_rest::installations))
        .route(&api("/app/installations/{id}"), get(app_rest::installation).delete(hook_rest::uninstall))
        .route(
            &api("/app/installations/{id}/suspended"),
            put(hook_rest::suspend).delete(hook_rest::unsuspend),
        )
        .route(&api("/app/hook/config"), get(hook_rest::config))
        .route(&api("/app/hook/deliveries"), get(hook_rest::deliveries))
        .route(&api("/app/hook/deliveries/{id}"), get(hook_rest::delivery))
        .route(&api("/app/hook/deliveries/{id}/attempts"), post(hook_rest::attempt))
        .route(&api("/app/installations/{id}/access_tokens"), post(app_rest::create_token))
        .route(&api("/installation/repositories"), get(app_rest::reached_repositories))
        .route(&api("/applications/{client_id}/token"), delete(app_rest::delete_token))
        .route(&api("/applications/{client_id}/grant"), delete(app_rest::delete_grant))
        .route("/login/oauth/authorize", get(authorize_page::show).post(authorize_page::choose))
        .route(oauth::TOKEN_PATH, post(oauth::access_token))
        .route("/apps/{slug}/installations/new", get(install_page::show).post(install_page::choose))
        .merge(console())
        .fallback(nothing_here)
        .method_not_allowed_fallback(nothing_here)
        .layer(from_fn_with_state(Arc::clone(&github), observe))
        .with_state(github)
}

/// What one can do in the sandbox: not GitHub's, and only for this machine.
fn console() -> Router<Arc<Github>> {
    Router::new()
        .route("/sandbox", get(console_page::show).post(console_page::act))
        .nest("/sandbox/api", console_api::router())
        .layer(from_fn(console::guard))
}

/// GitHub says 404 to unknown paths and to unknown methods alike.
async fn nothing_here(uri: Uri) -> Response {
    if is_api(uri.path()) {
        Answer::not_found().into_response()
    } else {
        html::refusal(StatusCode::NOT_FOUND, "This page does not exist in the sandbox GitHub.")
    }
}

fn is_api(path: &str) -> bool {
    path.strip_prefix(API_BASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Writes a call down when its answer leaves, or when the caller does.
struct Recording<'a> {
    github: &'a Github,
    call: Option<Call>,
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        self.github.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut calls = lock(&self.github.calls);
        if calls.len() >= REMEMBERED_CALLS {
            calls.pop_front();
        }
        calls.extend(self.call.take());
    }
}

async fn observe(
    State(github): State<Arc<Github>>,
    ConnectInfo(allowance): ConnectInfo<Allowance>,
    request: Request,
    next: Next,
) -> Response {
    let full_path = request.uri().path();
    let is_api = is_api(full_path);
    let path = if is_api { full_path[API_BASE.len()..].to_owned() } else { full_path.to_owned() };
    let call = Call {
        method: request.method().clone(),
        path,
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        authorization: asking::authorization_kind(request.headers()),
        conditional: request.headers().contains_key(IF_NONE_MATCH),
        at: github.clock.unix_millis(),
        in_flight: github.in_flight.fetch_add(1, Ordering::SeqCst) + 1,
    };
    let fault = faults::take(&mut lock(&github.faults), &call.method, &call.path, &call.query);
    let for_programs = is_api || call.path == oauth::TOKEN_PATH;
    let mut recording = Recording { github: &github, call: Some(call) };

    // Half of the way is there, half is back; what is worked on in between is not added to it.
    let latency = if for_programs { github.latency } else { Duration::ZERO };
    let came = Instant::now();
    tokio::time::sleep(latency / 2).await;
    if let Some(FaultKind::Stall(silence)) = &fault {
        tokio::time::sleep(*silence).await;
    }
    if is_api {
        github.before_answer();
    }
    let mut response = match fault.as_ref().and_then(|fault| instead(&github, fault)) {
        Some(response) => response,
        None if is_api => api(&github, request, next).await,
        None => next.run(request).await,
    };
    let mut status = Some(response.status());
    match fault {
        Some(FaultKind::CutOff { after }) => {
            allowance.limit(after);
            status = status.filter(|_| after > 0);
        }
        Some(FaultKind::TruncatedJson) => response = halve(response).await,
        Some(FaultKind::Link(link)) => answers::replace_link(response.headers_mut(), &link),
        _ => {}
    }
    write_common(&github, response.headers_mut());
    github.store.settle().await;
    tokio::time::sleep_until(came + latency).await;
    if let Some(call) = &mut recording.call {
        call.status = status;
    }
    response
}

/// What every answer has; the time is the clock's, so that a client can measure its own skew.
fn write_common(github: &Github, headers: &mut HeaderMap) {
    let number = github.answered.fetch_add(1, Ordering::Relaxed);
    let id = format!("5A4D:{:06X}:{:X}", number, github.clock.unix());
    let seconds = u64::try_from(github.clock.unix()).unwrap_or_default();
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    for (name, value) in [("x-github-request-id", id), (DATE.as_str(), date)] {
        if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name.as_bytes()), value.parse()) {
            headers.insert(name, value);
        }
    }
}

/// The REST API's own way: who asks, whether they may ask once more, and GitHub's headers.
async fn api(github: &Github, mut request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let method = request.method().clone();
    let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    if agent.is_empty() {
        let content = [(CONTENT_TYPE, "text/html; charset=utf-8")];
        return (StatusCode::FORBIDDEN, content, NO_USER_AGENT).into_response();
    }
    let caller = asking::identify(github, &headers);
    let bucket = caller.bucket(github);
    let refused = refusal(&headers);
    let exhausted = bucket.filter(|bucket| standing(github, *bucket, false).remaining() == 0);
    let (answer, counted) = if let Some(answer) = refused {
        (answer, false)
    } else if let Some(bucket) = exhausted {
        (Answer::rate_limited(bucket), false)
    } else {
        let ask = Ask::new(github, caller, request.uri(), &headers);
        request.extensions_mut().insert(ask);
        let answer = next.run(request).await.extensions_mut().remove::<Answer>();
        (answer.unwrap_or_else(Answer::not_found), true)
    };
    finish(github, &method, &headers, answer, bucket.map(|bucket| (bucket, counted)))
}

/// What is wrong with a request whoever sends it.
fn refusal(headers: &HeaderMap) -> Option<Answer> {
    let version = headers.get("x-github-api-version").map(|value| value.to_str().unwrap_or("?"));
    if let Some(version) = version.filter(|version| !VERSIONS.contains(version)) {
        let [older, newest] = VERSIONS;
        let message = format!(
            "The version you specified in the \"X-GitHub-API-Version\" request header, \"{version}\", is not a supported version. The following versions are currently supported: \"{newest}\" (most recent), \"{older}\"."
        );
        return Some(Answer::error(StatusCode::BAD_REQUEST, &message, ""));
    }
    let accept = headers.get(ACCEPT)?.to_str().unwrap_or_default();
    let accepted = accept.trim().is_empty()
        || accept.split(',').map(str::trim).any(|one| {
            one.contains("json")
                || one.starts_with("*/*")
                || one.starts_with("application/*")
                || one.starts_with("application/vnd.github")
        });
    (!accepted).then(|| {
        let message = format!("Unsupported 'Accept' header: '{accept}'. Must accept 'application/json'.");
        Answer::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message, "")
    })
}

fn standing(github: &Github, bucket: Bucket, count: bool) -> Standing {
    let now = github.clock.unix();
    let mut state = github.store.lock();
    let limit = state.world().hourly_limit;
    if count { state.count().count(bucket, limit, now) } else { state.limits().standing(bucket, limit, now) }
}

/// Bytes, ETag, 304 and headers; a 304 costs nothing (reference/github.md 1.6).
fn finish(
    github: &Github,
    method: &Method,
    request: &HeaderMap,
    answer: Answer,
    bucket: Option<(Bucket, bool)>,
) -> Response {
    let agent = request.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let mut bytes = answer.render(PEOPLE.iter().any(|name| agent.contains(name)));
    let mut status = answer.status;
    let has_body = answer.body.is_some();
    let mut headers = HeaderMap::from_iter(answer.headers);
    let vary = answers::vary(bucket.is_some());
    if status == StatusCode::OK && method == Method::GET {
        let etag = answers::etag(request, vary, &bytes);
        if answers::is_known(request, &etag) {
            status = StatusCode::NOT_MODIFIED;
            bytes.clear();
        }
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            headers.insert(ETAG, etag);
        }
        let scope = if bucket.is_some() {
            "private, max-age=60, s-maxage=60"
        } else {
            "public, max-age=60, s-maxage=60"
        };
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(scope));
    }
    if let Some((bucket, counted)) = bucket {
        let standing = standing(github, bucket, counted && status != StatusCode::NOT_MODIFIED);
        answers::write_standing(&mut headers, standing);
    }
    headers.insert(VARY, HeaderValue::from_static(vary));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if let Ok(media_type) = HeaderValue::from_str(&answers::media_type(request)) {
        headers.insert("x-github-media-type", media_type);
    }
    let version = request.get("x-github-api-version").and_then(|version| version.to_str().ok());
    let version = VERSIONS.into_iter().find(|known| Some(*known) == version).unwrap_or(VERSIONS[0]);
    headers.insert("x-github-api-version-selected", HeaderValue::from_static(version));
    if has_body && status != StatusCode::NOT_MODIFIED {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The answer of a fault that has one of its own.
fn instead(github: &Github, fault: &FaultKind) -> Option<Response> {
    let json = |status: StatusCode, message: &str, headers: HeaderMap| {
        let body = Answer::error(status, message, "").render(false);
        let content = [(CONTENT_TYPE, "application/json; charset=utf-8")];
        (status, headers, content, body).into_response()
    };
    let retry = |seconds: u64| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from(seconds))]);
    let response = match fault {
        FaultKind::Answer { status, headers, body } => {
            let mut answer = (*status, headers.clone(), body.clone()).into_response();
            // What GitHub says, right or wrong, it calls JSON.
            if !headers.contains_key(CONTENT_TYPE) && !body.is_empty() {
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                answer.headers_mut().insert(CONTENT_TYPE, json);
            }
            answer
        }
        FaultKind::PrimaryRateLimit { reset_in } => {
            let limit = github.store.lock().world().hourly_limit;
            let reset = github.clock.unix() + i64::try_from(*reset_in).unwrap_or(i64::MAX / 2);
            let mut headers = HeaderMap::new();
            answers::write_standing(&mut headers, Standing { limit, used: limit, reset });
            json(StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1.", headers)
        }
        FaultKind::SecondaryRateLimit { retry_after } => json(
            StatusCode::FORBIDDEN,
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
            retry(*retry_after),
        ),
        FaultKind::TooManyRequests { retry_after } => {
            json(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests", retry(*retry_after))
        }
        FaultKind::Status(status) => match status.as_u16() {
            502..=504 => html::plain(*status, "<html><body><h1>Unicorn!</h1></body></html>"),
            403 => json(*status, "Resource not accessible by integration", HeaderMap::new()),
            500 => json(*status, "Server Error", HeaderMap::new()),
            _ => json(*status, status.canonical_reason().unwrap_or("Error"), HeaderMap::new()),
        },
        FaultKind::Html => html::plain(StatusCode::OK, "<!DOCTYPE html><title>Sign in</title>"),
        FaultKind::Redirect(location) => {
            let location = HeaderValue::from_str(location).ok()?;
            json(StatusCode::FOUND, "Moved Temporarily", HeaderMap::from_iter([(LOCATION, location)]))
        }
        FaultKind::Oversized { bytes } => {
            let mut body = vec![b'x'; (*bytes).max(2)];
            body[0] = b'"';
            if let Some(last) = body.last_mut() {
                *last = b'"';
            }
            let content = [(CONTENT_TYPE, "application/json; charset=utf-8")];
            (StatusCode::OK, content, body).into_response()
        }
        FaultKind::TruncatedJson | FaultKind::Stall(_) | FaultKind::CutOff { .. } | FaultKind::Link(_) => {
            return None;
        }
    };
    Some(response)
}

/// Half of an answer's body, as if the server had been stopped while it wrote.
async fn halve(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // The body is in memory already: collecting it cannot fail.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    Response::from_parts(parts, Body::from(bytes.slice(..bytes.len() / 2)))
}
