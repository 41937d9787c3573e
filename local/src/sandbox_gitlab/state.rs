//! The sandbox's memory: one lock around world and tokens, and what of it goes to disk: tokens and users.
//! Groups and projects are the world's that the sandbox was started with.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use super::world::{User, UserId, World};

/// The form of the file; a file of another form is refused, not guessed at.
const FORM: u32 = 1;

/// The state file cannot be read or is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox GitLab's state in {} cannot be used: {reason}. Delete the file to start anew", path.display())]
pub struct StateFileError {
    path: PathBuf,
    reason: String,
}

#[derive(Deserialize)]
struct Saved {
    form: u32,
    users: BTreeMap<UserId, User>,
    tokens: Tokens,
}

#[derive(Serialize)]
struct Saving<'a> {
    form: u32,
    users: &'a BTreeMap<UserId, User>,
    tokens: &'a Tokens,
}

/// What changes while the sandbox runs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) tokens: Tokens,
    /// Requests of each user in a minute.
    pub(super) requests: BTreeMap<UserId, (i64, u64)>,
}

/// The state and its file.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
    file: Option<PathBuf>,
    /// What the file holds; also keeps two writers apart.
    written: Mutex<Vec<u8>>,
}

/// Locks, also after a panic in a test's closure: what it did not change is still right.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// A world, with the users and tokens of a file if there is one.
    pub(super) fn open(mut world: World, file: Option<PathBuf>) -> Result<Self, StateFileError> {
        let saved = match &file {
            Some(path) => load(path)?,
            None => None,
        };
        let tokens = saved.map(|saved| {
            world.users.extend(saved.users);
            saved.tokens
        });
        let state = State { world, tokens: tokens.unwrap_or_default(), requests: BTreeMap::new() };
        Ok(Self { state: Mutex::new(state), file, written: Mutex::default() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Writes what changed; an answer leaves after what it promises is on disk.
    pub(super) async fn save(self: &Arc<Self>) {
        if self.file.is_none() {
            return;
        }
        let store = Arc::clone(self);
        if let Err(error) = tokio::task::spawn_blocking(move || store.save_blocking()).await {
            tracing::error!(%error, "saving the sandbox GitLab's state failed");
        }
    }

    fn save_blocking(&self) {
        let Some(path) = &self.file else { return };
        let mut written = lock(&self.written);
        let content = {
            let state = self.lock();
            serde_json::to_vec(&Saving { form: FORM, users: &state.world.users, tokens: &state.tokens })
        };
        let saved = content.map_err(io::Error::other).and_then(|content| {
            if content != *written {
                write(path, &content)?;
                *written = content;
            }
            Ok(())
        });
        if let Err(error) = saved {
            tracing::error!(%error, path = %path.display(), "the sandbox GitLab's state was not saved");
        }
    }
}

fn load(path: &Path) -> Result<Option<Saved>, StateFileError> {
    let refuse = |reason: String| StateFileError { path: path.to_owned(), reason };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refuse(error.to_string())),
    };
    let saved: Saved = serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))?;
    if saved.form != FORM {
        return Err(refuse(format!("it has form {}, this version reads form {FORM}", saved.form)));
    }
    Ok(Some(saved))
}

/// Replaces the file as a whole; only its owner can read it.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(&beside)?.write_all(content)?;
    std::fs::rename(&beside, path)
}
