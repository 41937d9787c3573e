//! The sandbox's memory: one lock around world, tokens, counters and deliveries, and its way to disk.
//! The file's form lives in `persistence`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};

use super::deliveries::Deliveries;
use super::limits::Limits;
use super::persistence::{self, Saved};
use super::tokens::Tokens;
use super::world::World;

/// How long counters may be ahead of the file. What a caller was promised is written before the answer leaves.
const DRIFT: Duration = Duration::from_secs(1);

/// Locks, also after a panic in a test's closure: what it did not change is still right.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What changes while the sandbox runs.
#[derive(Debug)]
pub(super) struct State {
    world: World,
    tokens: Tokens,
    limits: Limits,
    deliveries: Deliveries,
    /// Grows with every change that must not be lost.
    revision: u64,
    /// Counters changed since the file was written.
    drifted: bool,
    /// The world as JSON, until it changes.
    encoded_world: Option<Box<RawValue>>,
    /// The deliveries as JSON, until they change.
    encoded_deliveries: Option<Box<RawValue>>,
}

impl State {
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    pub(super) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn change_world(&mut self) -> &mut World {
        self.revision += 1;
        self.encoded_world = None;
        &mut self.world
    }

    pub(super) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    pub(super) fn change_deliveries(&mut self) -> &mut Deliveries {
        self.revision += 1;
        self.encoded_deliveries = None;
        &mut self.deliveries
    }

    pub(super) fn change_tokens(&mut self) -> &mut Tokens {
        self.revision += 1;
        &mut self.tokens
    }

    pub(super) fn count(&mut self) -> &mut Limits {
        self.drifted = true;
        &mut self.limits
    }

    fn encode(&mut self) -> serde_json::Result<Vec<u8>> {
        let world = match self.encoded_world.take() {
            Some(world) => world,
            None => serde_json::value::to_raw_value(&self.world)?,
        };
        let deliveries = match self.encoded_deliveries.take() {
            Some(deliveries) => deliveries,
            None => serde_json::value::to_raw_value(&self.deliveries)?,
        };
        let content = persistence::encode(&world, &self.tokens, &self.limits, &deliveries);
        self.encoded_world = Some(world);
        self.encoded_deliveries = Some(deliveries);
        content
    }
}

/// The state and its file.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
    file: Option<PathBuf>,
    writing: Mutex<()>,
    wake: Notify,
    saved: watch::Sender<u64>,
}

impl Store {
    /// What was saved, or a new world if nothing was.
    pub(super) fn open(world: World, file: Option<PathBuf>) -> Result<Self, persistence::StateFileError> {
        let saved = match &file {
            Some(path) => persistence::load(path)?,
            None => None,
        };
        let new = || (world, Tokens::default(), Limits::default(), Deliveries::default());
        let (mut world, tokens, limits, deliveries) = saved.map_or_else(new, Saved::into_parts);
        world.open_journal();
        let state = State {
            world,
            tokens,
            limits,
            deliveries,
            revision: 1,
            drifted: false,
            encoded_world: None,
            encoded_deliveries: None,
        };
        let (saved, _) = watch::channel(0);
        Ok(Self { state: Mutex::new(state), file, writing: Mutex::new(()), wake: Notify::new(), saved })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns once everything that was changed so far is in the file.
    pub(super) async fn settle(&self) {
        if self.file.is_none() {
            return;
        }
        let revision = self.lock().revision;
        if *self.saved.borrow() < revision {
            self.wake.notify_one();
            // An error means that the sandbox is gone, and with it whoever waits.
            let _ = self.saved.subscribe().wait_for(|saved| *saved >= revision).await;
        }
    }

    /// Writes what changed, as long as the sandbox runs.
    pub(super) async fn keep_saving(self: Arc<Self>) {
        loop {
            let _ = tokio::time::timeout(DRIFT, self.wake.notified()).await;
            self.save().await;
        }
    }

    /// Writes what changed, now.
    pub(super) async fn save(self: &Arc<Self>) {
        let store = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || store.save_blocking()).await {
            tracing::error!(%error, "saving the sandbox GitHub's state failed");
        }
    }

    fn save_blocking(&self) {
        let Some(path) = &self.file else { return };
        let _writing = lock(&self.writing);
        let (content, revision) = {
            let mut state = self.lock();
            if *self.saved.borrow() == state.revision && !state.drifted {
                return;
            }
            state.drifted = false;
            (state.encode(), state.revision)
        };
        let written =
            content.map_err(std::io::Error::other).and_then(|content| persistence::write(path, &content));
        if let Err(error) = written {
            tracing::error!(%error, path = %path.display(), "the sandbox GitHub's state was not saved");
        }
        self.saved.send_replace(revision);
    }
}
