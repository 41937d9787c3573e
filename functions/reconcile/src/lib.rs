//! Invoked by a schedule: one run of the reconciliation, as far as the time goes.
//! What is looked at and repaired is `shared::github_app::reconcile`'s business.

use std::sync::Arc;

use shared::failure::Failure;
use shared::github_app::reconcile::{self, Summary};
use shared::runtime::Scheduled;
use shared::service::Service;
use tokio::time::Instant;

/// One run that ends before `deadline`; with `full`, everything is looked at.
///
/// # Errors
/// [`Failure`] when GitHub or AWS fails; what was repaired until then stays so, and the next run goes on.
pub async fn handle(
    service: Arc<Service>,
    scheduled: Scheduled,
    deadline: Instant,
) -> Result<Summary, Failure> {
    let summary = reconcile::run(&service, scheduled.full, deadline).await?;
    tracing::info!(?summary, "reconciled");
    Ok(summary)
}
