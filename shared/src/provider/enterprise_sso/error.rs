//! What can go wrong in the protocol, one variant for each meaning.
//! The texts are for the log and hold nothing of a token; what a person reads is `contract`'s business.

use crate::provider::ProviderError;
use crate::provider::oauth::OauthError;

/// The issuer did not sign anybody in, or what it gave is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SsoError {
    /// The code is wrong, used or too old, or the PKCE verifier does not fit.
    #[error("the code is not accepted")]
    BadCode,
    /// The client id or secret is wrong: the operator's problem.
    #[error("the issuer does not accept the client credentials")]
    BadClient,
    /// The redirect address is not one of the client's: the operator's problem.
    #[error("the issuer does not accept the callback URL")]
    BadRedirect,
    /// Any other refusal, by OAuth's own error code.
    #[error("the issuer refuses: {0}")]
    Refused(String),
    /// The answer in the browser names another issuer, or none although ours always does (RFC 9207).
    #[error("the answer is not the configured issuer's")]
    OtherIssuer,
    /// The discovery document cannot be used.
    #[error("the issuer's discovery document {0}")]
    Discovery(&'static str),
    /// The key set cannot be used.
    #[error("the issuer's key set {0}")]
    KeySet(&'static str),
    /// A token breaks a rule.
    #[error("the token {0}")]
    Token(#[from] TokenProblem),
    /// The issuer failed.
    #[error(transparent)]
    Host(#[from] ProviderError),
}

/// Which rule an `id_token` or a `logout_token` breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// The token endpoint gave none.
    #[error("is missing")]
    Missing,
    /// It is too long, no JWS in compact form, or a header or claim is not what it has to be.
    #[error("cannot be read")]
    Malformed,
    /// Its `alg` is none of ours, or not that of the key.
    #[error("is signed with an algorithm that is not accepted")]
    Algorithm,
    /// Its `typ` says that it is another kind of token.
    #[error("is of another kind")]
    Kind,
    /// It marks an extension as critical (RFC 7515, 4.1.11).
    #[error("has a critical extension")]
    Critical,
    /// No key of the issuer is its key, or it was not yet time to look for a new one.
    #[error("is signed with a key that is not known")]
    UnknownKey,
    /// It names no key, and several fit.
    #[error("names no key although several fit")]
    AmbiguousKey,
    /// The signature is wrong.
    #[error("has a wrong signature")]
    Signature,
    /// `iss` is missing or another one.
    #[error("is another issuer's")]
    Issuer,
    /// `aud` is missing or does not name our client.
    #[error("is for another audience")]
    Audience,
    /// `azp` names another client, or is missing where several audiences are.
    #[error("was issued to another client")]
    AuthorizedParty,
    /// `exp` is missing or past.
    #[error("has expired or never does")]
    Expiry,
    /// `iat` is missing or in the future.
    #[error("was issued at no time or in the future")]
    IssuedAt,
    /// `nbf` is in the future.
    #[error("is not valid yet")]
    NotBefore,
    /// `sub` is missing, another one than expected, or no subject at all.
    #[error("has no subject or another one")]
    Subject,
    /// `nonce` is missing or another one; or it is there where none may be.
    #[error("has the wrong nonce")]
    Nonce,
    /// `at_hash` belongs to another access token.
    #[error("belongs to another access token")]
    AccessTokenHash,
    /// `events` does not say that a session has ended.
    #[error("tells of no logout")]
    Event,
    /// `jti` is missing.
    #[error("has no id")]
    TokenId,
    /// Neither `sid` nor `sub` is there.
    #[error("names neither a session nor a subject")]
    Session,
}

impl From<OauthError> for SsoError {
    fn from(error: OauthError) -> Self {
        match error {
            // Said of a code alone: the refresh of tokens has `OauthError`.
            OauthError::BadCode | OauthError::BadRefreshToken => Self::BadCode,
            OauthError::BadClient => Self::BadClient,
            OauthError::BadRedirect => Self::BadRedirect,
            OauthError::Refused(code) => Self::Refused(code),
            OauthError::Host(error) => Self::Host(error),
        }
    }
}

impl From<SsoError> for OauthError {
    fn from(error: SsoError) -> Self {
        if matches!(
            error,
            SsoError::OtherIssuer | SsoError::Token(_) | SsoError::Discovery(_) | SsoError::KeySet(_)
        ) {
            // OAuth has no words for it; the operator needs them.
            tracing::warn!(%error, "the enterprise SSO is not taken at its word");
        }
        match error {
            SsoError::BadCode => Self::BadCode,
            SsoError::BadClient => Self::BadClient,
            SsoError::BadRedirect => Self::BadRedirect,
            SsoError::Refused(code) => Self::Refused(code),
            SsoError::OtherIssuer => Self::refused("other_issuer"),
            SsoError::Token(_) => Self::refused("bad_id_token"),
            SsoError::Discovery(_) | SsoError::KeySet(_) => {
                Self::Host(ProviderError::BadResponse { status: 200 })
            }
            SsoError::Host(error) => Self::Host(error),
        }
    }
}
