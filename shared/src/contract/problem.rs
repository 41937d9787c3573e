//! The words for what went wrong, before a family puts them into its form.
//! Nothing here can hold an upstream URL, a token or a log text: all words are ours.

use http::StatusCode;

use super::RETRY_UNAVAILABLE_SECONDS;
use crate::failure::{CredentialProblem, Failure, FieldProblem, Location};
use crate::provider::{ForbiddenReason, ProviderError, ProviderType};

/// GitHub's advice where a host names no time: wait a minute (GitHub docs, rate limits; reference 1.7).
const DEFAULT_RETRY_AFTER_SECONDS: u64 = 60;

/// A failure in plain words.
#[derive(Debug)]
pub(super) struct Problem {
    /// The status of the answer.
    pub(super) status: StatusCode,
    /// A stable snake_case word for programs.
    pub(super) code: &'static str,
    /// A few words for a toast or a heading.
    pub(super) title: String,
    /// One sentence more: what happened and what helps.
    pub(super) message: String,
    /// Whose failure it was.
    pub(super) provider: Option<ProviderType>,
    /// Seconds for `Retry-After`.
    pub(super) retry_after: Option<u64>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, title: title.into(), message: message.into(), provider: None, retry_after: None }
    }

    /// Describes a failure; texts meant for the log stay out.
    pub(super) fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Unauthenticated(problem) => unauthenticated(*problem),
            Failure::Invalid(problems) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_request",
                "Invalid request",
                fields(problems),
            ),
            Failure::NotLinked(provider) => not_linked(*provider),
            Failure::SignInExpired(provider) => of_provider(*provider, ProviderError::Unauthorized),
            Failure::Provider { provider, error } => of_provider(*provider, *error),
            Failure::NotFound(what) => Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "Not Found",
                format!("{} not found", capitalised(what)),
            ),
            Failure::Forbidden(why) => Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", *why),
            // RFC 9110, 15.5.7: there is an answer, in no form that the client has said to take.
            Failure::TooLarge => Self::new(
                StatusCode::NOT_ACCEPTABLE,
                "too_large",
                "The answer is too large",
                "It can be sent compressed only: send Accept-Encoding: gzip, or ask for a page.",
            ),
            Failure::Unavailable(_) => Self {
                retry_after: Some(RETRY_UNAVAILABLE_SECONDS),
                ..Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "Temporarily unavailable",
                    "The service cannot reach a part of itself. Try again in a few seconds.",
                )
            },
            Failure::Internal(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal_error",
                "Internal Server Error",
                "The service failed to answer. The cause is in its log.",
            ),
        }
    }
}

/// A provider's name as people write it.
pub(super) const fn display_name(provider: ProviderType) -> &'static str {
    match provider {
        ProviderType::Github => "GitHub",
        ProviderType::Gitlab => "GitLab",
        ProviderType::Bitbucket => "Bitbucket",
        ProviderType::EnterpriseSso => "Enterprise SSO",
    }
}

/// `page must be an integer; per_page must be an integer`.
pub(super) fn fields(problems: &[FieldProblem]) -> String {
    let named: Vec<_> =
        problems.iter().map(|problem| format!("{} {}", field(problem), problem.message)).collect();
    named.join("; ")
}

/// The name of the field a problem is about, the request's part where it has no name.
pub(super) fn field(problem: &FieldProblem) -> String {
    let mut names = problem.location.iter().filter_map(|step| match step {
        Location::Name(name) => Some(name.as_str()),
        Location::Index(_) => None,
    });
    let part = names.next().unwrap_or("request");
    names.next().unwrap_or(part).to_owned()
}

/// Whether a part of the path is wrong, so that nothing can be found there.
pub(super) fn is_about_path(problems: &[FieldProblem]) -> bool {
    let path = Location::Name("path".to_owned());
    problems.iter().any(|problem| problem.location.first() == Some(&path))
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn unauthenticated(problem: CredentialProblem) -> Problem {
    let message = match problem {
        CredentialProblem::Missing => "Sign in or send an API key.",
        CredentialProblem::Invalid => "The session or key is unknown or has ended. Sign in again.",
        CredentialProblem::Jwt(rule) => rule,
    };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", message)
}

fn not_linked(provider: Option<ProviderType>) -> Problem {
    let message = match provider {
        Some(provider) => {
            format!(
                "{} is not linked to this user. Sign in at /auth/{provider}/login.",
                display_name(provider)
            )
        }
        None => "No provider is linked to this user. Sign in at one first.".to_owned(),
    };
    Problem {
        provider,
        ..Problem::new(StatusCode::UNAUTHORIZED, "not_linked", "Provider not linked", message)
    }
}

fn of_provider(provider: ProviderType, error: ProviderError) -> Problem {
    let host = display_name(provider);
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let (code, title, message) = match error {
        ProviderError::Unauthorized => (
            "sign_in_expired",
            format!("Sign-in at {host} has ended"),
            format!("{host} no longer accepts the token of this user. Sign in at /auth/{provider}/login."),
        ),
        ProviderError::Forbidden(ForbiddenReason::Plain) => (
            "forbidden",
            format!("{host} refuses access"),
            format!("{host} knows this user and does not allow the request."),
        ),
        ProviderError::Forbidden(ForbiddenReason::SingleSignOn) => (
            "single_sign_on_required",
            format!("Single sign-on is required at {host}"),
            "The organisation demands a live single sign-on session. Start one there, then try again."
                .to_owned(),
        ),
        ProviderError::Forbidden(ForbiddenReason::Suspended) => (
            "installation_suspended",
            format!("The installation is suspended at {host}"),
            "An owner of the account has to unsuspend the installation.".to_owned(),
        ),
        ProviderError::NotFound => (
            "not_found",
            format!("Not found at {host}"),
            format!("{host} does not know it or does not show it to this user."),
        ),
        ProviderError::RateLimited { retry_after } => (
            "rate_limited",
            format!("{host} rate limit reached"),
            format!(
                "{host} answers no more requests of this user for now. Try again in {} seconds.",
                retry_after.unwrap_or(DEFAULT_RETRY_AFTER_SECONDS)
            ),
        ),
        ProviderError::BadResponse { .. } => (
            "bad_gateway",
            format!("{host} answered with an error"),
            format!("{host} failed to answer as it should. Try again later."),
        ),
        ProviderError::Unreachable => (
            "bad_gateway",
            format!("{host} cannot be reached"),
            format!("The connection to {host} failed. Try again later."),
        ),
        ProviderError::Timeout => (
            "gateway_timeout",
            format!("{host} did not answer in time"),
            format!("{host} took longer than this request may take. Try again later."),
        ),
    };
    let retry_after = match error {
        ProviderError::RateLimited { retry_after } => {
            Some(retry_after.unwrap_or(DEFAULT_RETRY_AFTER_SECONDS))
        }
        _ => None,
    };
    Problem { status, code, title, message, provider: Some(provider), retry_after }
}
