//! GitHub's REST API with a user's token: calls, and what its errors mean (reference: GitHub 1.1 to 1.7).
//! Calls signed as the App are `github_app`'s; tokens are obtained in `oauth`.

pub mod entity_tag;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod installations;
mod oauth;
mod pages;
mod reached;
mod repositories;
mod repository_details;
mod walk;

use http::header::{ACCEPT, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use super::authorized::{self, bearer};
use super::token::TokenSource;
use super::upstream::{Answer, Budget, Upstream};
use super::{CallError, ForbiddenReason, ProviderError, ProviderType};
use crate::clock::Clock;
use crate::config::{GithubHost, endpoint};

pub(crate) use installations::further;
pub use installations::{Account, Installation, Installations, MembershipRole};
pub use repositories::{Listed, RepositoryPage};
pub use repository_details::RepositoryDetails;

/// The REST API version that is asked for where the client names none; supported until at least
/// March 2028 (24 months after its successor appeared).
pub const API_VERSION: &str = "2022-11-28";
/// The media type of GitHub's REST API.
pub const MEDIA_TYPE: &str = "application/vnd.github+json";
/// The header that pins the API version.
pub const API_VERSION_HEADER: HeaderName = HeaderName::from_static("x-github-api-version");
/// The largest page that GitHub gives.
pub const MAX_PER_PAGE: u32 = 100;

/// GitHub's REST API at one host.
#[derive(Clone, Debug)]
pub struct Github {
    upstream: Upstream,
    host: GithubHost,
    clock: Clock,
}

/// The signed-in user, `GET /user`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GithubUser {
    /// Numeric id; never changes, unlike the login.
    pub id: u64,
    /// Login in GitHub's own casing.
    pub login: String,
    /// Picture.
    pub avatar_url: Option<String>,
}

impl Github {
    /// The API at `host`.
    #[must_use]
    pub const fn new(upstream: Upstream, host: GithubHost, clock: Clock) -> Self {
        Self { upstream, host, clock }
    }

    /// The host's addresses.
    #[must_use]
    pub const fn host(&self) -> &GithubHost {
        &self.host
    }

    pub(crate) const fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The address of an API path given as segments; each is percent-encoded.
    #[must_use]
    pub fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = endpoint(&self.host.api, segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A GET with the token of `source`; see [`authorized::get`].
    ///
    /// # Errors
    /// [`CallError`] for want of a token or of an answer; an answer of any status is `Ok`.
    pub async fn get<T: TokenSource>(
        &self,
        url: Url,
        headers: HeaderMap,
        source: &T,
        budget: &Budget,
    ) -> Result<Answer, CallError> {
        self.get_with(url, headers, |_| {}, source, budget).await
    }

    /// The same, its headers completed for the very token that they are sent with.
    ///
    /// # Errors
    /// As [`Github::get`].
    pub async fn get_with<T: TokenSource>(
        &self,
        url: Url,
        mut headers: HeaderMap,
        complete: impl Fn(&mut HeaderMap) + Send + Sync,
        source: &T,
        budget: &Budget,
    ) -> Result<Answer, CallError> {
        with_defaults(&mut headers);
        let github = ProviderType::Github;
        authorized::get_with(&self.upstream, github, url, headers, bearer, complete, source, budget).await
    }

    /// A GET whose answer is 200 and JSON, or an error.
    pub(crate) async fn get_json<T: TokenSource, D: DeserializeOwned>(
        &self,
        url: Url,
        source: &T,
        budget: &Budget,
    ) -> Result<(D, Answer), CallError> {
        let answer = self.get(url, HeaderMap::new(), source, budget).await?;
        Ok((read_json(&answer, &self.clock)?, answer))
    }

    /// Who the token belongs to.
    ///
    /// # Errors
    /// [`CallError`], as every call.
    pub async fn user<T: TokenSource>(&self, source: &T, budget: &Budget) -> Result<GithubUser, CallError> {
        Ok(self.get_json(self.url(&["user"], &[]), source, budget).await?.0)
    }
}

/// Unix seconds of a date as GitHub writes it (RFC 3339), with `Z` or an offset.
pub(crate) fn unix_seconds(date: &str) -> Option<i64> {
    OffsetDateTime::parse(date, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp)
}

/// The headers that every call carries, where the client did not choose its own.
pub(crate) fn with_defaults(headers: &mut HeaderMap) {
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static(MEDIA_TYPE));
    headers.entry(API_VERSION_HEADER).or_insert(HeaderValue::from_static(API_VERSION));
}

/// The JSON of a 200, or what the answer means instead.
///
/// # Errors
/// [`ProviderError`] by status, or [`ProviderError::BadResponse`] for a body that is not what was asked for.
pub(crate) fn read_json<'a, D: Deserialize<'a>>(
    answer: &'a Answer,
    clock: &Clock,
) -> Result<D, ProviderError> {
    if answer.status != StatusCode::OK {
        return Err(classify(answer, clock));
    }
    parse_json(answer)
}

/// The JSON of an answer whose status is known to be right.
///
/// # Errors
/// [`ProviderError::BadResponse`] for a body that is not what was asked for.
pub(crate) fn parse_json<'a, D: Deserialize<'a>>(answer: &'a Answer) -> Result<D, ProviderError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        // The position and kind only: the body may hold private data.
        tracing::warn!(
            line = error.line(),
            column = error.column(),
            category = ?error.classify(),
            github_request_id = answer.header("x-github-request-id"),
            "GitHub's JSON could not be read"
        );
        ProviderError::BadResponse { status: 200 }
    })
}

#[derive(Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default)]
    pub(crate) message: String,
}

/// What an answer that is no success means. A 403 is three things (reference 1.7): a rate limit, told by
/// headers; single sign-on, told by `X-GitHub-SSO`; or a refusal.
#[must_use]
pub fn classify(answer: &Answer, clock: &Clock) -> ProviderError {
    let status = answer.status.as_u16();
    match status {
        401 => ProviderError::Unauthorized,
        403 | 429 => {
            let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
            let message = body.message.to_ascii_lowercase();
            let exhausted = answer.header("x-ratelimit-remaining") == Some("0");
            if status == 429
                || exhausted
                || answer.headers.contains_key(RETRY_AFTER)
                || message.contains("rate limit")
            {
                return ProviderError::RateLimited { retry_after: retry_after(answer, exhausted, clock) };
            }
            ProviderError::Forbidden(
                if answer.headers.contains_key("x-github-sso") || message.contains("saml") {
                    ForbiddenReason::SingleSignOn
                } else if message.contains("suspended") {
                    ForbiddenReason::Suspended
                } else {
                    ForbiddenReason::Plain
                },
            )
        }
        404 => ProviderError::NotFound,
        504 => ProviderError::Timeout,
        status => ProviderError::BadResponse { status },
    }
}

/// Seconds to wait: `Retry-After`, else until `X-RateLimit-Reset`, else a minute (reference 1.7).
fn retry_after(answer: &Answer, exhausted: bool, clock: &Clock) -> Option<u64> {
    if let Some(seconds) = answer.header("retry-after").and_then(|value| value.parse().ok()) {
        return Some(seconds);
    }
    let reset = answer.header("x-ratelimit-reset").and_then(|value| value.parse::<i64>().ok());
    match reset {
        Some(reset) if exhausted => {
            Some(u64::try_from(reset.saturating_sub(clock.unix())).unwrap_or(0).max(1))
        }
        _ => Some(60),
    }
}

#[cfg(test)]
mod tests;
