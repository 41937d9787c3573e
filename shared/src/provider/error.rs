//! What can go wrong at a host, as far as our callers must be able to tell it apart.
//! The hosts' own error bodies are read where their answers are (`github`, ...), never shown.

/// A host's refusal or failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The host does not accept the token (any more).
    #[error("the host does not accept the token")]
    Unauthorized,
    /// The host knows the token and refuses.
    #[error("the host refuses: {0}")]
    Forbidden(ForbiddenReason),
    /// The host does not know the thing, or does not show it to this token.
    #[error("the host does not know it")]
    NotFound,
    /// A rate limit of the host; seconds until it makes sense to ask again, where the host says.
    #[error("the host's rate limit is reached")]
    RateLimited {
        /// Seconds to wait.
        retry_after: Option<u64>,
    },
    /// The host answered with a status or a body that it never should.
    #[error("the host answered {status} in an unexpected form")]
    BadResponse {
        /// The HTTP status, 200 for a body that could not be read.
        status: u16,
    },
    /// No connection, or it broke.
    #[error("the host cannot be reached")]
    Unreachable,
    /// The host did not answer within the call's or the request's time.
    #[error("the host did not answer in time")]
    Timeout,
}

/// Why a host says 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenReason {
    /// No more is known.
    #[error("no permission")]
    Plain,
    /// The organisation demands a live SAML session.
    #[error("single sign-on is required")]
    SingleSignOn,
    /// The installation is suspended.
    #[error("the installation is suspended")]
    Suspended,
}

impl ProviderError {
    /// The status of our own answer to it, also the figure in `X-Partial-Result`.
    ///
    /// 401 means authentication and nothing else; a host's failure is 502, its silence 504 (DESIGN 4).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound => 404,
            Self::RateLimited { .. } => 429,
            Self::BadResponse { .. } | Self::Unreachable => 502,
            Self::Timeout => 504,
        }
    }
}
