//! Errors in GitHub's form: `{"message","documentation_url","status"}`, `status` a string (GitHub REST docs).
//! Where GitHub has a text of its own for the case, it is used, because clients look for it.

use http::StatusCode;
use serde::Serialize;

use crate::contract::problem::{self, Problem};
use crate::contract::{Family, Response, with_retry_after};
use crate::failure::{CredentialProblem, Failure};
use crate::provider::{ForbiddenReason, ProviderError};

/// GitHub's texts for a JWT that it refuses, for [`CredentialProblem::Jwt`].
///
/// Octokit reads the two about `exp` and the one about `iat` as clock skew: it signs again with the time of the
/// answer's `Date` header and retries once (reference: GitHub, 1.8).
pub mod jwt {
    /// Malformed, wrong algorithm, wrong signature, or not one of this App's.
    pub const UNDECODABLE: &str = "A JSON web token could not be decoded";
    /// `iss` is absent.
    pub const ISSUER_MISSING: &str = "Missing 'issuer' claim ('iss') in assertion";
    /// `iss` is neither a client id nor an app id.
    pub const ISSUER_INVALID: &str = "'Issuer' claim ('iss') must be an Integer";
    /// `iat` is absent.
    pub const ISSUED_AT_MISSING: &str = "Missing 'issued at' claim ('iat') in assertion";
    /// `iat` is not a number or lies in the future.
    pub const ISSUED_AT_INVALID: &str =
        "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    /// `exp` is not a number or lies in the past.
    pub const EXPIRED: &str = "'Expiration time' claim ('exp') must be a numeric value representing the future time \
                               at which the assertion expires";
    /// `exp` is more than ten minutes ahead.
    pub const EXPIRES_TOO_LATE: &str = "'Expiration time' claim ('exp') is too far in the future";
}

const DOCS: &str = "https://docs.github.com/rest";
const DOCS_OF_RATE_LIMITS: &str =
    "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api";

/// An error in GitHub's form.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "BasicError"))]
struct Error<'a> {
    /// What happened, in GitHub's words where it has some.
    message: &'a str,
    /// Where GitHub explains it.
    documentation_url: &'a str,
    /// The status once more, as text.
    status: &'a str,
}

/// The answer to a failure. A problem with a part of the path is 404, as GitHub has it: no such thing can exist.
#[must_use]
pub fn failure(failure: &Failure) -> Response {
    let problem = Problem::of(failure);
    let (status, message) = match failure {
        Failure::Invalid(problems) if problem::is_about_path(problems) => {
            (StatusCode::NOT_FOUND, format!("Not Found: {}", problem::fields(problems)))
        }
        Failure::Invalid(problems) => {
            (problem.status, format!("Validation Failed: {}", problem::fields(problems)))
        }
        Failure::NotLinked(_) => (problem.status, format!("Requires authentication: {}", problem.message)),
        Failure::NotFound(_) => (problem.status, "Not Found".to_owned()),
        Failure::Unauthenticated(credential) => (problem.status, unauthenticated(*credential).to_owned()),
        Failure::SignInExpired(_) => (problem.status, BAD_CREDENTIALS.to_owned()),
        Failure::Provider { error, .. } => {
            (problem.status, upstream(*error).unwrap_or(&problem.title).to_owned())
        }
        Failure::Forbidden(_) | Failure::TooLarge | Failure::Unavailable(_) | Failure::Internal(_) => {
            (problem.status, problem.message)
        }
    };
    let documentation_url = match failure {
        Failure::Provider { error: ProviderError::RateLimited { .. }, .. } => DOCS_OF_RATE_LIMITS,
        _ => DOCS,
    };
    let body = Error { message: &message, documentation_url, status: status.as_str() };
    with_retry_after(Family::Github.json(status, &body), problem.retry_after)
}

