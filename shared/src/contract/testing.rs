//! What the tests of the wire formats share: an answer as text, and one failure of every kind.
//! Compiled for tests only.

use std::fmt::Write as _;

use super::Response;
use crate::failure::{CredentialProblem, Failure};
use crate::provider::{ForbiddenReason, ProviderError, ProviderType};

/// Status line, headers in alphabetical order, body: what a snapshot shows.
pub(super) fn wire(response: &Response) -> String {
    let mut headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.sort();
    format!("{}\n{}\n{}", response.status(), headers.concat(), body(response))
}

/// The body as text.
pub(super) fn body(response: &Response) -> String {
    String::from_utf8_lossy(response.body().as_ref()).into_owned()
}

/// A header as text, `""` if it is absent.
pub(super) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("visible ASCII"))
}

/// What stands in texts that are for the log only, and must not be in any answer.
pub(super) const LOG_ONLY: &str = "https://api.github.com/?token=ghu_secret";

/// One failure of every kind except [`Failure::Invalid`], which differs by route.
pub(super) fn every_failure() -> Vec<Failure> {
    let at_github = |error| Failure::Provider { provider: ProviderType::Github, error };
    vec![
        Failure::Unauthenticated(CredentialProblem::Missing),
        Failure::Unauthenticated(CredentialProblem::Invalid),
        Failure::Unauthenticated(CredentialProblem::Jwt("A JSON web token could not be decoded")),
        Failure::NotLinked(None),
        Failure::NotLinked(Some(ProviderType::Github)),
        Failure::SignInExpired(ProviderType::Gitlab),
        at_github(ProviderError::Unauthorized),
        at_github(ProviderError::Forbidden(ForbiddenReason::Plain)),
        at_github(ProviderError::Forbidden(ForbiddenReason::SingleSignOn)),
        at_github(ProviderError::Forbidden(ForbiddenReason::Suspended)),
        at_github(ProviderError::NotFound),
        at_github(ProviderError::RateLimited { retry_after: Some(37) }),
        at_github(ProviderError::RateLimited { retry_after: None }),
        at_github(ProviderError::BadResponse { status: 500 }),
        at_github(ProviderError::Unreachable),
        at_github(ProviderError::Timeout),
        Failure::NotFound("user"),
        Failure::Forbidden("A cookie changes state only on a same-origin request"),
        Failure::TooLarge,
        Failure::Unavailable(LOG_ONLY.to_owned()),
        Failure::Internal(LOG_ONLY.to_owned()),
    ]
}

/// All answers of a family to [`every_failure`], under the failure's name.
pub(super) fn every_answer(family: super::Family) -> String {
    let mut all = String::new();
    for failure in every_failure() {
        let shown = format!("{failure:?}").replace(LOG_ONLY, "...");
        let response = family.failure(&failure);
        let retry = header(&response, "retry-after");
        let retry = if retry.is_empty() { String::new() } else { format!(" Retry-After: {retry}") };
        writeln!(all, "{shown}\n  {}{retry}\n  {}", response.status(), body(&response))
            .expect("a String grows");
    }
    all
}
