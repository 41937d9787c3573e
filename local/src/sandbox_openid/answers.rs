//! The provider's refusals in Keycloak's forms, its pages, and how parameters and clients are read.
//! Failures on demand live in `faults`.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::{Client, Openid};
use crate::sandbox_github::html::{escape, page_of};

/// A refusal of an endpoint for programs: `{"error": ..., "error_description": ...}`.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: &'static str, description: &str) -> Self {
        Self { status, error, description: description.to_owned() }
    }

    pub(super) fn invalid_request(description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn invalid_grant(description: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_grant", description)
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unknown_error",
            "For more on this error consult the server log.",
        )
    }

    fn client(error: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error, "Invalid client or Invalid client credentials")
    }

    /// What a bearer token is refused with.
    pub(super) fn invalid_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", "Token verification failed")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, error, description } = self;
        let body = axum::Json(json!({ "error": error, "error_description": description }));
        let mut response =
            (status, [(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], body).into_response();
        if error == "invalid_token" {
            let challenge =
                format!("Bearer realm=\"sandbox\", error=\"{error}\", error_description=\"{description}\"");
            if let Ok(challenge) = challenge.parse() {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
        }
        response
    }
}

/// A page for people.
pub(super) fn page(title: &str, body: &str, destinations: &[String]) -> Response {
    page_of("OpenID provider", StatusCode::OK, title, body, destinations)
}

/// A page that says what is wrong; it leads nowhere.
pub(super) fn error_page(status: StatusCode, message: &str) -> Response {
    page_of("OpenID provider", status, "We are sorry...", &format!("<p>{}</p>", escape(message)), &[])
}

/// A moment as HTTP writes it.
pub(super) fn http_date(seconds: i64) -> String {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + since)
}

/// The parameters of a form or a query, each once.
#[derive(Clone, Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Parameters that come twice are refused, as RFC 6749 wants it.
    pub(super) fn of(encoded: &[u8]) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(encoded).into_owned() {
            if all.insert(name, value).is_some() {
                return Err(Problem::invalid_request("duplicated parameter"));
            }
        }
        Ok(Self(all))
    }

    /// The parameters of a posted form; nothing else is read.
    pub(super) fn of_form(headers: &HeaderMap, body: &[u8]) -> Result<Self, Problem> {
        let content = headers.get(CONTENT_TYPE).and_then(|content| content.to_str().ok()).unwrap_or_default();
        if content.starts_with("application/x-www-form-urlencoded") { Self::of(body) } else { Self::of(b"") }
    }

    /// A parameter; an empty one counts as left out.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// One half of Basic credentials: form-encoded before it was base64 (RFC 6749, 2.3.1).
fn decoded(half: &str) -> Option<String> {
    let spaced = half.replace('+', " ");
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Into::into)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}

/// The client that proves itself, by `client_secret_basic` or `client_secret_post`.
pub(super) fn authenticated<'a>(
    openid: &'a Openid,
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<&'a Client, Problem> {
    let credentials = basic(headers).or_else(|| {
        Some((form.get("client_id")?.to_owned(), form.get("client_secret").unwrap_or_default().to_owned()))
    });
    let (id, secret) = credentials.ok_or_else(|| Problem::client("invalid_client"))?;
    let client = openid.client(&id).ok_or_else(|| Problem::client("invalid_client"))?;
    if client.client_secret == secret { Ok(client) } else { Err(Problem::client("unauthorized_client")) }
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
