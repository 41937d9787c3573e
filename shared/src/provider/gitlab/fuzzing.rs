//! What of this module is opened to the fuzz targets: pages of groups and projects, what follows them, grants.
//! Built with the feature `fuzzing` only, and nothing is decided here.

use serde_json::value::RawValue;

use super::installations::Group;
use super::pages::{Numbered, Page};
use super::project::Project;
use super::said::{Next, Said};
use super::{Gitlab, errors};
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::upstream::Answer;
use crate::provider::{ProviderError, Repository};

/// A page as it is read.
#[derive(Debug)]
pub struct ReadPage<I> {
    /// What could be read, each with its number.
    pub items: Vec<(u64, I)>,
    /// How many there were, the unreadable among them.
    pub length: usize,
    /// How many there are on all pages.
    pub total: Option<u64>,
    /// Whether another page follows.
    pub has_next: bool,
    /// The id out of a link behind which the listing goes on.
    pub linked_id: Option<u64>,
    /// Where a listing by ids goes on behind this page.
    ///
    /// # Errors
    /// In it, the refusal to go in a circle.
    pub behind: Result<Option<u64>, ProviderError>,
}

fn page<I: Numbered, T>(
    gitlab: &Gitlab,
    answer: &Answer,
    after: u64,
    show: impl Fn(I) -> T,
) -> Result<ReadPage<T>, ProviderError> {
    errors::success(answer, &gitlab.clock)?;
    let items: Vec<&RawValue> = errors::json(answer)?;
    let said = Said::read(answer, &gitlab.host.base);
    let page: Page<I> = Page::new(items.into_iter().map(RawValue::get), said);
    Ok(ReadPage {
        length: page.length,
        total: said.total,
        has_next: page.has_next(super::MAX_PER_PAGE),
        linked_id: if let Next::After(id) = said.next { Some(id) } else { None },
        behind: page.behind(after),
        items: page.items.into_iter().map(|item| (item.number(), show(item))).collect(),
    })
}

/// A page of groups, by their paths.
///
/// # Errors
/// [`ProviderError`].
pub fn groups(gitlab: &Gitlab, answer: &Answer, after: u64) -> Result<ReadPage<String>, ProviderError> {
    page(gitlab, answer, after, |group: Group| group.full_path)
}

/// A page of projects.
///
/// # Errors
/// [`ProviderError`].
pub fn projects(gitlab: &Gitlab, answer: &Answer, after: u64) -> Result<ReadPage<Repository>, ProviderError> {
    page(gitlab, answer, after, |project: Project| project.repository)
}

/// What a token endpoint's answer grants.
///
/// # Errors
/// [`OauthError`].
pub fn grant(gitlab: &Gitlab, answer: &Answer) -> Result<TokenGrant, OauthError> {
    gitlab.read_grant(answer, OauthError::BadCode)
}

/// Ranges of ids that are read at once.
#[must_use]
pub fn ranges(after: u64, newest: u64) -> Vec<(u64, Option<u64>)> {
    super::pages::ranges(after, newest)
}
