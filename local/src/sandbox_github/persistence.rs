//! The sandbox's memory on disk: one JSON file, replaced as a whole.
//! What is remembered is defined where it is used: `world`, `tokens`, `limits`, `deliveries`.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::deliveries::Deliveries;
use super::limits::Limits;
use super::tokens::Tokens;
use super::world::World;

/// The form of the file; a file of another form is refused, not guessed at.
const FORM: u32 = 1;

/// The state file cannot be read or is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox GitHub's state in {} cannot be used: {reason}. Delete the file to start with a new world", path.display())]
pub struct StateFileError {
    path: PathBuf,
    reason: String,
}

/// What a state file holds.
#[derive(Debug, Deserialize)]
pub(super) struct Saved {
    form: u32,
    world: World,
    tokens: Tokens,
    limits: Limits,
    /// Files of before there were webhooks have none.
    #[serde(default)]
    deliveries: Deliveries,
}

#[derive(Serialize)]
struct Saving<'a> {
    form: u32,
    world: &'a RawValue,
    tokens: &'a Tokens,
    limits: &'a Limits,
    deliveries: &'a RawValue,
}

/// The file's content. World and deliveries come ready-made: they are large and change seldom.
pub(super) fn encode(
    world: &RawValue,
    tokens: &Tokens,
    limits: &Limits,
    deliveries: &RawValue,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Saving { form: FORM, world, tokens, limits, deliveries })
}

/// Reads the file; `None` if there is none yet.
pub(super) fn load(path: &Path) -> Result<Option<Saved>, StateFileError> {
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

/// Replaces the file: a reader (or a crash) sees the old one or the new one, never a half; only its owner
/// can read it.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
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

impl Saved {
    pub(super) fn into_parts(self) -> (World, Tokens, Limits, Deliveries) {
        (self.world, self.tokens, self.limits, self.deliveries)
    }
}
