//! OpenID Connect as a relying party at the enterprise's issuer: its documents, its tokens, its answers.
//! Who may start a flow, where tokens and sessions are kept is `identity`'s business.

mod broker;
mod claims;
mod client;
mod discovery;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod id_token;
mod kept;
mod keys;
mod logout_token;
mod signed_token;
mod tokens;
mod visits;

use std::sync::{Arc, Mutex, PoisonError};

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use url::Url;

use super::upstream::{Answer, Budget, Call, Upstream};
use super::{ForbiddenReason, ProviderError, ProviderType};
use crate::clock::Clock;
use crate::ring_provider;

pub use broker::BrokeredToken;
pub use client::{Issuer, IssuerProblem, SsoClient};
pub use error::{SsoError, TokenProblem};
pub use id_token::IdentityClaims;
pub use logout_token::LogoutToken;
pub use tokens::SsoGrant;
pub use visits::{AuthorizeRequest, SCOPE};

use claims::Claims;
use discovery::Discovery;
use kept::{Asker, Held, Kept};
use keys::Keys;
use signed_token::SignedToken;

/// The largest document that is taken from an issuer. A discovery document or a key set has a few KB.
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// The protocol with an issuer; clones share what is known of it.
#[derive(Clone, Debug)]
pub struct EnterpriseSso {
    upstream: Upstream,
    clock: Clock,
    known: Arc<Mutex<Option<Arc<Known>>>>,
}

/// What is known of an issuer, by its exact name.
#[derive(Debug)]
struct Known {
    issuer: Issuer,
    discovery: Kept<Discovery>,
    keys: Kept<Keys>,
}

impl EnterpriseSso {
    /// The protocol over `upstream`, with the time of `clock`. Nothing is asked yet.
    #[must_use]
    pub fn new(upstream: Upstream, clock: Clock) -> Self {
        ring_provider::install();
        Self { upstream, clock, known: Arc::default() }
    }

    /// What is known of this issuer: there is one, until the operator configures another.
    fn known(&self, issuer: &Issuer) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.as_ref().filter(|known| known.issuer == *issuer) {
            return same.clone();
        }
        let other = Known { issuer: issuer.clone(), discovery: Kept::default(), keys: Kept::default() };
        known.insert(Arc::new(other)).clone()
    }

    async fn discovery(
        &self,
        client: &SsoClient,
        asker: Asker,
        budget: &Budget,
    ) -> Result<Arc<Discovery>, SsoError> {
        let known = self.known(&client.issuer);
        let read = async {
            let document = self.document(client.issuer.discovery_url(), budget).await?;
            Discovery::read(&client.issuer, &document)
        };
        Ok(known.discovery.get(asker, &self.clock, budget, read).await?.value)
    }

    async fn keys(&self, client: &SsoClient, asker: Asker, budget: &Budget) -> Result<Held<Keys>, SsoError> {
        let known = self.known(&client.issuer);
        known.keys.get(asker, &self.clock, budget, self.read_keys(client, asker, budget)).await
    }

    async fn read_keys(&self, client: &SsoClient, asker: Asker, budget: &Budget) -> Result<Keys, SsoError> {
        let discovery = self.discovery(client, asker, budget).await?;
        Keys::read(&self.document(discovery.jwks_uri.clone(), budget).await?)
    }

    /// The claims of a token that the issuer has signed. A key that is not known yet may be a new one: keys
    /// rotate while this process lives, and then the set is read once more (reference 3.2).
    async fn signed_claims(
        &self,
        client: &SsoClient,
        token: &SignedToken<'_>,
        asker: Asker,
        budget: &Budget,
    ) -> Result<Claims, SsoError> {
        let known = self.known(&client.issuer);
        let held = self.keys(client, asker, budget).await?;
        match held.value.claims(token) {
            Err(TokenProblem::UnknownKey) => {}
            result => return Ok(result?),
        }
        let read = self.read_keys(client, asker, budget);
        let newer = known.keys.newer_than(&held, asker, &self.clock, budget, read).await?;
        Ok(newer.ok_or(TokenProblem::UnknownKey)?.value.claims(token)?)
    }

    /// A JSON document of the issuer's.
    async fn document(&self, url: Url, budget: &Budget) -> Result<Value, SsoError> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let answer = self.ask(&Call { method: Method::GET, url, headers, body: None }, budget).await?;
        if answer.status != StatusCode::OK {
            return Err(classify(&answer).into());
        }
        if answer.body.len() > LARGEST_DOCUMENT {
            return Err(ProviderError::BadResponse { status: 200 }.into());
        }
        serde_json::from_slice(&answer.body).map_err(|_| ProviderError::BadResponse { status: 200 }.into())
    }

    /// A call of ours at the issuer. It names its addresses itself, so none of them has to redirect.
    async fn ask(&self, call: &Call, budget: &Budget) -> Result<Answer, ProviderError> {
        self.upstream.call_unredirected(ProviderType::EnterpriseSso, call, budget).await
    }
}

/// What an answer means that is neither a success nor one of OAuth's refusals.
fn classify(answer: &Answer) -> ProviderError {
    match answer.status.as_u16() {
        401 => ProviderError::Unauthorized,
        403 => ProviderError::Forbidden(ForbiddenReason::Plain),
        404 => ProviderError::NotFound,
        408 | 504 => ProviderError::Timeout,
        429 => {
            let retry_after = answer.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
            ProviderError::RateLimited { retry_after }
        }
        status => ProviderError::BadResponse { status },
    }
}

#[cfg(test)]
mod tests;
