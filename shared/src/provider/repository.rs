//! A repository as every host can tell it, and the orders it can be listed in.
//! The JSON that clients see is `contract::openhands::Repository`.

use super::ProviderType;

/// Who owns a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OwnerType {
    /// A user.
    User,
    /// An organisation, group or workspace.
    Organization,
}

/// One repository at one host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Repository {
    /// The host's id, as text (Bitbucket's are uuids in braces).
    pub id: String,
    /// `owner/name`, on GitLab with all subgroups.
    pub full_name: String,
    /// The host.
    pub provider: ProviderType,
    /// Visible to everybody.
    pub is_public: bool,
    /// Stars, where the host counts them.
    pub stargazers_count: Option<u64>,
    /// Last push, RFC 3339 as the host writes it.
    pub pushed_at: Option<String>,
    /// Last change, RFC 3339 as the host writes it.
    pub updated_at: Option<String>,
    /// Creation, RFC 3339 as the host writes it.
    pub created_at: Option<String>,
    /// The owner's kind, where the host tells it.
    pub owner_type: Option<OwnerType>,
    /// The default branch, where the host tells it.
    pub main_branch: Option<String>,
}

/// The order of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Last push, newest first.
    #[default]
    Pushed,
    /// Last change, newest first.
    Updated,
    /// Creation, newest first.
    Created,
    /// A to Z, ASCII case ignored.
    FullName,
}

impl Sort {
    /// The order of that name; any other value means [`Sort::Pushed`], as OpenHands' default does.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "updated" => Self::Updated,
            "created" => Self::Created,
            "full_name" => Self::FullName,
            _ => Self::Pushed,
        }
    }

    /// The value as it stands in a query.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Updated => "updated",
            Self::Created => "created",
            Self::FullName => "full_name",
        }
    }
}
