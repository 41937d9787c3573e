//! What goes over the wire, one module per API family, and nothing but types and rendering.
//! Who asks and what the answer is made of is decided elsewhere.

pub mod auth;
pub(crate) mod content_coding;
pub mod date;
pub mod github;
pub mod health;
pub mod neptun;
pub mod openhands;
mod problem;
pub mod published;
pub mod query;
#[cfg(feature = "openapi")]
pub mod schemas;
#[cfg(test)]
mod testing;
pub mod webhook;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lambda_http::Body;
use serde::Serialize;

use crate::failure::Failure;

/// What API Gateway hands to a handler.
pub type Request = lambda_http::Request;

/// What a handler hands back to API Gateway.
pub type Response = lambda_http::Response<Body>;

/// The request headers that decide who asks, as `Vary` names them (RFC 9110, 12.5.5; DESIGN 3).
pub const VARY_BY_CALLER: HeaderValue = HeaderValue::from_static("Cookie, Authorization, X-Session-API-Key");

/// Seconds after which it makes sense to ask again when our own store did not do its part.
pub const RETRY_UNAVAILABLE_SECONDS: u64 = 5;

/// How many items a list has that may have been cut.
const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");
/// Names what is missing from a list.
pub(crate) const PARTIAL_RESULT: HeaderName = HeaderName::from_static("x-partial-result");
/// Says that a list was cut.
const TRUNCATED: HeaderName = HeaderName::from_static("x-truncated");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const JSON_UTF8: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// An API family: all of its answers, failures too, have one form (DESIGN 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `/api/user/*`, `/api/keys` and the other routes of OpenHands 0.53.0.
    OpenHands,
    /// `/user/installations`, `/users/{username}/installation`: GitHub's REST API.
    Github,
    /// `/api/users/{user_id}/*`: Neptun's web UI.
    Neptun,
    /// `/auth/*`: pages that a person reads in a browser.
    Auth,
    /// `/webhooks/github`: GitHub, and the operator who reads its delivery log.
    Webhook,
}

impl Family {
    /// The answer of this family to a failure.
    #[must_use]
    pub fn failure(self, failure: &Failure) -> Response {
        match self {
            Self::OpenHands => openhands::answers::failure(failure),
            Self::Github => github::errors::failure(failure),
            Self::Neptun => neptun::failure(failure),
            Self::Auth => auth::page::failure(failure),
            Self::Webhook => webhook::failure(failure),
        }
    }

    /// A JSON answer with this family's content type: GitHub writes a charset, the others do not.
    #[must_use]
    pub fn json(self, status: StatusCode, body: &impl Serialize) -> Response {
        match serde_json::to_string(body) {
            Ok(text) => answer(status, self.json_type(), Body::Text(text)),
            // Only a map with keys that are not text gets here, and no wire type of ours has one.
            Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    const fn json_type(self) -> HeaderValue {
        match self {
            Self::Github => JSON_UTF8,
            Self::OpenHands | Self::Neptun | Self::Auth | Self::Webhook => JSON,
        }
    }
}

/// The stable snake_case word for a failure, as the families that have one show it.
#[must_use]
pub fn code(failure: &Failure) -> &'static str {
    problem::Problem::of(failure).code
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    protect(response.headers_mut());
    response
}

/// An answer with exactly these bytes; text stays text, so that API Gateway need not carry base64.
#[must_use]
pub fn bytes(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Response {
    let body = String::from_utf8(body).map_or_else(|error| Body::Binary(error.into_bytes()), Body::Text);
    answer(status, content_type, body)
}

/// Sets what every answer carries that depends on who asks: nothing may keep it (RFC 9111, 5.2.2.5), and no
/// browser may guess its type.
pub fn protect(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, VARY_BY_CALLER);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

fn answer(status: StatusCode, content_type: HeaderValue, body: Body) -> Response {
    let mut response = empty(status);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    *response.body_mut() = body;
    response
}

fn with_retry_after(mut response: Response, seconds: Option<u64>) -> Response {
    if let Some(seconds) = seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds a header whose value is known to be visible ASCII; any other value is left out rather than sent broken.
fn with_header(mut response: Response, name: HeaderName, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests;
