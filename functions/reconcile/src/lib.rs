//! Invoked by a schedule: one run of the reconciliation, as far as the time goes.
//! What is looked at and repaired is `shared::github_app::reconcile`'s business.

use std::sync::Arc;

use shared::failure::Failure;
use shared::github_app::reconcile::{self, Summary};
use shared::provider::upstream::Budget;
use shared::runtime::Scheduled;
use shared::service::Service;

/// One run that ends before the budget's deadline; with `full`, everything is looked at.
///
/// # Errors
/// [`Failure`] when GitHub or AWS fails; what was repaired until then stays so, and the next run goes on.
pub async fn handle(service: Arc<Service>, scheduled: Scheduled, budget: Budget) -> Result<Summary, Failure> {
    reconcile::run(&service, scheduled.full, budget).await
}
