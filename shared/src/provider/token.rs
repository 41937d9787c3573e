//! An access token as a provider's calls need it: usable now, and renewable where its owner is known.
//! Where tokens come from and how they are kept is `identity`'s business.

use std::future::Future;

use secrecy::SecretString;

use super::ProviderError;

/// A token that is usable now.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token.
    pub secret: SecretString,
    /// Which state of the stored token this is; 0 for a forwarded one.
    pub version: u64,
    /// Obtained a moment ago; hosts may not know it everywhere yet (replication lag).
    pub fresh: bool,
}

/// Why no token can be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// No token is stored for the user at this provider.
    #[error("no token is linked")]
    NotLinked,
    /// The token has ended and cannot be renewed.
    #[error("the sign-in has expired")]
    Expired,
    /// The enterprise SSO that holds the token gives no usable one any more.
    #[error("the enterprise SSO has no usable token")]
    BrokerExpired,
    /// The enterprise SSO that holds the token failed.
    #[error("the enterprise SSO: {0}")]
    Broker(ProviderError),
    /// The host failed while renewing.
    #[error(transparent)]
    Host(#[from] ProviderError),
    /// The table or the secrets failed, and trying again later helps; text for the log.
    #[error("{0}")]
    Unavailable(String),
    /// A defect or a broken setting of ours, such as a token that does not open; text for the log.
    #[error("{0}")]
    Internal(String),
}

/// Gives the token for a call, and another one when the host does not accept it.
pub trait TokenSource: Send + Sync {
    /// The token to call with.
    ///
    /// # Errors
    /// [`TokenError`] where there is none.
    fn token(&self) -> impl Future<Output = Result<AccessToken, TokenError>> + Send;

    /// Another token in place of one that the host did not accept; `None` where there is no other.
    ///
    /// # Errors
    /// [`TokenError`] where renewing failed.
    fn renew(
        &self,
        rejected: &AccessToken,
    ) -> impl Future<Output = Result<Option<AccessToken>, TokenError>> + Send;
}

/// A token that is used as it is, never renewed, never kept: the caller's own, or one just obtained.
#[derive(Clone, Debug)]
pub struct FixedToken {
    secret: SecretString,
    fresh: bool,
}

impl FixedToken {
    /// A token that the caller brought.
    #[must_use]
    pub const fn forwarded(secret: SecretString) -> Self {
        Self { secret, fresh: false }
    }

    /// A token that the host gave a moment ago.
    #[must_use]
    pub const fn fresh(secret: SecretString) -> Self {
        Self { secret, fresh: true }
    }
}

impl TokenSource for FixedToken {
    async fn token(&self) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { secret: self.secret.clone(), version: 0, fresh: self.fresh })
    }

    async fn renew(&self, _: &AccessToken) -> Result<Option<AccessToken>, TokenError> {
        Ok(None)
    }
}
