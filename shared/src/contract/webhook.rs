//! `/webhooks/github`: what GitHub is answered, for the operator who reads it in the App's delivery log.
//! GitHub itself looks at the status only: 4xx and 5xx are failed deliveries (reference: GitHub 2.2).

use http::StatusCode;
use serde::Serialize;

use super::problem::Problem;
use super::{Family, Response, with_retry_after};
use crate::failure::Failure;
use crate::github_app::mapping::Dealt;
use crate::github_app::webhook::{DeliveryProblem, SignatureProblem};

/// What became of a delivery.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "DeliveryDealtWith"))]
struct Result<'a> {
    /// Its `X-GitHub-Delivery`.
    delivery: &'a str,
    /// `pong`, `applied`, `unchanged`, `repeated`, or `ignored:` and why.
    result: &'static str,
}

/// Why a delivery was not dealt with.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "DeliveryRefused"))]
struct Error<'a> {
    /// A stable word for programs.
    error: &'static str,
    /// One sentence for the operator, who reads it in the App's delivery log.
    message: &'a str,
}

/// 200 for what was dealt with, 202 for what changes nothing here.
#[must_use]
pub fn dealt(guid: &str, dealt: Dealt) -> Response {
    let (status, result) = match dealt {
        Dealt::Ping => (StatusCode::OK, "pong"),
        Dealt::Applied => (StatusCode::OK, "applied"),
        Dealt::Unchanged => (StatusCode::OK, "unchanged"),
        Dealt::Repeated => (StatusCode::OK, "repeated"),
        Dealt::OtherApp => (StatusCode::ACCEPTED, "ignored: of another App"),
        Dealt::Unknown => (StatusCode::ACCEPTED, "ignored: changes nothing here"),
    };
    Family::Webhook.json(status, &Result { delivery: guid, result })
}

/// 401: nothing was read. Which of the secrets is wrong is for the operator to find.
#[must_use]
pub fn unsigned(problem: SignatureProblem) -> Response {
    let message = match problem {
        SignatureProblem::Wrong => {
            "The signature does not fit the body: the webhook secret at GitHub is none of those in the App's secret."
                .to_owned()
        }
        problem => sentence(&problem.to_string()),
    };
    Family::Webhook.json(StatusCode::UNAUTHORIZED, &Error { error: "signature", message: &message })
}

/// 400, or 415 for a form: signed, and not what GitHub documents.
#[must_use]
pub fn unreadable(problem: &DeliveryProblem) -> Response {
    let (status, error) = match problem {
        DeliveryProblem::Header(_) => (StatusCode::BAD_REQUEST, "header"),
        DeliveryProblem::Body { .. } => (StatusCode::BAD_REQUEST, "body"),
        DeliveryProblem::ContentType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type"),
    };
    Family::Webhook.json(status, &Error { error, message: &sentence(&problem.to_string()) })
}

/// The answer to a failure: the delivery is not recorded, and can come again.
#[must_use]
pub fn failure(failure: &Failure) -> Response {
    let problem = Problem::of(failure);
    let body = Error { error: problem.code, message: &problem.message };
    with_retry_after(Family::Webhook.json(problem.status, &body), problem.retry_after)
}

fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(char::to_uppercase);
    format!("{}{}.", first.into_iter().flatten().collect::<String>(), rest.as_str())
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Result<'_>>(generator);
    add::<Error<'_>>(generator);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::{every_answer, wire};

    #[test]
    fn what_was_dealt_with_is_200_and_what_is_ignored_202() {
        let all =
            [Dealt::Ping, Dealt::Applied, Dealt::Unchanged, Dealt::Repeated, Dealt::OtherApp, Dealt::Unknown];
        let answers: Vec<String> = all
            .into_iter()
            .map(|what| {
                let answer = dealt("72d3162e-cc78-11e3-81ab-4c9367dc0958", what);
                format!("{} {}", answer.status(), String::from_utf8_lossy(answer.body().as_ref()))
            })
            .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }

    #[test]
    fn a_refused_delivery_says_why() {
        let refused = [
            unsigned(SignatureProblem::Missing),
            unsigned(SignatureProblem::Malformed),
            unsigned(SignatureProblem::Wrong),
            unreadable(&DeliveryProblem::Header("X-GitHub-Delivery")),
            unreadable(&DeliveryProblem::ContentType),
            unreadable(&DeliveryProblem::Body {
                event: "installation".to_owned(),
                problem: "Eof at line 1 column 9".to_owned(),
            }),
        ];
        insta::assert_snapshot!(refused.iter().map(wire).collect::<Vec<_>>().join("\n\n"));
    }

    #[test]
    fn every_failure_has_a_status_and_two_words_of_ours() {
        insta::assert_snapshot!(every_answer(Family::Webhook));
    }
}
