//! `GET /user/installations/{id}/repositories`: what both the user and the App reach.
//! The order and the merging of many pages are `listing`'s business.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Github, GithubError};
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;
use crate::provider::{OwnerType, ProviderType, Repository};

/// One page of an installation's repositories.
#[derive(Clone, Debug)]
pub struct RepositoryPage {
    /// The repositories of this page, in GitHub's order.
    pub repositories: Vec<Repository>,
    /// How many there are on all pages.
    pub total_count: u64,
    /// The last page that the answer names, its own where it names none.
    pub last_page: u32,
}

#[derive(Deserialize)]
struct Page {
    total_count: u64,
    repositories: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct GithubRepository {
    id: u64,
    full_name: Option<String>,
    name: Option<String>,
    private: Option<bool>,
    owner: Option<Owner>,
    stargazers_count: Option<u64>,
    pushed_at: Option<String>,
    updated_at: Option<String>,
    created_at: Option<String>,
    default_branch: Option<String>,
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
    /// [`GithubError`]: 404 for an installation the user cannot see, 403 for a suspended one.
    pub async fn installation_repositories<T: TokenSource>(
        &self,
        installation: u64,
        page: u32,
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<RepositoryPage, GithubError> {
        let url = self.url(
            &["user", "installations", &installation.to_string(), "repositories"],
            &[("per_page", &per_page.to_string()), ("page", &page.to_string())],
        );
        let (list, answer) = self.get_json::<_, Page>(url, source, budget).await?;
        Ok(RepositoryPage {
            repositories: list.repositories.iter().filter_map(|item| repository(item.get())).collect(),
            total_count: list.total_count,
            last_page: super::installations::further(answer.header("link"), page),
        })
    }
}

impl GithubRepository {
    /// The fields that are as they should be, of an item where some are not.
    fn of_odd(json: &str) -> Option<Self> {
        let fields: serde_json::Map<String, Value> = serde_json::from_str(json).ok()?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: fields.get("id")?.as_u64()?,
            full_name: text("full_name"),
            name: text("name"),
            private: fields.get("private").and_then(Value::as_bool),
            owner: fields.get("owner").and_then(|owner| Owner::deserialize(owner).ok()),
            stargazers_count: fields.get("stargazers_count").and_then(Value::as_u64),
            pushed_at: text("pushed_at"),
            updated_at: text("updated_at"),
            created_at: text("created_at"),
            default_branch: text("default_branch"),
        })
    }
}

/// One odd item never costs the page (DESIGN 4), one odd field never costs the item: only what has no id
/// or no name is left out, and logged.
pub(super) fn repository(json: &str) -> Option<Repository> {
    let read = serde_json::from_str(json).ok().or_else(|| GithubRepository::of_odd(json));
    let found = read.and_then(with_a_name);
    if found.is_none() {
        tracing::warn!("a repository without the fields that identify it was left out of a page");
    }
    found
}

fn with_a_name(repository: GithubRepository) -> Option<Repository> {
    let owner = repository.owner;
    let full_name = repository.full_name.or_else(|| {
        let login = owner.as_ref().and_then(|owner| owner.login.as_deref());
        Some(match (login, repository.name?) {
            (Some(login), name) => format!("{login}/{name}"),
            (None, name) => name,
        })
    })?;
    Some(Repository {
        id: repository.id.to_string(),
        full_name,
        provider: ProviderType::Github,
        // Unknown is private: never shown as open to everybody by mistake.
        is_public: repository.private == Some(false),
        stargazers_count: repository.stargazers_count,
        pushed_at: repository.pushed_at,
        updated_at: repository.updated_at,
        created_at: repository.created_at,
        owner_type: owner.and_then(|owner| match owner.kind?.as_str() {
            "Organization" => Some(OwnerType::Organization),
            "User" => Some(OwnerType::User),
            _ => None,
        }),
        main_branch: repository.default_branch,
    })
}
