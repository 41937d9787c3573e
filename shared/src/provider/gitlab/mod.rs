//! GitLab's REST API with a user's token, on gitlab.com or self-managed, below a path too.
//! How many pages become one list is `pages`' business, what errors mean `errors`'.

mod errors;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod installations;
mod oauth;
mod pages;
mod project;
mod repositories;
mod said;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::authorized::{self, bearer};
use super::field::value;
use super::token::TokenSource;
use super::upstream::{Budget, Upstream};
use super::{CallError, HostUser, ProviderType};
use crate::clock::Clock;
use crate::config::{GitlabHost, endpoint};

pub use errors::classify;
pub use oauth::SCOPE;

use pages::{Numbered, Page};

/// The largest page that GitLab gives.
pub const MAX_PER_PAGE: u32 = 100;

/// GitLab's REST API at one host.
#[derive(Clone, Debug)]
pub struct Gitlab {
    upstream: Upstream,
    host: GitlabHost,
    clock: Clock,
}

#[derive(Deserialize)]
struct User<'a> {
    id: u64,
    username: String,
    #[serde(borrow)]
    avatar_url: Option<&'a RawValue>,
}

impl Gitlab {
    /// The API at `host`.
    #[must_use]
    pub const fn new(upstream: Upstream, host: GitlabHost, clock: Clock) -> Self {
        Self { upstream, host, clock }
    }

    /// The host's address.
    #[must_use]
    pub const fn host(&self) -> &GitlabHost {
        &self.host
    }

    /// The address of an API path given as segments; each is percent-encoded, a group's slashes too.
    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut path = vec!["api", "v4"];
        path.extend(segments);
        let mut url = endpoint(&self.host.base, &path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A GET that is answered with 200, or an error. OAuth's tokens and personal, group and project tokens
    /// all stand in `Authorization: Bearer`; GitLab's own header takes only some of them.
    async fn get<T: TokenSource>(
        &self,
        url: Url,
        source: &T,
        budget: &Budget,
    ) -> Result<super::upstream::Answer, CallError> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let answer =
            authorized::get(&self.upstream, ProviderType::Gitlab, url, headers, bearer, source, budget)
                .await?;
        errors::success(&answer, &self.clock)?;
        Ok(answer)
    }

    /// A page of any listing.
    async fn page<I: Numbered, T: TokenSource>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
        source: &T,
        budget: &Budget,
    ) -> Result<Page<I>, CallError> {
        let answer = self.get(self.url(segments, query), source, budget).await?;
        let items: Vec<&RawValue> = errors::json(&answer)?;
        let said = said::Said::read(&answer, &self.host.base);
        Ok(Page::new(items.into_iter().map(RawValue::get), said))
    }

    /// Who the token belongs to.
    ///
    /// # Errors
    /// [`CallError`], as every call.
    pub async fn user<T: TokenSource>(&self, source: &T, budget: &Budget) -> Result<HostUser, CallError> {
        let answer = self.get(self.url(&["user"], &[]), source, budget).await?;
        let user: User<'_> = errors::json(&answer)?;
        let avatar_url = value(user.avatar_url);
        Ok(HostUser { id: user.id.to_string(), login: user.username, avatar_url })
    }
}

#[cfg(test)]
mod tests;
