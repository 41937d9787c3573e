//! Many pages made one list: over all installations of a host, and over all hosts; sorted, without
//! duplicates, with a note of what failed. A host's own calls are in its module.

use std::cmp::Ordering;
use std::collections::HashSet;

use futures::stream::{self, StreamExt};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::github::{Github, Listed, MAX_PER_PAGE, RepositoryDetails};
use super::paging::{self, Remaining};
use super::token::{TokenError, TokenSource};
use super::upstream::Budget;
use super::{CallError, ProviderError, ProviderType, Repository, Sort};

/// The longest merged list that is answered (DESIGN 4); cut after sorting.
pub const LONGEST: usize = 10_000;

/// A part of a listing that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The host.
    pub provider: ProviderType,
    /// The installation; `None` where more than one is concerned.
    pub installation: Option<String>,
    /// Why.
    pub cause: Cause,
}

/// Why a part of a listing is missing: the host's failure, or our own, which is not the host's to answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host.
    Host(ProviderError),
    /// The table or the secrets; trying again later helps.
    Unavailable,
    /// A defect or a broken setting.
    Internal,
}

impl Cause {
    /// The figure in `X-Partial-Result`.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Host(error) => error.status(),
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

impl From<ProviderError> for Cause {
    fn from(error: ProviderError) -> Self {
        Self::Host(error)
    }
}

/// What was found at one host or at several.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The repositories, not in any order yet.
    pub repositories: Vec<Repository>,
    /// What is missing.
    pub missing: Vec<Missing>,
}

/// All repositories that a user reaches through one installation, in GitHub's order, without duplicates.
///
/// # Errors
/// [`CallError`] if any page fails: a cut list would look like a whole one.
pub async fn of_installation<T: TokenSource>(
    github: &Github,
    installation: u64,
    source: &T,
    budget: &Budget,
) -> Result<Vec<RepositoryDetails>, CallError> {
    let (mut found, failed) = installation_repositories(github, installation, source, budget).await;
    if let Some(error) = failed {
        return Err(error);
    }
    let mut seen = HashSet::with_capacity(found.len());
    found.retain(|repository: &RepositoryDetails| seen.insert(repository.id));
    Ok(found)
}

