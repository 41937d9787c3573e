//! GitLab's refusals in their own forms, and parameters that are checked before anything else.
//! Failures on demand live in `faults`.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

/// A refusal.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    body: Value,
}

impl Problem {
    /// `{"message": "..."}`.
    pub(super) fn message(status: StatusCode, message: &str) -> Self {
        Self { status, body: json!({ "message": message }) }
    }

    /// `{"error": "..."}`.
    pub(super) fn error(status: StatusCode, error: &str) -> Self {
        Self { status, body: json!({ "error": error }) }
    }

    /// `{"error": "...", "error_description": "..."}`.
    pub(super) fn described(status: StatusCode, error: &str, description: &str) -> Self {
        Self { status, body: json!({ "error": error, "error_description": description }) }
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::message(StatusCode::NOT_FOUND, &format!("404 {what} Not Found"))
    }

    pub(super) fn bad_request(error: &str) -> Self {
        Self::error(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn insufficient_scope(needed: &str) -> Self {
        let body = json!({
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the access token.",
            "scope": needed,
        });
        Self { status: StatusCode::FORBIDDEN, body }
    }

    /// The limit of an endpoint: nothing but this body.
    pub(super) fn endpoint_limit() -> Self {
        let words = "This endpoint has been requested too many times. Try again later.";
        Self { status: StatusCode::TOO_MANY_REQUESTS, body: json!({ "message": { "error": words } }) }
    }

    pub(super) fn internal() -> Self {
        Self::message(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self.body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED && self.body["error"] == "invalid_token" {
            let challenge = HeaderValue::from_static("Bearer realm=\"The API\", error=\"invalid_token\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// How a caller stands towards the limit of all requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) limit: u64,
    pub(super) observed: u64,
    /// When the minute ends, in Unix seconds.
    pub(super) reset: i64,
}

/// The headers that every answer of the API has.
pub(super) fn write_limit(headers: &mut HeaderMap, limit: Limit) {
    headers.insert("ratelimit-name", HeaderValue::from_static("throttle_authenticated_api"));
    let remaining = limit.limit.saturating_sub(limit.observed);
    for (name, number) in [
        ("ratelimit-limit", limit.limit),
        ("ratelimit-observed", limit.observed),
        ("ratelimit-remaining", remaining),
    ] {
        headers.insert(name, HeaderValue::from(number));
    }
    headers.insert("ratelimit-reset", HeaderValue::from(limit.reset));
}

/// 429 of the limit of all requests: not JSON.
pub(super) fn throttled(limit: Limit, now: i64) -> Response {
    let wait = u64::try_from(limit.reset - now).unwrap_or_default().max(1);
    let mut response = (StatusCode::TOO_MANY_REQUESTS, "Retry later\n").into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(RETRY_AFTER, HeaderValue::from(wait));
    write_limit(headers, limit);
    if let Ok(date) = HeaderValue::from_str(&http_date(limit.reset)) {
        headers.insert("ratelimit-resettime", date);
    }
    response
}

/// A moment as HTTP writes it.
pub(super) fn http_date(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + since)
}

/// A request's parameters. Unknown ones are dropped, as GitLab drops them.
#[derive(Clone, Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// Parameters of a form or of JSON go before those of the query.
    pub(super) fn of_request(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Self {
        let Self(mut all) = Self::of_query(query);
        let content = headers.get(CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
        if content.starts_with("application/json") {
            all.extend(serde_json::from_slice::<BTreeMap<String, String>>(body).unwrap_or_default());
        } else {
            all.extend(form_urlencoded::parse(body).into_owned());
        }
        Self(all)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.text(name) {
            None | Some("") => Ok(None),
            Some("true" | "1" | "t" | "on") => Ok(Some(true)),
            Some("false" | "0" | "f" | "off") => Ok(Some(false)),
            Some(_) => Err(Problem::bad_request(&format!("{name} is invalid"))),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let invalid = |_| Problem::bad_request(&format!("{name} is invalid"));
        self.text(name).filter(|text| !text.is_empty()).map(|text| text.parse().map_err(invalid)).transpose()
    }

    /// A number that is not zero.
    pub(super) fn positive(&self, name: &str) -> Result<Option<u64>, Problem> {
        match self.number(name)? {
            Some(0) => Err(Problem::bad_request(&format!("{name} has a value not allowed"))),
            number => Ok(number),
        }
    }

    /// One of these words, the first if the parameter is left out.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Problem> {
        let wanted = match self.text(name) {
            None => words.first(),
            Some(text) => words.iter().find(|word| **word == text),
        };
        wanted.copied().ok_or_else(|| Problem::bad_request(&format!("{name} does not have a valid value")))
    }

    /// The query of another page of the same listing, in the order of the names.
    pub(super) fn query_with(&self, changes: &[(&str, &str)]) -> String {
        let mut all: BTreeMap<&str, &str> =
            self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(changes.iter().copied());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish()
    }
}
