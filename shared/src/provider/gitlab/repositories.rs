//! `GET /projects`, `/groups/:id/projects` and `/users/:id/projects` as repositories. Never with
//! `simple=true`, which tells no visibility. How pages become one list is `pages`' business.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::pages::{self, Page};
use super::project::Project;
use super::{Gitlab, MAX_PER_PAGE};
use crate::provider::paging::{self, AT_ONCE};
use crate::provider::token::TokenSource;
use crate::provider::upstream::Budget;
use crate::provider::{CallError, ProviderError, Repository, Sort};

/// The most projects that GitLab counts; above, it tells no total.
const COUNTED: u64 = 10_000;
/// How often pages are read by their numbers while projects come and go; then they are read by their ids.
const ATTEMPTS: usize = 2;
/// What is left out of every listing. Old versions know the first filter only.
const ACTIVE: [(&str, &str); 2] = [("archived", "false"), ("active", "true")];

/// Whether GitLab says that a page number is too high for it.
const fn is_too_far(error: &CallError) -> bool {
    matches!(error, CallError::Host(ProviderError::BadResponse { status: 405 }))
}

impl Gitlab {
    /// A page of what is in an installation: a group with all its subgroups, or the user's own namespace.
    /// The second value tells whether another page follows; `per_page` is 100 at most.
    ///
    /// # Errors
    /// [`CallError`]: 404 for a group that the user cannot see, and for another user's namespace.
    pub async fn installation_page<T: TokenSource>(
        &self,
        installation: &str,
        sort: Sort,
        page: u32,
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<(Vec<Repository>, bool), CallError> {
        let in_group = self.namespace_page(["groups", installation], sort, page, per_page, source, budget);
        match in_group.await {
            // Groups and users share their names, so that it can only be one of them.
            Err(CallError::Host(ProviderError::NotFound)) => {
                let user = self.user(source, budget).await?;
                if !user.login.eq_ignore_ascii_case(installation) {
                    return Err(ProviderError::NotFound.into());
                }
                self.namespace_page(["users", &user.id], sort, page, per_page, source, budget).await
            }
            answer => answer,
        }
    }

    async fn namespace_page<T: TokenSource>(
        &self,
        namespace: [&str; 2],
        sort: Sort,
        page: u32,
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<(Vec<Repository>, bool), CallError> {
        let (page, per_page) = (page.max(1), per_page.clamp(1, MAX_PER_PAGE));
        let (order_by, direction) = match sort {
            Sort::Pushed | Sort::Updated => ("last_activity_at", "desc"),
            Sort::Created => ("created_at", "desc"),
            Sort::FullName => ("path", "asc"),
        };
        let [kind, name] = namespace;
        let ask = |page: u32| async move {
            let (page, per_page) = (page.to_string(), per_page.to_string());
            let mut query = ACTIVE.to_vec();
            if kind == "groups" {
                query.extend([("include_subgroups", "true"), ("with_shared", "false")]);
            }
            query.extend([
                ("order_by", order_by),
                ("sort", direction),
                ("per_page", &per_page),
                ("page", &page),
            ]);
            self.page::<Project, T>(&[kind, name, "projects"], &query, source, budget).await
        };
        let found = match ask(page).await {
            // It says so of any high number, also where the listing ends long before.
            Err(error) if is_too_far(&error) && page > 1 => {
                let total = ask(1).await?.said.total.ok_or(error.clone())?;
                return if paging::pages(total, per_page) < page {
                    Ok((Vec::new(), false))
                } else {
                    Err(error)
                };
            }
            found => found?,
        };
        let follows = found.has_next(per_page);
        Ok((repositories(found.items), follows))
    }

    /// All projects that the user is a member of, in any way, but those that are archived or about to be
    /// deleted; in the order of their ids, without duplicates.
    ///
    /// # Errors
    /// [`CallError`] if any page fails: a cut list would look like a whole one.
    pub async fn repositories<T: TokenSource>(
        &self,
        source: &T,
        budget: &Budget,
    ) -> Result<Vec<Repository>, CallError> {
        let page = |number: u32| async move {
            let number = number.to_string();
            self.membership(&[("page", &number), ("sort", "asc")], MAX_PER_PAGE, source, budget).await
        };
        let mut lowest = 0;
        for _ in 0..ATTEMPTS {
            let first = match page(1).await {
                Err(error) if is_too_far(&error) => break,
                first => first?,
            };
            lowest = first.items.first().map_or(0, |project| project.id.saturating_sub(1));
            match first.said.total {
                Some(0..=COUNTED) => {}
                _ if !first.has_next(MAX_PER_PAGE) => return Ok(repositories(first.items)),
                _ => break,
            }
            match pages::by_number(first, page).await {
                Ok(found) if found.steady => return Ok(repositories(found.items)),
                Ok(_) => {}
                Err(error) if is_too_far(&error) => break,
                Err(error) => return Err(error),
            }
        }
        self.repositories_by_id(lowest, source, budget).await
    }

    /// The same without page numbers, which GitLab takes only so far: the ids in ranges, these at once.
    async fn repositories_by_id<T: TokenSource>(
        &self,
        lowest: u64,
        source: &T,
        budget: &Budget,
    ) -> Result<Vec<Repository>, CallError> {
        let newest =
            self.membership(&[("pagination", "keyset"), ("sort", "desc")], 1, source, budget).await?;
        let newest = newest.items.first().map_or(0, |project| project.id);
        let ask = |after: u64, before: Option<u64>| async move {
            let (after, before) = (after.to_string(), before.map(|before| before.to_string()));
            let mut query = vec![("pagination", "keyset"), ("sort", "asc"), ("id_after", after.as_str())];
            query.extend(before.as_deref().map(|before| ("id_before", before)));
            self.membership(&query, MAX_PER_PAGE, source, budget).await
        };
        let found: Vec<Vec<Project>> = stream::iter(pages::ranges(lowest, newest))
            .map(|(after, before)| pages::by_id(after, before, ask))
            .buffered(AT_ONCE as usize)
            .try_collect()
            .await?;
        Ok(repositories(found.concat()))
    }

    async fn membership<T: TokenSource>(
        &self,
        more: &[(&str, &str)],
        per_page: u32,
        source: &T,
        budget: &Budget,
    ) -> Result<Page<Project>, CallError> {
        let per_page = per_page.to_string();
        let mut query = vec![("membership", "true"), ("order_by", "id"), ("per_page", per_page.as_str())];
        query.extend(ACTIVE);
        query.extend(more);
        self.page(&["projects"], &query, source, budget).await
    }
}

/// What is shown of these projects, each once. Those that an old version did not leave out are left out here.
fn repositories(projects: Vec<Project>) -> Vec<Repository> {
    let mut seen = std::collections::HashSet::with_capacity(projects.len());
    let shown = projects.into_iter().filter(|project| project.active && seen.insert(project.id));
    shown.map(|project| project.repository).collect()
}
