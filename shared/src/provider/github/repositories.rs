//! `GET /user/installations/{id}/repositories`: what both the user and the App reach.
//! The order and the merging of many pages are `listing`'s business.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Github;
use crate::provider::field::value;
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, OwnerType, ProviderType, Repository};

/// What somebody reads of each repository in a listing.
pub trait Listed: Sized {
    /// Reads one item; `None` if it lacks what identifies it. No other field costs the item, whatever it holds.
    fn read(item: &str) -> Option<Self>;
}

/// One page of an installation's repositories.
#[derive(Clone, Debug)]
pub struct RepositoryPage<R> {
    /// The repositories of this page, in GitHub's order.
    pub repositories: Vec<R>,
    /// How many there are on all pages.
    pub total_count: u64,
    /// The last page that the answer names, its own where it names none.
    pub last_page: u32,
}

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) total_count: u64,
    pub(super) repositories: Vec<Box<RawValue>>,
}

impl Page {
    /// Those that can be read.
    pub(super) fn listed<R: Listed>(&self) -> Vec<R> {
        self.repositories.iter().filter_map(|item| identified(item.get())).collect()
    }
}

/// A repository whose fields are found and not read yet, so that an odd one costs itself only.
#[derive(Deserialize)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    pub(super) full_name: Option<&'a RawValue>,
    pub(super) name: Option<&'a RawValue>,
    pub(super) owner: Option<&'a RawValue>,
    pub(super) html_url: Option<&'a RawValue>,
    pub(super) description: Option<&'a RawValue>,
    pub(super) homepage: Option<&'a RawValue>,
    pub(super) size: Option<&'a RawValue>,
    pub(super) language: Option<&'a RawValue>,
    pub(super) license: Option<&'a RawValue>,
    pub(super) default_branch: Option<&'a RawValue>,
    pub(super) stargazers_count: Option<&'a RawValue>,
    pub(super) private: Option<&'a RawValue>,
    pub(super) fork: Option<&'a RawValue>,
    pub(super) is_template: Option<&'a RawValue>,
    pub(super) archived: Option<&'a RawValue>,
    pub(super) pushed_at: Option<&'a RawValue>,
    pub(super) updated_at: Option<&'a RawValue>,
    pub(super) created_at: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Owner {
    login: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Github {
    /// A page of the repositories of an installation; `per_page` at most 100.
    ///
    /// # Errors
    /// [`CallError`]: 404 for an installation the user cannot see, 403 for a suspended one.
    pub async fn installation_repositories<R: Listed, T: TokenSource>(
        &self,
        installation: u64,
        page: u32,
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<RepositoryPage<R>, CallError> {
        let url = self.url(
            &["user", "installations", &installation.to_string(), "repositories"],
            &[("per_page", &per_page.to_string()), ("page", &page.to_string())],
        );
        let (list, answer) = self.get_json::<_, Page>(url, source, budget).await?;
        Ok(RepositoryPage {
            repositories: list.listed(),
            total_count: list.total_count,
            last_page: super::installations::further(answer.header("link"), page),
        })
    }
}

/// One odd item never costs the page (DESIGN 4): what has no id or no name is left out, and logged.
fn identified<R: Listed>(item: &str) -> Option<R> {
    let found = R::read(item);
    if found.is_none() {
        tracing::warn!("a repository without the fields that identify it was left out of a page");
    }
    found
}

impl Fields<'_> {
    /// `owner/name`, without the owner where GitHub names none.
    pub(super) fn full_name(&self) -> Option<String> {
        value(self.full_name).or_else(|| {
            let name: String = value(self.name)?;
            let login = value(self.owner).and_then(|owner: Owner| owner.login);
            Some(login.map_or_else(|| name.clone(), |login| format!("{login}/{name}")))
        })
    }
}

impl Listed for Repository {
    fn read(item: &str) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_str(item).ok()?;
        Some(Self {
            id: value::<u64>(fields.id)?.to_string(),
            full_name: fields.full_name()?,
            provider: ProviderType::Github,
            // Unknown is private: never shown as open to everybody by mistake.
            is_public: value(fields.private) == Some(false),
            stargazers_count: value(fields.stargazers_count),
            pushed_at: value(fields.pushed_at),
            updated_at: value(fields.updated_at),
            created_at: value(fields.created_at),
            owner_type: value(fields.owner).and_then(|owner: Owner| match owner.kind?.as_str() {
                "Organization" => Some(OwnerType::Organization),
                "User" => Some(OwnerType::User),
                _ => None,
            }),
            main_branch: value(fields.default_branch),
        })
    }
}