/// The body of an error of which nothing but the status is known.
#[must_use]
pub fn of_status(status: StatusCode) -> Vec<u8> {
    let message = status.canonical_reason().unwrap_or("Unknown");
    let body = Error { message, documentation_url: DOCS, status: status.as_str() };
    // Three texts are always JSON.
    serde_json::to_vec(&body).unwrap_or_default()
}

const BAD_CREDENTIALS: &str = "Bad credentials";

const fn unauthenticated(problem: CredentialProblem) -> &'static str {
    match problem {
        CredentialProblem::Missing => "Requires authentication",
        CredentialProblem::Invalid => BAD_CREDENTIALS,
        CredentialProblem::Jwt(rule) => rule,
    }
}

/// GitHub's own text for its refusals, where it has one.
const fn upstream(error: ProviderError) -> Option<&'static str> {
    match error {
        ProviderError::Unauthorized => Some(BAD_CREDENTIALS),
        ProviderError::NotFound => Some("Not Found"),
        ProviderError::Forbidden(ForbiddenReason::Plain) => Some("Resource not accessible by integration"),
        ProviderError::Forbidden(ForbiddenReason::SingleSignOn) => Some(
            "Resource protected by organization SAML enforcement. You must grant your OAuth token access to this \
             organization.",
        ),
        ProviderError::Forbidden(ForbiddenReason::Suspended) => Some("This installation has been suspended"),
        ProviderError::RateLimited { .. } => Some("API rate limit exceeded"),
        ProviderError::BadResponse { .. } | ProviderError::Unreachable | ProviderError::Timeout => None,
    }
}

/// The schemas of these bodies, for the API's document.
#[cfg(feature = "openapi")]
pub(in crate::contract) fn describe(generator: &mut schemars::SchemaGenerator) {
    use crate::contract::schemas::add;
    add::<Error<'_>>(generator);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::failure;
    use crate::contract::Family;
    use crate::contract::github::{ListQuery, Username};
    use crate::contract::testing::{every_answer, wire};
    use crate::failure::{CredentialProblem, Failure};

    #[test]
    fn every_failure_has_githubs_form() {
        insta::assert_snapshot!(every_answer(Family::Github));
    }

    #[test]
    fn an_error_is_json_with_a_charset_and_is_not_stored() {
        insta::assert_snapshot!(wire(&failure(&Failure::Unauthenticated(CredentialProblem::Missing))), @r#"
        401 Unauthorized
        cache-control: no-store
        content-type: application/json; charset=utf-8
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"message":"Requires authentication","documentation_url":"https://docs.github.com/rest","status":"401"}
        "#);
    }

    #[test]
    fn a_malformed_path_is_404_and_a_malformed_query_422_both_naming_the_field() {
        let of_path = failure(&Username::parse("a/b").expect_err("a slash"));
        insta::assert_snapshot!(wire(&of_path), @r#"
        404 Not Found
        cache-control: no-store
        content-type: application/json; charset=utf-8
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"message":"Not Found: username must be 1 to 39 letters, digits, hyphens or underscores and not start with a hyphen","documentation_url":"https://docs.github.com/rest","status":"404"}
        "#);
        let of_query = failure(&ListQuery::parse("page=x&per_page=1.5").expect_err("no integers"));
        insta::assert_snapshot!(wire(&of_query), @r#"
        422 Unprocessable Entity
        cache-control: no-store
        content-type: application/json; charset=utf-8
        vary: Cookie, Authorization, X-Session-API-Key
        x-content-type-options: nosniff

        {"message":"Validation Failed: page must be an integer; per_page must be an integer","documentation_url":"https://docs.github.com/rest","status":"422"}
        "#);
    }

    #[test]
    fn a_status_is_a_string_as_github_writes_it() {
        let body: serde_json::Value =
            serde_json::from_slice(failure(&Failure::NotFound("installation")).body()).expect("JSON");
        assert_eq!(body, json!({"message": "Not Found", "documentation_url": super::DOCS, "status": "404"}));
    }
}
