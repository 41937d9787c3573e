//! What of this module is opened to the fuzz targets: the pages that GitHub shows to the App.
//! Built with the feature `fuzzing` only, and nothing is decided here.

use super::{AppSummary, DeliveriesPage, InstallationsPage};
use crate::clock::Clock;
use crate::provider::ProviderError;
use crate::provider::upstream::Answer;

/// The App itself.
///
/// # Errors
/// [`ProviderError`].
pub fn app(answer: &Answer, clock: &Clock) -> Result<AppSummary, ProviderError> {
    AppSummary::read(answer, clock)
}

/// A page of its installations.
///
/// # Errors
/// [`ProviderError`].
pub fn installations(answer: &Answer, page: u32, clock: &Clock) -> Result<InstallationsPage, ProviderError> {
    InstallationsPage::read(answer, page, clock)
}

/// A page of its webhook's deliveries.
///
/// # Errors
/// [`ProviderError`].
pub fn deliveries(
    answer: &Answer,
    cursor: Option<&str>,
    clock: &Clock,
) -> Result<DeliveriesPage, ProviderError> {
    DeliveriesPage::read(answer, cursor, clock)
}
