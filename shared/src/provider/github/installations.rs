//! `GET /user/installations` and what is read of an installation, leniently: GitHub adds fields and kinds
//! of account (reference: GitHub 1.3). The bytes themselves are passed through elsewhere, unread.

use serde::Deserialize;

use super::Github;
use crate::provider::CallError;
use crate::provider::paging;
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;

/// An installation, as far as the service reads it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Installation {
    /// Id; never used again after an uninstall.
    pub id: u64,
    /// The App it is of; absent in no answer of today, but not relied on for listing.
    pub app_id: Option<u64>,
    /// The account it is on. GitHub documents `null`.
    pub account: Option<Account>,
    /// Numeric id of the account.
    pub target_id: Option<u64>,
    /// `User`, `Organization`, `Enterprise`, or what GitHub adds.
    pub target_type: Option<String>,
    /// `all` or `selected`.
    pub repository_selection: Option<String>,
    /// When it was suspended; RFC 3339.
    pub suspended_at: Option<String>,
    /// Last change; RFC 3339, with an offset at times.
    pub updated_at: Option<String>,
}

/// A user, an organisation or an enterprise, which has a slug and no login.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Numeric id; never changes, unlike the name.
    pub id: u64,
    /// Login of a user or organisation.
    pub login: Option<String>,
    /// Slug of an enterprise.
    pub slug: Option<String>,
    /// `User` or `Organization`; enterprises have none.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Picture.
    pub avatar_url: Option<String>,
}

impl Account {
    /// Login or slug.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.login.as_deref().or(self.slug.as_deref())
    }
}

impl Installation {
    /// The kind of account: what the account says, else the target type.
    #[must_use]
    pub fn account_type(&self) -> Option<&str> {
        self.account.as_ref().and_then(|account| account.kind.as_deref()).or(self.target_type.as_deref())
    }
}

/// One answer of `GET /user/installations`.
#[derive(Clone, Debug, Deserialize)]
pub struct Installations {
    /// How many there are on all pages.
    pub total_count: u64,
    /// This page.
    pub installations: Vec<Installation>,
}

/// A user's part in an organisation, `GET /user/memberships/orgs/{org}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembershipRole {
    /// An active owner.
    Admin,
    /// Anything less, a pending invitation to be an owner included (reference: GitHub 5.2).
    Member,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
    role: String,
}

impl Github {
    /// The user's role in an organisation, proved with the user's own token.
    ///
    /// # Errors
    /// [`CallError`]; [`crate::provider::ProviderError::Forbidden`] where the App may not read memberships.
    pub async fn membership_role<T: TokenSource>(
        &self,
        organization: &str,
        source: &T,
        budget: &Budget,
    ) -> Result<MembershipRole, CallError> {
        let url = self.url(&["user", "memberships", "orgs", organization], &[]);
        let (membership, _) = self.get_json::<_, Membership>(url, source, budget).await?;
        Ok(if membership.state == "active" && membership.role == "admin" {
            MembershipRole::Admin
        } else {
            MembershipRole::Member
        })
    }
}

/// The last page that a `Link` names, `page` itself where it names none.
pub(crate) fn further(link: Option<&str>, page: u32) -> u32 {
    link.map_or(page, |link| {
        paging::page_of(link, "last").or_else(|| paging::page_of(link, "next")).unwrap_or(page).max(page)
    })
}
