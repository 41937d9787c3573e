//! What GitLab's answers mean that are no success: their statuses, and the five forms of their bodies.
//! OAuth's own refusals are `oauth`'s business.

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::Clock;
use crate::provider::oauth::host_time;
use crate::provider::upstream::Answer;
use crate::provider::{ForbiddenReason, ProviderError};

/// Seconds to wait where GitLab names none: its own limits last one minute to ten.
const WAIT: u64 = 60;

/// Nothing for a 200, else what the answer means.
///
/// # Errors
/// [`ProviderError`] by status.
pub(super) fn success(answer: &Answer, clock: &Clock) -> Result<(), ProviderError> {
    if answer.status == StatusCode::OK { Ok(()) } else { Err(classify(answer, clock)) }
}

/// The JSON of a success; pages for people come with 200 too.
///
/// # Errors
/// [`ProviderError::BadResponse`] for a body that is not what was asked for.
pub(super) fn json<'a, D: Deserialize<'a>>(answer: &'a Answer) -> Result<D, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // The position and kind only: the body may hold private data.
        tracing::warn!(
            line = error.line(),
            column = error.column(),
            category = ?error.classify(),
            gitlab_request_id = answer.header("x-request-id"),
            "GitLab's JSON could not be read"
        );
        ProviderError::BadResponse { status: 200 }
    })
}

/// What an answer that is no success means. The status tells, whatever the form of the body: an object with
/// `message` (a text or an object) or `error` (a text), plain text, or a proxy's page. Only a 403 is read on:
/// a proxy may say it of a limit, and a scope that is too small is worth a line in the log.
#[must_use]
pub fn classify(answer: &Answer, clock: &Clock) -> ProviderError {
    let status = answer.status.as_u16();
    match status {
        401 => ProviderError::Unauthorized,
        403 if is_limit(answer) => limited(answer, clock),
        403 => {
            if words(answer).iter().any(|word| word == "insufficient_scope") {
                tracing::warn!(
                    needed = super::SCOPE,
                    "the token's scopes do not reach for GitLab's listings"
                );
            }
            ProviderError::Forbidden(ForbiddenReason::Plain)
        }
        404 => ProviderError::NotFound,
        429 => limited(answer, clock),
        408 | 504 => ProviderError::Timeout,
        status => ProviderError::BadResponse { status },
    }
}

fn is_limit(answer: &Answer) -> bool {
    answer.header("retry-after").is_some() || words(answer).iter().any(|word| word.contains("too many times"))
}

/// The texts of an error's body, whichever form it has.
fn words(answer: &Answer) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return Vec::new() };
    [&body["error"], &body["message"], &body["message"]["error"], &body["error_description"]]
        .into_iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// GitLab's two limits: the one of all requests names its end in headers, those of endpoints name nothing.
fn limited(answer: &Answer, clock: &Clock) -> ProviderError {
    let until = |moment: i64| {
        u64::try_from(moment.saturating_sub(host_time(answer, clock))).unwrap_or_default().max(1)
    };
    let date = |name: &str| {
        let date = httpdate::parse_http_date(answer.header(name)?).ok()?;
        i64::try_from(date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
    };
    let number = |name: &str| answer.header(name)?.trim().parse::<u64>().ok();
    // Every answer tells how the limit of all requests stands; unless it is used up, another one was reached.
    let is_told = answer.header("ratelimit-remaining").is_none_or(|remaining| remaining.trim() == "0");
    let wait = number("retry-after")
        .or_else(|| date("retry-after").map(until))
        .or_else(|| date("ratelimit-resettime").filter(|_| is_told).map(until))
        .or_else(|| {
            let reset = number("ratelimit-reset").filter(|_| is_told)?;
            i64::try_from(reset).ok().map(until)
        })
        .unwrap_or(WAIT);
    ProviderError::RateLimited { retry_after: Some(wait) }
}
