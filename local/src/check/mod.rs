//! `check`: whether everything that must hold in a table holds. It reads the whole table, writes nothing, and says each
//! thing that is wrong in one line. What must hold is in the modules below, one for each part of the table.

mod callers;
mod findings;
mod installations;
mod items;
mod keys;
mod users;

use std::time::Duration;

use shared::clock::Clock;
use shared::store::{StoreError, StoredItem, Table};

pub use findings::{Finding, Report};
use items::Items;

/// How long after the first look a table is looked at again. What is not in one transaction is done by then, or it
/// is not done any more.
pub const PAUSE: Duration = Duration::from_secs(2);

/// Looks at a table. A scan is no picture of one moment: what is written meanwhile may be seen by halves. So whatever
/// seems wrong is looked at again after a pause, and only what is wrong in the same way twice is.
///
/// # Errors
/// [`StoreError`], when the table cannot be read.
pub async fn table(table: &Table, clock: &Clock, pause: Duration) -> Result<Report, StoreError> {
    let first = items(&table.everything().await?, clock.unix());
    if first.is_clean() {
        return Ok(first);
    }
    tokio::time::sleep(pause).await;
    let second = items(&table.everything().await?, clock.unix());
    Ok(second.confirming(&first))
}

/// Looks at the items of a table, as they were at that time.
#[must_use]
pub fn items(items: &[StoredItem], now: i64) -> Report {
    let mut report = Report::of(items, now);
    let items = Items::new(items, now);
    keys::check(&items, &mut report);
    users::check(&items, &mut report);
    callers::check(&items, &mut report);
    installations::check(&items, &mut report);
    report
}

#[cfg(test)]
mod tests;