/// Every page of one installation: the first says how many there are, the others are fetched at once.
/// A failing page costs itself only; the error stands beside what was found.
async fn installation_repositories<R: Listed, T: TokenSource>(
    github: &Github,
    installation: u64,
    source: &T,
    budget: &Budget,
) -> (Vec<R>, Option<CallError>) {
    let page = |page| github.installation_repositories(installation, page, MAX_PER_PAGE, source, budget);
    let first = match page(1).await {
        Ok(first) => first,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut found = first.repositories;
    let mut failed = None;
    let mut remaining = Remaining::new(first.total_count, MAX_PER_PAGE, first.last_page);
    while let Some(batch) = remaining.batch() {
        let mut pages = stream::iter(batch).map(page).buffered(paging::AT_ONCE as usize);
        while let Some(answer) = pages.next().await {
            match answer {
                Ok(answer) => {
                    remaining.saw(answer.repositories.len(), answer.last_page);
                    found.extend(answer.repositories);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
    }
    (found, failed)
}

/// What several hosts were asked at once, and what became of it.
pub type Results<T> = Vec<(ProviderType, Result<T, CallError>)>;

/// What succeeded at several hosts, and what did not. A host that fails does not cost the others. What fails by our
/// own fault is told to the log here, because the request ends well.
///
/// # Errors
/// The first host and its error when none succeeded; nothing asked is nothing failed.
pub fn succeeded<T>(results: Results<T>) -> Result<(Vec<T>, Vec<Missing>), (ProviderType, CallError)> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (provider, result) in results {
        match result {
            Ok(part) => found.push(part),
            Err(error) => failed.push((provider, error)),
        }
    }
    if found.is_empty() && !failed.is_empty() {
        return Err(failed.swap_remove(0));
    }
    let missing = failed.into_iter().map(|(provider, error)| {
        let cause = cause(&error);
        match cause {
            Cause::Host(_) => {}
            Cause::Unavailable => tracing::warn!(%provider, %error, "a host is missing by our own fault"),
            Cause::Internal => tracing::error!(%provider, %error, "a host is missing by our own fault"),
        }
        Missing { provider, installation: None, cause }
    });
    Ok((found, missing.collect()))
}

/// The listings of several hosts as one. A host that fails is noted as missing and does not cost the others.
///
/// # Errors
/// The first host and its error when none succeeded.
pub fn merge(results: Results<Listing>) -> Result<Listing, (ProviderType, CallError)> {
    let (found, missing) = succeeded(results)?;
    let mut merged = Listing { repositories: Vec::new(), missing };
    for listing in found {
        merged.repositories.extend(listing.repositories);
        merged.missing.extend(listing.missing);
    }
    Ok(merged)
}

/// The ids of the installations of several hosts as one list: in the hosts' order, each id once.
///
/// # Errors
/// The first host and its error when none succeeded.
pub fn merge_installations(
    results: Results<Vec<String>>,
) -> Result<(Vec<String>, Vec<Missing>), (ProviderType, CallError)> {
    let (found, missing) = succeeded(results)?;
    let mut seen = HashSet::new();
    let ids = found.into_iter().flatten().filter(|id| seen.insert(id.clone())).collect();
    Ok((ids, missing))
}

/// How a failure counts in `X-Partial-Result`: without a usable token, as the host's own refusal of one.
const fn cause(error: &CallError) -> Cause {
    match error {
        CallError::Host(error) | CallError::Token(TokenError::Host(error) | TokenError::Broker(error)) => {
            Cause::Host(*error)
        }
        CallError::Token(TokenError::NotLinked | TokenError::Expired | TokenError::BrokerExpired) => {
            Cause::Host(ProviderError::Unauthorized)
        }
        CallError::Token(TokenError::Unavailable(_)) => Cause::Unavailable,
        CallError::Token(TokenError::Internal(_)) => Cause::Internal,
    }
}

/// A finished list.
#[derive(Clone, Debug)]
pub struct Sorted {
    /// The repositories, in order, [`LONGEST`] at most.
    pub repositories: Vec<Repository>,
    /// How many there were before the list was cut.
    pub total: usize,
    /// What is missing.
    pub missing: Vec<Missing>,
}

impl Listing {
    /// Duplicates (the same id at the same host) out, in order, cut at [`LONGEST`] after sorting.
    #[must_use]
    pub fn sorted(mut self, sort: Sort) -> Sorted {
        let mut seen = HashSet::with_capacity(self.repositories.len());
        self.repositories.retain(|repository| seen.insert((repository.provider, repository.id.clone())));
        drop(seen);
        let total = self.repositories.len();
        let mut repositories = order(self.repositories, sort);
        repositories.truncate(LONGEST);
        Sorted { repositories, total, missing: self.missing }
    }
}

/// Repositories in the given order; equal ones by name, provider and id, so that the order never wavers.
/// Times are compared as instants: hosts write them with offsets too. Without a time comes last.
#[must_use]
pub fn order(repositories: Vec<Repository>, sort: Sort) -> Vec<Repository> {
    let time_of = |repository: &Repository| {
        let text = match sort {
            Sort::Pushed => repository.pushed_at.as_deref(),
            Sort::Updated => repository.updated_at.as_deref(),
            Sort::Created => repository.created_at.as_deref(),
            Sort::FullName => None,
        };
        text.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
    };
    let mut keyed: Vec<_> = repositories
        .into_iter()
        .map(|repository| (time_of(&repository), repository.full_name.to_ascii_lowercase(), repository))
        .collect();
    keyed.sort_unstable_by(|(time_a, name_a, a), (time_b, name_b, b)| {
        // `None` is less than any time, so newest first puts it last.
        let by_time = time_b.cmp(time_a);
        by_time
            .then_with(|| name_a.cmp(name_b))
            .then_with(|| a.full_name.cmp(&b.full_name))
            .then_with(|| a.provider.cmp(&b.provider))
            .then_with(|| compare_ids(&a.id, &b.id))
    });
    keyed.into_iter().map(|(_, _, repository)| repository).collect()
}

/// Numeric ids by number, others as text.
fn compare_ids(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A page of a sorted list; numbers count from 1. The second value tells whether another page follows.
#[must_use]
pub fn page(repositories: Vec<Repository>, page: u32, per_page: u32) -> (Vec<Repository>, bool) {
    let per_page = usize::try_from(per_page).unwrap_or(usize::MAX).max(1);
    let start = usize::try_from(page.max(1) - 1).unwrap_or(usize::MAX).saturating_mul(per_page);
    let more = repositories.len() > start.saturating_add(per_page);
    (repositories.into_iter().skip(start).take(per_page).collect(), more)
}

/// The host's own error in a token's or a call's failure.
#[must_use]
pub const fn host_error(error: &CallError) -> Option<ProviderError> {
    match error {
        CallError::Host(error) | CallError::Token(TokenError::Host(error) | TokenError::Broker(error)) => {
            Some(*error)
        }
        CallError::Token(_) => None,
    }
}

#[cfg(test)]
mod tests;
