//! The items of a table, to be found by their keys and by what they are. What must hold among them is not known here.

use std::collections::BTreeMap;

use shared::store::{Stored, StoredItem};

/// All items.
pub(super) struct Items<'a> {
    by_key: BTreeMap<(&'a str, &'a str), &'a StoredItem>,
    /// The time of the look, in Unix seconds.
    pub(super) now: i64,
}

impl<'a> Items<'a> {
    pub(super) fn new(items: &'a [StoredItem], now: i64) -> Self {
        let by_key = items.iter().map(|item| ((&*item.pk, &*item.sk), item)).collect();
        Self { by_key, now }
    }

    /// All of them, in the order of their keys.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a StoredItem> {
        self.by_key.values().copied()
    }

    /// Those that can be read, and what they are.
    pub(super) fn read(&self) -> impl Iterator<Item = (&'a StoredItem, &'a Stored)> {
        self.all().filter_map(|item| Some((item, item.content.as_ref().ok()?)))
    }

    /// Whether there is an item with these keys, of whatever content.
    pub(super) fn has(&self, pk: &str, sk: &str) -> bool {
        self.by_key.contains_key(&(pk, sk))
    }

    /// What stands under these keys, if it can be read.
    pub(super) fn get(&self, pk: &str, sk: &str) -> Option<&'a Stored> {
        self.by_key.get(&(pk, sk))?.content.as_ref().ok()
    }

    /// What stands in a partition, as far as it can be read.
    pub(super) fn partition(&self, pk: &str) -> Vec<(&'a StoredItem, &'a Stored)> {
        let all = self.by_key.range((pk, "")..).take_while(|((of, _), _)| *of == pk);
        all.filter_map(|(_, item)| Some((*item, item.content.as_ref().ok()?))).collect()
    }

    /// Whether an item has outlived its time: the table may have dropped what belongs to it, and not it.
    pub(super) fn is_over(&self, stored: &Stored) -> bool {
        stored.expires_at().is_some_and(|end| end <= self.now)
    }
}
