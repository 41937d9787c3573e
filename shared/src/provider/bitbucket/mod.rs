//! Bitbucket Cloud's REST API with a user's token: calls, their authorization, who the user is.
//! What its errors mean is in `errors`, its pages in `paging`; tokens are obtained in `oauth`.

mod errors;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod oauth;
mod paging;
mod reading;
mod repositories;
mod workspaces;

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::authorized::{self, basic, bearer};
use super::field::value;
use super::token::TokenSource;
use super::upstream::{Answer, Budget, Upstream};
use super::{CallError, HostUser, ProviderError, ProviderType};
use crate::clock::Clock;
use crate::config::{BitbucketHost, endpoint};

pub use errors::classify;

/// The largest page that Bitbucket gives.
pub const MAX_PAGELEN: u32 = 100;

/// Bitbucket's REST API at one host.
#[derive(Clone, Debug)]
pub struct Bitbucket {
    upstream: Upstream,
    host: BitbucketHost,
    clock: Clock,
}

#[derive(Deserialize)]
struct User<'a> {
    uuid: String,
    #[serde(borrow)]
    username: Option<&'a RawValue>,
    nickname: Option<&'a RawValue>,
    display_name: Option<&'a RawValue>,
    links: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Links {
    avatar: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: Option<String>,
}

impl Bitbucket {
    /// The API at `host`.
    #[must_use]
    pub const fn new(upstream: Upstream, host: BitbucketHost, clock: Clock) -> Self {
        Self { upstream, host, clock }
    }

    /// The host's addresses.
    #[must_use]
    pub const fn host(&self) -> &BitbucketHost {
        &self.host
    }

    /// The address of an API path given as segments; each is percent-encoded.
    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = endpoint(&self.host.api, segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A GET with the token of `source`; an answer of any status is `Ok`.
    async fn get<T: TokenSource>(&self, url: Url, source: &T, budget: &Budget) -> Result<Answer, CallError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let provider = ProviderType::Bitbucket;
        authorized::get(&self.upstream, provider, url, headers, authorization, source, budget).await
    }

    /// Who the token belongs to: the uuid in braces, and the name that people know.
    ///
    /// # Errors
    /// [`CallError`], as every call. Access tokens of a workspace, project or repository belong to nobody.
    pub async fn user<T: TokenSource>(&self, source: &T, budget: &Budget) -> Result<HostUser, CallError> {
        let answer = self.get(self.url(&["user"], &[]), source, budget).await?;
        Ok(host_user(&answer)?)
    }

    /// The uuid of the user behind the token, which is that of the personal workspace too; `None` where nobody
    /// is behind it or Bitbucket does not tell: that costs the kind of owner, not the listing.
    async fn own_uuid<T: TokenSource>(&self, source: &T, budget: &Budget) -> Option<String> {
        match self.user(source, budget).await {
            Ok(user) => Some(user.id),
            Err(error) => {
                tracing::debug!(%error, "Bitbucket names no user for the token");
                None
            }
        }
    }
}

fn host_user(answer: &Answer) -> Result<HostUser, ProviderError> {
    let user: User<'_> = errors::read_json(answer)?;
    // Few users have a username any more; a nickname need not be unique.
    let login = [user.username, user.nickname, user.display_name].into_iter().find_map(text);
    let avatar_url = value(user.links).and_then(|links: Links| links.avatar?.href);
    Ok(HostUser { login: login.unwrap_or_else(|| user.uuid.clone()), id: user.uuid, avatar_url })
}

/// How a token stands in `Authorization`: an API token is an address and a secret (`email:token`) and goes as
/// Basic; OAuth's and access tokens, which have no colon, as Bearer. The wrong one is a 401.
fn authorization(token: &SecretString) -> Result<HeaderValue, ProviderError> {
    if token.expose_secret().contains(':') { basic(token.expose_secret()) } else { bearer(token) }
}

/// A field's text, if it is one and not empty.
fn text(field: Option<&RawValue>) -> Option<String> {
    value(field).filter(|text: &String| !text.is_empty())
}

/// Whether two uuids are one, whatever their case.
fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests;
