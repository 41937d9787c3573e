//! What a look at a table has found, and how it is told. Keys are named, which hold hashes and numbers, and nothing
//! that is sealed or could be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use shared::store::StoredItem;

/// What items are counted as that are of no kind.
const UNKNOWN: &str = "of no kind that is known";

/// Something about an item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The item's partition key.
    pub pk: String,
    /// The item's sort key.
    pub sk: String,
    /// What is to be said of it.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.pk, self.sk, self.what)
    }
}

/// What was found in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many items there are of each kind.
    pub kinds: BTreeMap<&'static str, usize>,
    /// How many of them have outlived their time, and wait for the table to drop them.
    pub expired: usize,
    /// What is under way: a change that has not reached every row yet.
    pub under_way: BTreeSet<Finding>,
    /// What must not be.
    pub violations: BTreeSet<Finding>,
}

impl Report {
    /// One that has counted and found nothing yet.
    pub(super) fn of(items: &[StoredItem], now: i64) -> Self {
        let mut report = Self::default();
        for item in items {
            *report.kinds.entry(item.kind().map_or(UNKNOWN, |kind| kind.name)).or_default() += 1;
            let end = item.content.as_ref().ok().and_then(shared::store::Stored::expires_at);
            report.expired += usize::from(end.is_some_and(|end| end <= now));
        }
        report
    }

    /// Whether everything holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn violation(&mut self, item: &StoredItem, what: impl Into<String>) {
        self.violations.insert(Finding { pk: item.pk.clone(), sk: item.sk.clone(), what: what.into() });
    }

    pub(super) fn under_way(&mut self, item: &StoredItem, what: impl Into<String>) {
        self.under_way.insert(Finding { pk: item.pk.clone(), sk: item.sk.clone(), what: what.into() });
    }

    /// This later look, less what an earlier one has not seen.
    pub(super) fn confirming(mut self, earlier: &Self) -> Self {
        self.violations.retain(|finding| earlier.violations.contains(finding));
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.violations {
            writeln!(f, "violation: {finding}")?;
        }
        for finding in &self.under_way {
            writeln!(f, "under way: {finding}")?;
        }
        let total: usize = self.kinds.values().sum();
        writeln!(f, "{total} items, {} of them expired and not dropped yet", self.expired)?;
        for (kind, count) in &self.kinds {
            writeln!(f, "  {count:>8}  {kind}")?;
        }
        match self.violations.len() {
            0 => writeln!(f, "everything holds"),
            1 => writeln!(f, "1 violation"),
            count => writeln!(f, "{count} violations"),
        }
    }
}
