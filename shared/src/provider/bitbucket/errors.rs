//! What Bitbucket's answers mean when they are no success (reference: Bitbucket 2.1 to 2.4).
//! The refusals of its token endpoint are read in `oauth`.

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::text;
use crate::provider::field::value;
use crate::provider::upstream::Answer;
use crate::provider::{ForbiddenReason, ProviderError};

/// How many scopes are told of, and how long one may be.
const SCOPES: usize = 8;
const LONGEST_SCOPE: usize = 40;

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
            let change = message(answer).and_then(|message| change(&message));
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

/// The host's own words. They stand in no log: whatever the host quotes in them would stand there too.
fn message(answer: &Answer) -> Option<String> {
    text(details(answer)?.message)
}

/// The number under which Bitbucket has announced a removal, such as `CHANGE-2770`.
fn change(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("CHANGE-")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).take(8).collect();
    (!number.is_empty()).then(|| format!("CHANGE-{number}"))
}

/// The names of the scopes that were required, where a 403 lists them: what has the form of one.
fn missing_scopes(answer: &Answer) -> Option<String> {
    let scopes: Scopes = value(details(answer)?.detail)?;
    let is_name = |scope: &&String| {
        (1..=LONGEST_SCOPE).contains(&scope.len())
            && scope.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b':' | b'_'))
    };
    let names: Vec<&str> = scopes.required.iter().filter(is_name).take(SCOPES).map(String::as_str).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, headers: HeaderMap::new(), body: Bytes::from(body.to_owned()) }
    }

    #[test]
    fn of_a_removal_its_number_is_told_and_nothing_else() {
        assert_eq!(change("See CHANGE-2770 for details.").as_deref(), Some("CHANGE-2770"));
        assert_eq!(change("CHANGE-123456789012").as_deref(), Some("CHANGE-12345678"));
        for other in ["", "This API is gone", "CHANGE-", "CHANGE-x1", "change-2770"] {
            assert_eq!(change(other), None, "{other}");
        }
    }

    #[test]
    fn of_missing_scopes_those_are_told_that_have_the_form_of_one() {
        let required = |scopes: &str| {
            missing_scopes(&answer(403, &format!(r#"{{"error":{{"detail":{{"required":{scopes}}}}}}}"#)))
        };
        assert_eq!(
            required(r#"["account","pullrequest:write","read:workspace:bitbucket"]"#).as_deref(),
            Some("account pullrequest:write read:workspace:bitbucket")
        );
        for odd in [r#"["ATBB0123abc"]"#, r#"["token x"]"#, r#"["https://x"]"#, r#"[""]"#, "[]", "7"] {
            assert_eq!(required(odd), None, "{odd}");
        }
        assert_eq!(required(&format!(r#"["{}","email"]"#, "a".repeat(41))).as_deref(), Some("email"));
    }
}
