//! `GET /repositories/{workspace}`: one workspace's repositories, all workspaces' as one listing, and what is read
//! of each. Their order over all hosts is `listing`'s business (reference: Bitbucket 2.2).

use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reading::{Item, identified};
use super::{Bitbucket, same, text};
use crate::provider::field::value;
use crate::provider::listing::{Listing, Missing};
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, OwnerType, ProviderError, ProviderType, Repository, Sort};

/// Workspaces that are asked at once; the budget holds back what is over the operator's limit.
const AT_ONCE: usize = 100;
/// The order of a listing that is sorted afterwards: repositories keep their places in it whatever is pushed while
/// the pages are read, and new ones come last.
const STEADY: &str = "created_on";

/// A repository whose fields are found and not read yet, so that an odd one costs itself only.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    uuid: Option<&'a RawValue>,
    full_name: Option<&'a RawValue>,
    slug: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    workspace: Option<&'a RawValue>,
    owner: Option<&'a RawValue>,
    is_private: Option<&'a RawValue>,
    created_on: Option<&'a RawValue>,
    updated_on: Option<&'a RawValue>,
    mainbranch: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Workspace<'a> {
    #[serde(borrow)]
    slug: Option<&'a RawValue>,
    uuid: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Branch {
    name: Option<String>,
}

impl Fields<'_> {
    fn full_name(&self) -> Option<String> {
        let workspace = || text(value::<Workspace<'_>>(self.workspace)?.slug);
        let slug = text(self.slug);
        let composed = slug.as_ref().and_then(|slug| Some(format!("{}/{slug}", workspace()?)));
        composed.or_else(|| text(self.full_name)).or(slug).or_else(|| text(self.name))
    }

    /// A user's personal workspace has the user's uuid. Anybody else's is told by the owner's type, which Bitbucket
    /// has announced to remove; without it, what is not the user's own counts as an organization's.
    fn owner_type(&self, own: Option<&str>) -> Option<OwnerType> {
        let workspace = value::<Workspace<'_>>(self.workspace).and_then(|workspace| text(workspace.uuid));
        let is_own = own.zip(workspace).map(|(own, workspace)| same(own, &workspace));
        if is_own == Some(true) {
            return Some(OwnerType::User);
        }
        let owner = value::<Owner<'_>>(self.owner).and_then(|owner| text(owner.kind));
        match owner.as_deref() {
            Some("user") => Some(OwnerType::User),
            Some("team" | "workspace") => Some(OwnerType::Organization),
            _ => is_own.map(|_| OwnerType::Organization),
        }
    }
}

impl Item for Repository {
    fn read(item: &str, own: Option<&str>) -> Option<Self> {
        let fields: Fields<'_> = serde_json::from_str(item).ok()?;
        let updated_on = text(fields.updated_on);
        Some(Self {
            id: text(fields.uuid)?,
            full_name: fields.full_name()?,
            provider: ProviderType::Bitbucket,
            // Unknown is private: never shown as open to everybody by mistake.
            is_public: value(fields.is_private) == Some(false),
            stargazers_count: None,
            // Bitbucket has no date of the last push.
            pushed_at: updated_on.clone(),
            updated_at: updated_on,
            created_at: text(fields.created_on),
            owner_type: fields.owner_type(own),
            main_branch: value(fields.mainbranch)
                .and_then(|branch: Branch| branch.name)
                .filter(|name| !name.is_empty()),
        })
    }

    fn key(&self) -> &str {
        &self.id
    }
}

/// The order at Bitbucket. A name there is the one for people; `full_name` is not known to be sortable.
const fn sorted_by(sort: Sort) -> &'static str {
    match sort {
        Sort::Pushed | Sort::Updated => "-updated_on",
        Sort::Created => "-created_on",
        Sort::FullName => "name",
    }
}

impl Bitbucket {
    /// A page of the repositories of a workspace that the user may read, and whether more follow. `workspace`: its
    /// slug, or its uuid in braces. Pages count from 1; `per_page` is 100 at most.
    ///
    /// # Errors
    /// [`CallError`]: 404 for a workspace that the user cannot see.
    pub async fn installation_page<T: TokenSource>(
        &self,
        workspace: &str,
        sort: Sort,
        page: u32,
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<(Vec<Repository>, bool), CallError> {
        let url = self.repositories_url(workspace, sorted_by(sort));
        let (own, window) =
            tokio::join!(self.own_uuid(source, budget), self.window(&url, page, per_page, source, budget));
        let (items, more) = window?;
        Ok((items.iter().filter_map(|item| identified(item, own.as_deref())).collect(), more))
    }

    /// All repositories of all workspaces of the user, each once, not in any order. A workspace that fails is noted
    /// as missing beside what was found.
    ///
    /// # Errors
    /// The error itself when nothing succeeded: the list of workspaces, or every workspace; or when the user's
    /// sign-in has ended.
    pub async fn repositories<T: TokenSource>(
        &self,
        source: &T,
        budget: &Budget,
    ) -> Result<Listing, CallError> {
        let (own, workspaces) =
            tokio::join!(self.own_uuid(source, budget), self.installations(source, budget));
        let (own, workspaces) = (own.as_deref(), workspaces?);
        let mut succeeded = workspaces.is_empty();
        let mut results = stream::iter(workspaces)
            .map(|workspace| async move {
                let url = self.repositories_url(&workspace, STEADY);
                let (found, failed) = self.all::<Repository, T>(&url, own, source, budget).await;
                (workspace, found, failed)
            })
            .buffered(AT_ONCE);

        let mut listing = Listing::default();
        let mut seen = HashSet::new();
        let mut first_error = None;
        while let Some((workspace, found, failed)) = results.next().await {
            succeeded |= failed.is_none() || !found.is_empty();
            let new = found.into_iter().filter(|repository| seen.insert(repository.id.clone()));
            listing.repositories.extend(new);
            match failed {
                None => {}
                // Not one workspace's trouble: the user's sign-in has ended.
                Some(error @ (CallError::Token(_) | CallError::Host(ProviderError::Unauthorized))) => {
                    return Err(error);
                }
                Some(CallError::Host(error)) => {
                    listing.missing.push(Missing {
                        provider: ProviderType::Bitbucket,
                        installation: Some(workspace),
                        cause: error.into(),
                    });
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if !succeeded => Err(error.into()),
            _ => Ok(listing),
        }
    }

    fn repositories_url(&self, workspace: &str, sort: &str) -> url::Url {
        self.url(&["repositories", workspace], &[("role", "member"), ("sort", sort)])
    }
}
