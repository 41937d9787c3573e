//! What was acknowledged, and what was asked for when the run died, of which nobody knows whether it was done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    Is(bool),
    /// It was asked for, and not answered.
    Unsure,
}

impl Fact {
    /// Whether this may be seen; what is seen once stays so.
    pub(crate) fn settle(&mut self, seen: bool) -> bool {
        let fits = *self == Self::Unsure || *self == Self::Is(seen);
        *self = Self::Is(seen);
        fits
    }
}

/// An API key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) key: String,
    pub(crate) works: Fact,
}

/// What a user's row says of an installation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) there: Fact,
    pub(crate) suspended: Fact,
    /// GitHub says that it is gone, or its user has removed the row: it never comes back.
    pub(crate) ended: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Written {
    /// By their ids.
    pub(crate) keys: BTreeMap<String, Key>,
    /// By their cookies.
    pub(crate) sessions: BTreeMap<String, Fact>,
    /// The keys and the sessions that were written about since the last look.
    pub(crate) fresh: BTreeSet<String>,
    /// Whether GitLab is linked.
    pub(crate) linked: Option<Fact>,
    /// By the numbers of the installations.
    pub(crate) rows: BTreeMap<u64, Row>,
    pub(crate) acknowledged: BTreeMap<&'static str, usize>,
    pub(crate) unanswered: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Written>);

impl Written {
    pub(crate) fn set_key(&mut self, id: &str, works: Fact) {
        self.fresh.insert(id.to_owned());
        if let Some(key) = self.keys.get_mut(id) {
            key.works = works;
        }
    }

    pub(crate) fn set_session(&mut self, cookie: &str, works: Fact) {
        self.fresh.insert(cookie.to_owned());
        self.sessions.insert(cookie.to_owned(), works);
    }
}

impl Ledger {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap()
    }

    pub(crate) fn acknowledge(&self, what: &'static str) {
        *self.lock().acknowledged.entry(what).or_default() += 1;
    }

    pub(crate) fn counts(&self) -> String {
        let written = self.lock();
        format!("acknowledged: {:?}; unanswered: {}", written.acknowledged, written.unanswered)
    }
}
