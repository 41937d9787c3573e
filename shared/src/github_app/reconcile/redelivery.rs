//! Failed deliveries are asked for again: GitHub does not try a second time by itself, keeps them for three
//! days, and sends the same GUID (reference: GitHub 2.2). What has arrived meanwhile is left alone.

use std::collections::HashMap;

use super::{Run, Step, Stopped};
use crate::failure::Failure;
use crate::github_app::HookDelivery;
use crate::github_app::mapping::MAPPING_EVENTS;
use crate::provider::ProviderError;
use crate::store::Redelivery;

/// How long GitHub redelivers, in seconds.
const KEPT: i64 = 3 * 24 * 3600;
/// How often one event is asked for.
const ATTEMPTS: i64 = 3;
/// The least time between two attempts, in seconds: the last one may be under way.
const PAUSE: i64 = 300;
/// Attempts of one run.
const MOST: u64 = 500;

impl Run<'_> {
    /// `started_at` is GitHub's time.
    pub(super) async fn redeliver(&mut self, started_at: i64) -> Step {
        let failed = self.failed_deliveries(started_at - KEPT).await?;
        if failed.is_empty() {
            return Ok(());
        }
        let table = &self.service.table;
        let app_id = self.state.app_id.unwrap_or_default();
        let guids: Vec<String> = failed.iter().map(|delivery| delivery.guid.clone()).collect();
        let arrived = table.deliveries_of(app_id, &guids).await?;
        let asked: HashMap<String, Redelivery> = table
            .redeliveries(&guids)
            .await?
            .into_iter()
            .map(|redelivery| (redelivery.guid.clone(), redelivery))
            .collect();
        for delivery in failed.iter().filter(|delivery| !arrived.contains(&delivery.guid)) {
            self.has_time()?;
            // Those that were given up or are under way are passed over without being counted, or so many
            // of them would keep all others from their turn.
            if self.summary.redelivered >= MOST {
                break;
            }
            let now = self.service.clock.unix();
            let before =
                asked.get(&delivery.guid).cloned().unwrap_or_else(|| Redelivery::new(&delivery.guid, now));
            self.ask_again(delivery, before, now).await?;
        }
        Ok(())
    }

    async fn ask_again(&mut self, delivery: &HookDelivery, before: Redelivery, now: i64) -> Step {
        if before.given_up || before.asked_at + PAUSE > now {
            return Ok(());
        }
        let service = self.service;
        if before.attempts >= ATTEMPTS {
            let given_up = Redelivery { given_up: true, ..before.clone() };
            if service.table.keep_redelivery(&before, &given_up).await? {
                tracing::warn!(
                    guid = delivery.guid,
                    event = delivery.event,
                    status_code = delivery.status_code,
                    installation_id = delivery.installation_id,
                    "a delivery has failed as often as it is asked for"
                );
                self.summary.given_up += 1;
            }
            return Ok(());
        }
        // Counted first: an attempt whose answer is lost is an attempt.
        let asked = Redelivery { attempts: before.attempts + 1, asked_at: now, ..before.clone() };
        if !service.table.keep_redelivery(&before, &asked).await? {
            return Ok(());
        }
        match service.github_app.redeliver(&service.github, delivery.id, &self.budget).await {
            Ok(()) => self.summary.redelivered += 1,
            // Too old, or not one that can be sent again: the others can.
            Err(Failure::Provider {
                error: error @ (ProviderError::NotFound | ProviderError::BadResponse { .. }),
                ..
            }) => tracing::warn!(guid = delivery.guid, %error, "GitHub does not deliver again"),
            Err(failure) => return self.judged(Err(failure)),
        }
        Ok(())
    }

    /// The last failed delivery of each event since then, the oldest first.
    async fn failed_deliveries(&mut self, since: i64) -> Result<Vec<HookDelivery>, Stopped> {
        let service = self.service;
        let mut cursor = None;
        // The newest come first, and a redelivery has a number of its own.
        let mut newest: HashMap<String, HookDelivery> = HashMap::new();
        loop {
            self.has_time()?;
            let page =
                service.github_app.failed_deliveries(&service.github, cursor.as_deref(), &self.budget).await;
            let page = self.judged(page)?;
            let mut past = false;
            for delivery in page.deliveries {
                past |= delivery.delivered_at < since;
                if delivery.delivered_at >= since && MAPPING_EVENTS.contains(&delivery.event.as_str()) {
                    newest.entry(delivery.guid.clone()).or_insert(delivery);
                }
            }
            cursor = page.next;
            if past || cursor.is_none() {
                break;
            }
        }
        let mut failed: Vec<HookDelivery> = newest.into_values().collect();
        failed.sort_by_key(|delivery| (delivery.delivered_at, delivery.id));
        Ok(failed)
    }
}
