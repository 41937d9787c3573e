//! Integers that never repeat, for rows whose clients want a number.

use super::table::{Key, StoreError, Table};

impl Table {
    /// `count` integers that nobody was given before, as the first of them; they follow one another.
    ///
    /// # Errors
    /// [`StoreError`]; the integers of a failed call are lost, never given again.
    pub(super) async fn next_integers(&self, counter: &str, count: usize) -> Result<i64, StoreError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let last = self.add(&Key::new(format!("COUNTER#{counter}"), "COUNTER"), "last", count).await?;
        Ok(last - count + 1)
    }
}
