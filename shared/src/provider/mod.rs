//! The git hosts: what they have in common, and the words for it.
//! How our own API shows it is `contract`'s business.

pub mod authorized;
pub mod bitbucket;
pub mod enterprise_sso;
mod error;
mod field;
pub mod github;
pub mod gitlab;
mod host_user;
pub mod listing;
pub mod oauth;
pub mod paging;
pub mod remembered;
mod repository;
pub mod token;
pub mod upstream;

pub use authorized::CallError;
pub use error::{ForbiddenReason, ProviderError};
pub use host_user::HostUser;
pub use repository::{OwnerType, Repository, Sort};

use std::fmt;

/// A kind of git host, or the enterprise identity provider that brokers several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProviderType {
    /// GitHub, GitHub Enterprise Server or ghe.com.
    Github,
    /// GitLab, gitlab.com or self-managed.
    Gitlab,
    /// Bitbucket Cloud.
    Bitbucket,
    /// An OpenID Connect provider that brokers tokens of the other three.
    EnterpriseSso,
}

impl ProviderType {
    /// All values, in the order in which OpenHands names them.
    pub const ALL: [Self; 4] = [Self::Github, Self::Gitlab, Self::Bitbucket, Self::EnterpriseSso];

    /// The value as it stands in parameters and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::EnterpriseSso => "enterprise_sso",
        }
    }

    /// The provider of that exact name; case and surrounding space count.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name)
    }
}

impl fmt::Display for ProviderType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
