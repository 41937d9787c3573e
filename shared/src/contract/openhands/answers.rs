//! The answers of OpenHands' routes: the two lists, what is missing from them, and every failure.
//! Bodies: reference OpenHands 0.53.0, 1.0; headers and the statuses beyond it: DESIGN 4.

use std::fmt::Write as _;

use http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use super::body::UNREADABLE;
use super::repository::Repository;
use crate::contract::problem::Problem;
use crate::contract::{
    Family, PARTIAL_RESULT, Response, TOTAL_COUNT, TRUNCATED, with_header, with_retry_after,
};
use crate::failure::{Failure, FieldProblem, Location};
use crate::provider::listing::{Cause, Missing};
use crate::provider::{ProviderError, ProviderType};

/// API Gateway takes 10,240 bytes of answer headers in all (AWS docs, HTTP API quotas).
const PARTIAL_RESULT_MAX: usize = 4096;

/// A host, or one installation at it, that contributed nothing to a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialFailure {
    /// The host.
    pub provider: ProviderType,
    /// The installation; without one the whole host failed.
    pub installation: Option<String>,
    /// What it answered, or what kept us from asking.
    pub cause: Cause,
}

impl From<Missing> for PartialFailure {
    fn from(missing: Missing) -> Self {
        let Missing { provider, installation, cause } = missing;
        Self { provider, installation, cause }
    }
}

/// How much a merged list would hold without its cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The number of repositories before the cap.
    pub total: usize,
    /// The cap cut some of them.
    pub truncated: bool,
}

/// 200 with the ids of installations.
#[must_use]
pub fn installations(ids: &[String], partial: &[PartialFailure]) -> Response {
    with_partial_result(Family::OpenHands.json(StatusCode::OK, &ids), partial)
}

/// 200 with repositories; `extent` belongs to a merged list.
#[must_use]
pub fn repositories(page: &[Repository], extent: Option<Extent>, partial: &[PartialFailure]) -> Response {
    let mut response = Family::OpenHands.json(StatusCode::OK, &page);
    if let Some(extent) = extent {
        response = with_header(response, TOTAL_COUNT, &extent.total.to_string());
        if extent.truncated {
            response = with_header(response, TRUNCATED, "true");
        }
    }
    with_partial_result(response, partial)
}

/// The answer to a failure.
#[must_use]
pub fn failure(failure: &Failure) -> Response {
    match failure {
        Failure::Unauthenticated(_) => {
            Family::OpenHands.json(StatusCode::UNAUTHORIZED, &Detail { detail: "Unauthorized" })
        }
        Failure::Invalid(problems) => invalid(problems),
        Failure::NotLinked(_) => Family::OpenHands
            .json(StatusCode::UNAUTHORIZED, &"Git provider token required. (such as GitHub)."),
        Failure::SignInExpired(provider)
        | Failure::Provider { provider, error: ProviderError::Unauthorized } => {
            Family::OpenHands.json(StatusCode::UNAUTHORIZED, &format!("Invalid {provider} token"))
        }
        Failure::NotFound(_) => {
            Family::OpenHands.json(StatusCode::NOT_FOUND, &Detail { detail: "Not Found" })
        }
        Failure::Provider { .. }
        | Failure::Forbidden(_)
        | Failure::TooLarge
        | Failure::Unavailable(_)
        | Failure::Internal(_) => {
            let problem = Problem::of(failure);
            let body = Toast {
                error: if let Failure::Forbidden(why) = failure { why } else { &problem.title },
                message: &problem.message,
                code: problem.code,
                provider: problem.provider,
            };
            with_retry_after(Family::OpenHands.json(problem.status, &body), problem.retry_after)
        }
    }
}

/// FastAPI's own errors.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "DetailOf{T}"))]
struct Detail<T> {
    detail: T,
}

/// pydantic's form of a problem; the order of the keys is the order on the wire.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "ValidationError"))]
struct Problematic<'a> {
    /// pydantic's word for the kind of problem.
    r#type: &'a str,
    /// Where: `query`, `path` or `body`, then the name.
    loc: &'a [Location],
    /// What is wrong, in a sentence.
    msg: &'a str,
    /// What was given; `null` where nothing was.
    input: &'a Value,
    /// What the sentence is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<&'a Value>,
}

/// What OpenHands has no form for. Its client shows `error` to the user (reference, 2).
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Error"))]
struct Toast<'a> {
    /// A few words, which OpenHands' client shows to the user.
    error: &'a str,
    /// One sentence more: what happened and what helps.
    message: &'a str,
    /// A stable snake_case word for programs.
    code: &'a str,
    /// Whose failure it was; `null` where it was no host's.
    provider: Option<ProviderType>,
}

fn invalid(problems: &[FieldProblem]) -> Response {
    if let [FieldProblem { kind: UNREADABLE, message, .. }] = problems {
        return Family::OpenHands.json(StatusCode::BAD_REQUEST, &Detail { detail: message });
    }
    let detail: Vec<_> = problems
        .iter()
        .map(|problem| Problematic {
            r#type: problem.kind,
            loc: &problem.location,
            msg: &problem.message,
            input: &problem.input,
            ctx: problem.context.as_ref(),
        })
        .collect();
    Family::OpenHands.json(StatusCode::UNPROCESSABLE_ENTITY, &Detail { detail })
}

/// `X-Partial-Result: github/5002=403, gitlab=504`; what no longer fits is counted: `more=17`.
fn with_partial_result(response: Response, partial: &[PartialFailure]) -> Response {
    if partial.is_empty() {
        return response;
    }
    let mut value = String::new();
    for (index, failed) in partial.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let installation = failed.installation.as_deref().map(encoded).unwrap_or_default();
        let slash = if installation.is_empty() { "" } else { "/" };
        let entry = format!("{separator}{}{slash}{installation}={}", failed.provider, failed.cause.status());
        if value.len() + entry.len() > PARTIAL_RESULT_MAX {
            // Writing to a String does not fail.
            let _ = write!(value, "{separator}more={}", partial.len() - index);
            break;
        }
        value.push_str(&entry);
    }
    with_header(response, PARTIAL_RESULT, &value)
}

/// An installation's id without anything that means something in the header.
fn encoded(installation: &str) -> String {
    percent_encoding::utf8_percent_encode(installation, NOT_IN_PARTIAL_RESULT).to_string()
}

const NOT_IN_PARTIAL_RESULT: &percent_encoding::AsciiSet =
    &percent_encoding::CONTROLS.add(b' ').add(b',').add(b'=').add(b'%').add(b'"');

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Detail<String>>(generator);
    add::<Detail<Vec<Problematic<'_>>>>(generator);
    add::<Toast<'_>>(generator);
}

#[cfg(test)]
mod tests;
