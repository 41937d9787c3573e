//! Which webhook deliveries have been dealt with: `DELIVERY#<target>#<guid>`, written in the transaction of
//! what they change. What they tell is `github_app::webhook`'s business.

use serde::{Deserialize, Serialize};

use super::table::{Key, Only, StoreError, Table, Write};

/// Longer than GitHub delivers anything again: three days, seven at an enterprise server.
const KEPT_SECONDS: i64 = 30 * 24 * 3600;

/// A delivery that was dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// The App that it went to. GUIDs are shared between the Apps that hear of an event.
    pub target_id: u64,
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// `X-GitHub-Event`.
    pub event: String,
    /// When, in Unix seconds.
    pub received_at: i64,
    /// TTL of the table, in Unix seconds.
    pub expires_at: i64,
}

fn key(target_id: u64, guid: &str) -> Key {
    Key::new(format!("DELIVERY#{target_id}#{guid}"), "DELIVERY")
}

impl DeliveryRecord {
    /// The record of a delivery that is dealt with now.
    #[must_use]
    pub fn new(target_id: u64, guid: &str, event: &str, now: i64) -> Self {
        Self {
            target_id,
            guid: guid.to_owned(),
            event: event.to_owned(),
            received_at: now,
            expires_at: now + KEPT_SECONDS,
        }
    }

    pub(super) fn write(&self) -> Result<Write, StoreError> {
        Write::put(&key(self.target_id, &self.guid), self, Only::IfAbsent)
    }
}

impl Table {
    /// Whether a delivery was dealt with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_delivery(&self, target_id: u64, guid: &str) -> Result<bool, StoreError> {
        Ok(self.get::<DeliveryRecord>(&key(target_id, guid)).await?.is_some())
    }

    /// Those of the GUIDs that were dealt with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries_of(&self, target_id: u64, guids: &[String]) -> Result<Vec<String>, StoreError> {
        let keys: Vec<Key> = guids.iter().map(|guid| key(target_id, guid)).collect();
        let records: Vec<DeliveryRecord> = self.get_many(&keys).await?;
        Ok(records.into_iter().map(|record| record.guid).collect())
    }

    /// Notes a delivery that changed nothing in any installation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_delivery(&self, record: &DeliveryRecord) -> Result<(), StoreError> {
        match self.write(record.write()?).await {
            // Another process has dealt with the same one at the same time.
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
