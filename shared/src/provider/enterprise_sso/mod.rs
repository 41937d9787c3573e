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
mod outside;
mod signed_token;
mod tokens;
mod visits;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use url::Url;

use super::upstream::{Answer, Budget, Call, Upstream, http_client_resolving};
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
use outside::{LookUp, OutsideOf};
use signed_token::SignedToken;

/// The largest document that is taken from an issuer. A discovery document or a key set has a few KB.
const LARGEST_DOCUMENT: usize = 256 * 1024;

/// The protocol with an issuer; clones share what is known of it.
#[derive(Clone)]
pub struct EnterpriseSso {
    upstream: Upstream,
    extra_ca: Vec<CertificateDer<'static>>,
    look_up: LookUp,
    clock: Clock,
    known: Arc<Mutex<Option<Arc<Known>>>>,
}

// By hand: a function has no text.
impl fmt::Debug for EnterpriseSso {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnterpriseSso").field("known", &self.known).finish_non_exhaustive()
    }
}

/// What is known of an issuer, by its exact name.
#[derive(Debug)]
struct Known {
    issuer: Issuer,
    discovery: Kept<Discovery>,
    keys: Kept<Keys>,
    /// The way to addresses of its document that are not its own; most issuers have none.
    outside: OnceLock<Upstream>,
}

impl EnterpriseSso {
    /// The protocol over `upstream`, with the time of `clock`. Nothing is asked yet.
    #[must_use]
    pub fn new(upstream: Upstream, clock: Clock) -> Self {
        ring_provider::install();
        let (extra_ca, look_up) = (Vec::new(), outside::system());
        Self { upstream, extra_ca, look_up, clock, known: Arc::default() }
    }

    /// The same, and these certificates are roots too where the issuer's document leads away from it.
    #[must_use]
    pub fn trusting(self, extra_ca: &[CertificateDer<'static>]) -> Self {
        Self { extra_ca: extra_ca.to_vec(), ..self }
    }

    /// What is known of this issuer: there is one, until the operator configures another.
    fn known(&self, issuer: &Issuer) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.as_ref().filter(|known| known.issuer == *issuer) {
            return same.clone();
        }
        let other = Known {
            issuer: issuer.clone(),
            discovery: Kept::default(),
            keys: Kept::default(),
            outside: OnceLock::new(),
        };
        known.insert(Arc::new(other)).clone()
    }

    /// The way to an address: the process's own to the issuer, which is the operator's word, and one that looks where it
    /// leads to whatever else the issuer's document names.
    fn way_to(&self, client: &SsoClient, url: &Url) -> Result<Upstream, ProviderError> {
        if url.origin() == client.issuer.url().origin() {
            return Ok(self.upstream.clone());
        }
        let known = self.known(&client.issuer);
        if let Some(made) = known.outside.get() {
            return Ok(made.clone());
        }
        let resolver = OutsideOf::new(&client.issuer, self.look_up.clone());
        let http = http_client_resolving(&self.extra_ca, resolver).map_err(|error| {
            tracing::error!(%error, "there is no way to what the issuer's document names");
            ProviderError::Unreachable
        })?;
        Ok(known.outside.get_or_init(|| Upstream::new(http)).clone())
    }

    async fn discovery(
        &self,
        client: &SsoClient,
        asker: Asker,
        budget: &Budget,
    ) -> Result<Arc<Discovery>, SsoError> {
        let known = self.known(&client.issuer);
        let read = async {
            let document = self.document(client, client.issuer.discovery_url(), budget).await?;
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
        Keys::read(&self.document(client, discovery.jwks_uri.clone(), budget).await?)
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
    async fn document(&self, client: &SsoClient, url: Url, budget: &Budget) -> Result<Value, SsoError> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let call = Call { method: Method::GET, url, headers, body: None };
        let answer = self.ask(client, &call, budget).await?;
        if answer.status != StatusCode::OK {
            return Err(classify(&answer).into());
        }
        if answer.body.len() > LARGEST_DOCUMENT {
            return Err(ProviderError::BadResponse { status: 200 }.into());
        }
        serde_json::from_slice(&answer.body).map_err(|_| ProviderError::BadResponse { status: 200 }.into())
    }

    /// A call of ours at the issuer. It names its addresses itself, so none of them has to redirect.
    async fn ask(&self, client: &SsoClient, call: &Call, budget: &Budget) -> Result<Answer, ProviderError> {
        let way = self.way_to(client, &call.url)?;
        way.call_unredirected(ProviderType::EnterpriseSso, call, budget).await
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
