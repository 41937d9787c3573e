//! `GET /user/installations/{id}/repositories`: what both the user and the App reach.
//! The order and the merging of many pages are `listing`'s business.

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Github, read_json};
use crate::clock::Clock;
use crate::provider::field::value;
use crate::provider::token::TokenSource;
use crate::provider::upstream::{Answer, Budget};
use crate::provider::{CallError, OwnerType, ProviderError, ProviderType, Repository};

/// What somebody reads of each repository in a listing.
pub trait Listed: Sized {
    /// Reads one item; `None` if it lacks what identifies it. No other field costs the item, whatever it holds.
    fn of(fields: &Fields<'_>) -> Option<Self>;

    /// Reads one item's JSON.
    fn read(item: &str) -> Option<Self> {
        Self::of(&serde_json::from_str(item).ok()?)
    }
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

/// What a page's body says.
pub(super) struct Page<R> {
    pub(super) total_count: u64,
    /// With those that could not be read.
    pub(super) count: usize,
    /// Those that could be read.
    pub(super) repositories: Vec<R>,
}

#[derive(Deserialize)]
struct Body<I> {
    total_count: u64,
    repositories: Vec<I>,
}

impl<R: Listed> Page<R> {
    /// Reads an answer. A page is half a megabyte, so it is gone through once where every item is an object, and item
    /// by item only where one is not.
    pub(super) fn read(answer: &Answer, clock: &Clock) -> Result<Self, ProviderError> {
        if answer.status == StatusCode::OK
            && let Ok(body) = serde_json::from_slice::<Body<Fields<'_>>>(&answer.body)
        {
            return Ok(Self::new(body.total_count, body.repositories.iter().map(R::of)));
        }
        let body: Body<&RawValue> = read_json(answer, clock)?;
        Ok(Self::new(body.total_count, body.repositories.iter().map(|item| R::read(item.get()))))
    }

    /// One odd item never costs the page (DESIGN 4): what has no id or no name is left out, and logged.
    fn new(total_count: u64, items: impl ExactSizeIterator<Item = Option<R>>) -> Self {
        let count = items.len();
        let repositories: Vec<R> = items.flatten().collect();
        for _ in repositories.len()..count {
            tracing::warn!("a repository without the fields that identify it was left out of a page");
        }
        Self { total_count, count, repositories }
    }
}

/// A repository whose fields are found and not read yet, so that an odd one costs itself only.
#[derive(Debug, Deserialize)]
pub struct Fields<'a> {
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
        let answer = self.get(url, HeaderMap::new(), source, budget).await?;
        let read = Page::read(&answer, &self.clock)?;
        Ok(RepositoryPage {
            repositories: read.repositories,
            total_count: read.total_count,
            last_page: super::installations::further(answer.header("link"), page),
        })
    }
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
    fn of(fields: &Fields<'_>) -> Option<Self> {
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
