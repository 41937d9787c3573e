//! What Bitbucket's answers mean when they are no success (reference: Bitbucket 2.1 to 2.4).
//! The refusals of its token endpoint are read in `oauth`.

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::text;
use crate::provider::field::value;
use crate::provider::upstream::Answer;
use crate::provider::{ForbiddenReason, ProviderError};

/// How much of a host's own words may stand in a log.
const LOGGED: usize = 120;

#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    /// A text by the documentation, an object where scopes are missing.
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Scopes {
    required: Vec<String>,
}

/// The JSON of a 200, or what the answer means instead.
pub(super) fn read_json<'a, D: Deserialize<'a>>(answer: &'a Answer) -> Result<D, ProviderError> {
    if answer.status != StatusCode::OK {
        return Err(classify(answer));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        // The position and kind only: the body may hold private data.
        tracing::warn!(
            line = error.line(),
            column = error.column(),
            category = ?error.classify(),
            "Bitbucket's JSON could not be read"
        );
        ProviderError::BadResponse { status: 200 }
    })
}

/// What an answer that is no success means.
///
/// A 410 is an endpoint that Bitbucket has removed: our own doing, never the caller's. A 429 may be empty and
/// need not say how long to wait.
#[must_use]
pub fn classify(answer: &Answer) -> ProviderError {
    let status = answer.status.as_u16();
    match status {
        401 => ProviderError::Unauthorized,
        403 => {
            if let Some(required) = missing_scopes(answer) {
                tracing::warn!(required, "the token lacks scopes at Bitbucket");
            }
            ProviderError::Forbidden(ForbiddenReason::Plain)
        }
        404 => ProviderError::NotFound,
        410 => {
            let change = message(answer).unwrap_or_default();
            tracing::error!(change, "Bitbucket has removed an endpoint that is still called");
            ProviderError::BadResponse { status }
        }
        429 => {
            let retry_after = answer.header("retry-after").and_then(|value| value.trim().parse().ok());
            ProviderError::RateLimited { retry_after }
        }
        504 => ProviderError::Timeout,
        status => ProviderError::BadResponse { status },
    }
}

/// Whether the answer refuses the size of the page that was asked for; sizes may change at any time.
pub(super) fn is_invalid_pagelen(answer: &Answer) -> bool {
    answer.status == StatusCode::BAD_REQUEST
        && message(answer).is_some_and(|message| message.to_ascii_lowercase().contains("pagelen"))
}

fn details(answer: &Answer) -> Option<Details<'_>> {
    let body: ErrorBody<'_> = serde_json::from_slice(&answer.body).ok()?;
    value(body.error)
}

/// The host's own words, cut to what may stand in a log.
fn message(answer: &Answer) -> Option<String> {
    let message = text(details(answer)?.message)?;
    Some(message.chars().filter(|c| !c.is_control()).take(LOGGED).collect())
}

/// The names of the scopes that were required, where a 403 lists them.
fn missing_scopes(answer: &Answer) -> Option<String> {
    let scopes: Scopes = value(details(answer)?.detail)?;
    Some(scopes.required.join(" ").chars().filter(|c| !c.is_control()).take(LOGGED).collect())
}
