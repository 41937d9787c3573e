//! A document of the issuer's, kept in the process: how old it may be, who may have it read again and when.
//! What the documents say is in `discovery` and `keys`.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use super::SsoError;
use crate::clock::Clock;
use crate::provider::ProviderError;
use crate::provider::upstream::Budget;

/// How long a copy is used before it is read again.
pub(super) const FRESH_SECONDS: i64 = 3600;
/// How old a copy may be that is used because reading it again failed.
pub(super) const LAST_RESORT_SECONDS: i64 = 24 * 3600;
/// How long reading is left alone after it failed, where there is a copy or where anybody could ask.
pub(super) const PAUSE_SECONDS: i64 = 60;
/// How often a newer copy than a fresh one is looked for (reference 3.2: an unknown key).
pub(super) const COOLDOWN_SECONDS: i64 = 300;

/// For whom a document is needed. Each has its own permit to look for a newer one, so that what anybody can
/// post neither troubles the issuer nor takes a sign-in's permit away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// Somebody who signs in or has signed in: what is checked came from the issuer itself over TLS.
    User,
    /// Whoever posts a logout token, forged or not.
    Anybody,
}

/// The document.
#[derive(Debug)]
pub(super) struct Kept<T> {
    reads: AtomicU64,
    /// Who holds it is the one that reads; all others wait for the result.
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    held: Option<Held<T>>,
    failed: Option<(SsoError, i64)>,
    last_newer: [Option<i64>; 2],
}

/// A copy.
#[derive(Debug)]
pub(super) struct Held<T> {
    pub(super) value: Arc<T>,
    read_at: i64,
    number: u64,
}

// By hand, both: a document has no default and need not be cloned.
impl<T> Default for Kept<T> {
    fn default() -> Self {
        let state = State { held: None, failed: None, last_newer: [None; 2] };
        Self { reads: AtomicU64::new(0), state: Mutex::new(state) }
    }
}

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), read_at: self.read_at, number: self.number }
    }
}

impl<T> Kept<T> {
    /// The copy, read (again) by `read` when it is not fresh. When that fails, an old one is the last resort.
    pub(super) async fn get(
        &self,
        asker: Asker,
        clock: &Clock,
        budget: &Budget,
        read: impl Future<Output = Result<T, SsoError>>,
    ) -> Result<Held<T>, SsoError> {
        let reads_before = self.reads.load(Ordering::Acquire);
        let mut state = self.lock(budget).await?;
        let now = clock.unix();
        let younger_than = |seconds| move |held: &&Held<T>| now - held.read_at < seconds;
        if let Some(held) = state.held.as_ref().filter(younger_than(FRESH_SECONDS)) {
            return Ok(held.clone());
        }
        let old = state.held.clone().filter(|held| younger_than(LAST_RESORT_SECONDS)(&held));
        if let Some((error, failed_at)) = &state.failed {
            let paused = now - failed_at < PAUSE_SECONDS && (old.is_some() || asker == Asker::Anybody);
            // Or it failed while we waited for it.
            if paused || self.reads.load(Ordering::Acquire) != reads_before {
                return old.ok_or_else(|| error.clone());
            }
        }
        if asker == Asker::Anybody {
            // It counts as this asker's look for a newer one, where it succeeds; who fails is asked again after a pause.
            state.last_newer[asker as usize] = Some(now);
        }
        match self.read(&mut state, now, read).await {
            Ok(held) => Ok(held),
            Err(error) => {
                let Some(old) = old else { return Err(error) };
                tracing::warn!(%error, "going on with what the issuer said before");
                Ok(old)
            }
        }
    }

    /// A newer copy than this one, which was fresh and yet lacks something; `None` while the cooldown lasts.
    pub(super) async fn newer_than(
        &self,
        seen: &Held<T>,
        asker: Asker,
        clock: &Clock,
        budget: &Budget,
        read: impl Future<Output = Result<T, SsoError>>,
    ) -> Result<Option<Held<T>>, SsoError> {
        let mut state = self.lock(budget).await?;
        if let Some(newer) = state.held.as_ref().filter(|held| held.number != seen.number) {
            return Ok(Some(newer.clone()));
        }
        let now = clock.unix();
        if state.last_newer[asker as usize].is_some_and(|last| now - last < COOLDOWN_SECONDS) {
            return Ok(None);
        }
        state.last_newer[asker as usize] = Some(now);
        let result = self.read(&mut state, now, read).await;
        if result.is_err() && asker == Asker::User {
            // The issuer's hiccup must not keep people out for the whole cooldown.
            state.last_newer[asker as usize] = None;
        }
        result.map(Some)
    }

    async fn lock(&self, budget: &Budget) -> Result<MutexGuard<'_, State<T>>, SsoError> {
        let lock = tokio::time::timeout_at(budget.deadline(), self.state.lock()).await;
        lock.map_err(|_| ProviderError::Timeout.into())
    }

    async fn read(
        &self,
        state: &mut State<T>,
        now: i64,
        read: impl Future<Output = Result<T, SsoError>>,
    ) -> Result<Held<T>, SsoError> {
        let result = read.await;
        let number = self.reads.fetch_add(1, Ordering::Release);
        match result {
            Ok(value) => {
                state.failed = None;
                Ok(state.held.insert(Held { value: Arc::new(value), read_at: now, number }).clone())
            }
            Err(error) => {
                state.failed = Some((error.clone(), now));
                Err(error)
            }
        }
    }
}
