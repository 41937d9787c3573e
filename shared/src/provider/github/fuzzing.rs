//! What of this module is opened to the fuzz targets: a page of repositories, grants, dates.
//! Built with the feature `fuzzing` only, and nothing is decided here.

use super::repositories::{Listed, Page};
use super::{Github, read_json};
use crate::clock::Clock;
use crate::provider::ProviderError;
use crate::provider::oauth::{OauthError, TokenGrant};
use crate::provider::upstream::Answer;

/// The items of a page of repositories that can be read, how many the host counts, and the last page that it names.
///
/// # Errors
/// [`ProviderError`].
pub fn repositories<R: Listed>(
    answer: &Answer,
    page: u32,
    clock: &Clock,
) -> Result<(Vec<R>, u64, u32), ProviderError> {
    let read = Page::read(answer, clock)?;
    Ok((read.repositories, read.total_count, super::further(answer.header("link"), page)))
}

/// The list of installations of an answer.
///
/// # Errors
/// [`ProviderError`].
pub fn installations(answer: &Answer, clock: &Clock) -> Result<super::Installations, ProviderError> {
    read_json(answer, clock)
}

/// What a token endpoint's answer grants.
///
/// # Errors
/// [`OauthError`].
pub fn grant(github: &Github, answer: &Answer) -> Result<TokenGrant, OauthError> {
    github.read_grant(answer)
}

/// Unix seconds of a date as GitHub writes it.
#[must_use]
pub fn unix_seconds(date: &str) -> Option<i64> {
    super::unix_seconds(date)
}
