//! How far reconciliation has come: what the next run goes on with, which pages a full run has seen, and how
//! often a failed delivery was asked for again. What is done about it is `github_app::reconcile`'s business.

use serde::{Deserialize, Serialize};

use super::table::{Key, Only, StoreError, Table, Write, number, text};

const PARTITION: &str = "RECONCILE";
/// How long the pages of a full run are kept: longer than it may take.
const SWEEP_SECONDS: i64 = 2 * 24 * 3600;
/// How long it is remembered that a delivery was asked for: longer than GitHub can send it.
const REDELIVERY_SECONDS: i64 = 10 * 24 * 3600;

/// What the next run goes on with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileState {
    /// Counts every change of this item.
    pub version: i64,
    /// The App whose installations the table holds.
    pub app_id: Option<u64>,
    /// GitHub's time until which all changes are known, in Unix seconds.
    pub since: Option<i64>,
    /// End of the last full run, in Unix seconds.
    pub full_at: Option<i64>,
    /// How many installations GitHub counted more than the table holds when a full run had just ended:
    /// counts may differ for reasons of GitHub's own, and that is no alarm.
    #[serde(default)]
    pub settled_difference: i64,
    /// A full run that has not ended yet.
    pub sweep: Option<Sweep>,
}

/// A full run under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// GitHub's time at its start, in Unix seconds; also its name.
    pub started_at: i64,
    /// The next page to ask for; none when all were seen.
    pub next_page: Option<u32>,
    /// How many installations GitHub counted more than the table held at its start, less what was repaired
    /// since; none where GitHub did not say.
    #[serde(default)]
    pub difference: Option<i64>,
}

/// A failed delivery that was asked for again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redelivery {
    /// `X-GitHub-Delivery`.
    pub guid: String,
    /// How often it was asked for.
    pub attempts: i64,
    /// When last, in Unix seconds.
    pub asked_at: i64,
    /// It was asked for often enough.
    pub given_up: bool,
    /// TTL of the table, in Unix seconds.
    pub expires_at: i64,
}

impl Redelivery {
    /// One that was never asked for.
    #[must_use]
    pub fn new(guid: &str, now: i64) -> Self {
        let expires_at = now + REDELIVERY_SECONDS;
        Self { guid: guid.to_owned(), attempts: 0, asked_at: 0, given_up: false, expires_at }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) holder: String,
    pub(super) held_until: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SweptPage {
    ids: Vec<u64>,
    pub(super) expires_at: i64,
}

fn state_key() -> Key {
    Key::new(PARTITION, "STATE")
}

fn lease_key() -> Key {
    Key::new(PARTITION, "LEASE")
}

fn sweep_prefix(sweep: &Sweep) -> String {
    format!("SWEEP#{}#", sweep.started_at)
}

fn redelivery_key(guid: &str) -> Key {
    Key::new(format!("REDELIVERY#{guid}"), "REDELIVERY")
}

impl Table {
    /// What the next run goes on with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reconcile_state(&self) -> Result<ReconcileState, StoreError> {
        Ok(self.get(&state_key()).await?.unwrap_or_default())
    }

    /// Keeps it, and counts its version on.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another run has kept something else meanwhile.
    pub async fn keep_reconcile_state(&self, state: &mut ReconcileState) -> Result<(), StoreError> {
        let only = match state.version {
            0 => Only::IfAbsent,
            version => Only::IfEquals("version", number(version)),
        };
        let next = ReconcileState { version: state.version + 1, ..state.clone() };
        match self.write(Write::put(&state_key(), &next, only)?).await {
            Ok(()) => {}
            // Our own, if the answer was lost and the SDK tried again.
            Err(StoreError::Conflict) if self.get(&state_key()).await?.as_ref() == Some(&next) => {}
            Err(error) => return Err(error),
        }
        *state = next;
        Ok(())
    }

    /// Takes the right to run until `held_until`, if no other run has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_reconcile_lease(
        &self,
        holder: &str,
        held_until: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let held = Held { holder: holder.to_owned(), held_until };
        let free = Only::IfAbsentOrLess("held_until", now);
        match self.write(Write::put(&lease_key(), &held, free)?).await {
            Ok(()) => Ok(true),
            // Our own, if the answer was lost and the SDK tried again.
            Err(StoreError::Conflict) => {
                let held = self.get::<Held>(&lease_key()).await?;
                Ok(held.is_some_and(|held| held.holder == holder))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives that right back; one that another run took over meanwhile is left alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back_reconcile_lease(&self, holder: &str) -> Result<(), StoreError> {
        match self.write(Write::Delete(lease_key(), Only::IfEquals("holder", text(holder)))).await {
            Ok(()) | Err(StoreError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes the installations that a page of a full run has shown.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_swept_page(
        &self,
        sweep: &Sweep,
        page: u32,
        ids: Vec<u64>,
        now: i64,
    ) -> Result<(), StoreError> {
        let key = Key::new(PARTITION, format!("{}{page:08}", sweep_prefix(sweep)));
        let swept = SweptPage { ids, expires_at: now + SWEEP_SECONDS };
        self.write(Write::put(&key, &swept, Only::Always)?).await
    }

    /// All installations that the pages of a full run have shown so far.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn swept(&self, sweep: &Sweep) -> Result<Vec<u64>, StoreError> {
        let pages: Vec<SweptPage> = self.query(PARTITION, &sweep_prefix(sweep)).await?;
        Ok(pages.into_iter().flat_map(|page| page.ids).collect())
    }

    /// How often each of these deliveries was asked for; those that never were are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn redeliveries(&self, guids: &[String]) -> Result<Vec<Redelivery>, StoreError> {
        self.get_many(&guids.iter().map(|guid| redelivery_key(guid)).collect::<Vec<_>>()).await
    }

    /// Keeps a change of it; false if another run was faster.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_redelivery(&self, before: &Redelivery, now: &Redelivery) -> Result<bool, StoreError> {
        let only = match before.attempts {
            0 => Only::IfAbsent,
            attempts => Only::IfEquals("attempts", number(attempts)),
        };
        match self.write(Write::put(&redelivery_key(&now.guid), now, only)?).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
