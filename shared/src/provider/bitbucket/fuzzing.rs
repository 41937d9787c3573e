//! What of this module is opened to the fuzz targets: pages, their items, the addresses that are asked, grants.
//! Built with the feature `fuzzing` only, and nothing is decided here.

use url::Url;

use super::paging::{Page, Walk};
use super::reading::{Item, identified};
use super::workspaces::Workspace;
use super::{Bitbucket, host_user};
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::upstream::Answer;
use crate::provider::{HostUser, ProviderError, Repository};

/// A page's workspaces and repositories, as far as its items are any, and how many items there were.
///
/// # Errors
/// [`ProviderError`].
pub fn page(answer: &Answer) -> Result<(Vec<String>, Vec<Repository>, usize), ProviderError> {
    let page = Page::read(answer)?;
    let workspaces = page.values.iter().filter_map(|item| identified::<Workspace>(item, None));
    let workspaces = workspaces.map(|workspace| workspace.key().to_owned()).collect();
    let repositories = page.values.iter().filter_map(|item| identified(item, None)).collect();
    Ok((workspaces, repositories, page.values.len()))
}

/// Every address that a listing asks for whose pages are answered by these in turn, the last of them for ever.
#[must_use]
pub fn asked(api: &Url, first: &Url, answers: &[Answer]) -> Vec<Url> {
    let pages: Vec<Page> = answers.iter().map_while(|answer| Page::read(answer).ok()).collect();
    let mut asked = Vec::new();
    let mut walk = Walk::new(api, first.clone());
    while let Ok(batch) = walk.batch() {
        for ask in &batch {
            let Some(page) = pages.get(asked.len()).or(pages.last()) else { return asked };
            asked.push(ask.url.clone());
            if walk.saw(ask, page).is_err() {
                return asked;
            }
        }
        if batch.is_empty() {
            break;
        }
    }
    asked
}

/// The user of an answer.
///
/// # Errors
/// [`ProviderError`].
pub fn user(answer: &Answer) -> Result<HostUser, ProviderError> {
    host_user(answer)
}

/// What a token endpoint's answer grants.
///
/// # Errors
/// [`OauthError`].
pub fn grant(bitbucket: &Bitbucket, answer: &Answer) -> Result<TokenGrant, OauthError> {
    bitbucket.read_grant(answer, OauthError::BadCode)
}
