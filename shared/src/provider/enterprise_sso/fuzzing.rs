//! What of this module is opened to the fuzz targets: documents, keys and tokens of an issuer, read and checked.
//! Built with the feature `fuzzing` only, and nothing is decided here.

use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use super::claims::Claims;
use super::discovery::Discovery;
use super::id_token::{Expected, identity};
use super::keys::Keys;
use super::signed_token::SignedToken;
use super::{BrokeredToken, EnterpriseSso, IdentityClaims, Issuer, LogoutToken, SsoClient};
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::upstream::Answer;
use crate::provider::{ProviderError, ProviderType};

/// Every address that a discovery document names for a call or a browser; none where it is refused.
pub fn addresses(issuer: &Issuer, document: &Value) -> Option<Vec<Url>> {
    let read = Discovery::read(issuer, document).ok()?;
    let required = [read.authorization_endpoint, read.token_endpoint, read.jwks_uri];
    let optional = [read.end_session_endpoint, read.revocation_endpoint];
    Some(required.into_iter().chain(optional.into_iter().flatten()).collect())
}

/// The usable keys of a set.
#[derive(Debug)]
pub struct KeySet(Keys);

impl KeySet {
    /// Reads a set; none without a usable key.
    #[must_use]
    pub fn read(set: &Value) -> Option<Self> {
        crate::ring_provider::install();
        Keys::read(set).ok().map(Self)
    }

    /// Whether one of them has signed this token.
    #[must_use]
    pub fn has_signed(&self, token: &str) -> bool {
        SignedToken::parse(token).is_ok_and(|token| self.0.claims(&token).is_ok())
    }
}

/// The algorithm of a token that is looked at.
#[must_use]
pub fn algorithm(token: &str) -> Option<String> {
    SignedToken::parse(token).ok().map(|token| format!("{:?}", token.algorithm))
}

/// What claims of a good signature say of who has signed in, at that time.
#[must_use]
pub fn id_token(
    client: &SsoClient,
    claims: Map<String, Value>,
    nonce: &str,
    access: &SecretString,
    now: i64,
) -> Option<IdentityClaims> {
    let claims = Claims::new(claims);
    claims.check(client, now).ok()?;
    identity(&claims, client, &Expected { nonce: Some(nonce), subject: None, access }).ok()
}

/// What claims of a good signature say of a session that has ended, at that time.
#[must_use]
pub fn logout_token(client: &SsoClient, claims: Map<String, Value>, now: i64) -> Option<LogoutToken> {
    let claims = Claims::new(claims);
    let expires_at = claims.check(client, now).ok()?;
    super::logout_token::logout(&claims, expires_at).ok()
}

/// What a token endpoint's answer grants.
///
/// # Errors
/// [`OauthError`].
pub fn grant(sso: &EnterpriseSso, answer: &Answer) -> Result<TokenGrant, OauthError> {
    sso.read_grant(answer, OauthError::BadCode).map(|(grant, _)| grant)
}

/// What a broker's answer holds, success or not.
///
/// # Errors
/// [`ProviderError`].
pub fn brokered(answer: &Answer) -> Result<Option<BrokeredToken>, ProviderError> {
    if super::broker::is_token_refused(answer) {
        return Err(ProviderError::Unauthorized);
    }
    if answer.status.is_success() {
        return super::broker::stored(answer);
    }
    super::broker::without_token(answer, ProviderType::Gitlab).map(|()| None)
}
