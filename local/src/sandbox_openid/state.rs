//! The sandbox's memory: one lock around everything that changes, and what of it goes to disk: keys, sessions and
//! the tokens that the broker holds. Users are the world's that the sandbox was started with.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use shared::clock::random;

use super::StartError;
use super::broker::Stored;
use super::keys::Keys;
use super::sessions::{Session, Sessions};
use super::world::World;
use crate::sandbox_gitlab::state::write;

pub(super) use crate::sandbox_gitlab::state::lock;

/// The form of the file; a file of another form is refused, not guessed at.
const FORM: u32 = 1;

/// The state file cannot be read or is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox OpenID provider's state in {} cannot be used: {reason}. Delete the file to start anew", path.display())]
pub struct StateFileError {
    path: PathBuf,
    reason: String,
}

/// What the broker holds: by subject, then by alias.
pub(super) type Brokered = BTreeMap<String, BTreeMap<String, Stored>>;

#[derive(Deserialize)]
struct Saved {
    form: u32,
    /// The issuer's port, which is a part of its name.
    port: u16,
    keys: Keys,
    secret: String,
    sessions: Sessions,
    brokered: Brokered,
}

#[derive(Serialize)]
struct Saving<'a> {
    form: u32,
    port: u16,
    keys: &'a Keys,
    secret: &'a str,
    sessions: &'a Sessions,
    brokered: &'a Brokered,
}

/// What changes while the sandbox runs.
pub(super) struct State {
    pub(super) world: World,
    pub(super) keys: Keys,
    /// What refresh tokens are signed with.
    pub(super) secret: String,
    pub(super) sessions: Sessions,
    pub(super) brokered: Brokered,
}

// By hand: the secret makes refresh tokens.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// The state and its file.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
    file: Option<PathBuf>,
    port: u16,
    /// What the file holds; also keeps two writers apart.
    written: Mutex<Vec<u8>>,
}

impl Store {
    /// A world, with what a file says of keys, sessions and tokens if there is one.
    pub(super) fn open(world: World, file: Option<PathBuf>, port: u16) -> Result<Self, StartError> {
        let saved = match &file {
            Some(path) => load(path)?,
            None => None,
        };
        let state = match saved {
            Some(Saved { keys, secret, sessions, brokered, .. }) => {
                State { world, keys, secret, sessions, brokered }
            }
            None => State {
                world,
                keys: Keys::new()?,
                secret: STANDARD.encode(random::<64>()?),
                sessions: Sessions::default(),
                brokered: Brokered::new(),
            },
        };
        Ok(Self { state: Mutex::new(state), file, port, written: Mutex::default() })
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
            tracing::error!(%error, "saving the sandbox OpenID provider's state failed");
        }
    }

    fn save_blocking(&self) {
        let Some(path) = &self.file else { return };
        let mut written = lock(&self.written);
        let content = {
            let State { keys, secret, sessions, brokered, .. } = &*self.lock();
            serde_json::to_vec(&Saving { form: FORM, port: self.port, keys, secret, sessions, brokered })
        };
        let saved = content.map_err(io::Error::other).and_then(|content| {
            if content != *written {
                write(path, &content)?;
                *written = content;
            }
            Ok(())
        });
        if let Err(error) = saved {
            tracing::error!(%error, path = %path.display(), "the sandbox OpenID provider's state was not saved");
        }
    }
}

/// The port of the run that wrote a file. Who listens on it again is the same issuer, whose users are the same.
#[must_use]
pub fn last_port(path: &Path) -> Option<u16> {
    load(path).ok().flatten().map(|saved| saved.port)
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

impl State {
    /// The session that a bearer token opens: signed with a key that still counts, not expired, not ended.
    pub(super) fn bearer(&self, token: &str, now: i64) -> Option<&Session> {
        self.keys.verify(token)?;
        self.sessions.of_access(token, now)
    }
}
