//! What goes back to the client: a function's answer as API Gateway reads it, or API Gateway's own refusals.
//! The texts are those of an HTTP API, so that clients can be tried against them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE, TRANSFER_ENCODING,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

/// Lambda's limit for the text of an answer.
const ANSWER_LIMIT: usize = 6_291_556;

/// Why the gateway answers itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    BadRequest,
    NotFound,
    RequestTimeout,
    BodyTooLong,
    HeadersTooLarge,
    Internal,
    Unavailable,
}

impl Refusal {
    const fn parts(self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest => (StatusCode::BAD_REQUEST, "Bad Request"),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not Found"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
            Self::BodyTooLong => (StatusCode::PAYLOAD_TOO_LARGE, "Request Too Long"),
            Self::HeadersTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large")
            }
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let (status, message) = self.parts();
        let mut response = Response::new(Full::from(format!(r#"{{"message":"{message}"}}"#)));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionAnswer {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// A function's answer as API Gateway passes it on; `None` where it would call it malformed.
pub(super) fn from_function(text: &str, request_id: &str) -> Option<Response<Full<Bytes>>> {
    if text.len() > ANSWER_LIMIT {
        return None;
    }
    let answer: FunctionAnswer = serde_json::from_str(text).ok()?;
    let body = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded { BASE64.decode(body).ok()? } else { body.into_bytes() };
    let mut response = Response::builder().status(answer.status_code);
    let headers = response.headers_mut()?;
    for (name, value) in &answer.headers {
        headers.append(name.parse::<HeaderName>().ok()?, value.parse().ok()?);
    }
    for cookie in &answer.cookies {
        headers.append(SET_COOKIE, cookie.parse().ok()?);
    }
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"));
    }
    headers.insert("apigw-requestid", request_id.parse().ok()?);
    response.body(Full::from(body)).ok()
}
