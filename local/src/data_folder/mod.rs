//! The folder that keeps what a run must not lose, and tells other programs where the service is.
//! It belongs to one run at a time; what is in the database and the sandbox's file is theirs to know.

mod files;
mod written;

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use written::{DemoUser, FunctionSettings, Ready};

/// The folder that a run uses unless it is told of another one.
pub const DEFAULT: &str = ".local";

/// Held while a run uses the folder; it also marks the folder as ours.
const LOCK: &str = "git-installations.lock";
const DATABASE: &str = "dynamodb.db";
const GITHUB: &str = "github.json";
const GITLAB: &str = "gitlab.json";
const OPENID: &str = "openid.json";
const READY: &str = "ready.json";
const FUNCTIONS_ENV: &str = "functions.env";
const FUNCTIONS_JSON: &str = "functions.json";
const SECRETS: &str = "secrets.json";
const DEMO_USER: &str = "demo_user.json";
/// Everything that a fresh start removes, SQLite's companions of the database included.
const KNOWN: [&str; 12] = [
    DATABASE,
    "dynamodb.db-wal",
    "dynamodb.db-shm",
    "dynamodb.db-journal",
    GITHUB,
    GITLAB,
    OPENID,
    READY,
    FUNCTIONS_ENV,
    FUNCTIONS_JSON,
    SECRETS,
    DEMO_USER,
];

/// A data folder, locked until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another run holds it.
    #[error("{} is in use by another run of this program; stop it or use --data", .0.display())]
    InUse(PathBuf),
    /// It holds something, and nothing says that it is ours.
    #[error("{} holds files that are not this program's; use --data with another folder", .0.display())]
    Foreign(PathBuf),
    /// The operating system refused.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        error: std::io::Error,
    },
    /// A file that this program wrote is not readable any more.
    #[error("{}: {problem}; start with --fresh to make everything anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system gave no randomness for a new key.
    #[error(transparent)]
    NoEntropy(#[from] shared::clock::NoEntropy),
}

/// The settings that the run which uses a folder has written for the functions; `None` while no run is ready
/// there. Looking changes nothing.
///
/// # Errors
/// [`DataFolderError`]: a file cannot be read, or is not what this program writes.
pub fn functions_of_run(path: &Path) -> Result<Option<FunctionSettings>, DataFolderError> {
    // What a run that was killed has left is not held by anybody.
    if !files::is_held(&path.join(LOCK))? || files::read(&path.join(READY))?.is_none() {
        return Ok(None);
    }
    let path = path.join(FUNCTIONS_JSON);
    let Some(text) = files::read(&path)? else { return Ok(None) };
    match written::functions(&text) {
        Some(settings) => Ok(Some(settings)),
        None => Err(DataFolderError::Damaged { path, problem: "it holds no settings".to_owned() }),
    }
}

impl DataFolder {
    /// Takes the folder for this run; makes it if it is not there, and empties it first if `fresh`.
    ///
    /// # Errors
    /// [`DataFolderError`]: another run holds it, it is not ours, or it cannot be written.
    pub fn open(path: &Path, fresh: bool) -> Result<Self, DataFolderError> {
        files::make_folder(path)?;
        let lock_path = path.join(LOCK);
        if !lock_path.exists() && !files::is_empty(path)? {
            return Err(DataFolderError::Foreign(path.to_owned()));
        }
        let mut lock = files::open_private(&lock_path).map_err(files::at(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => DataFolderError::InUse(path.to_owned()),
            TryLockError::Error(error) => DataFolderError::Io { path: lock_path.clone(), error },
        })?;
        lock.write_all(b"A run of git-installations uses this folder while this file is locked.\n")
            .map_err(files::at(&lock_path))?;
        let folder = Self { path: path.to_owned(), _lock: lock };
        // What the last run said is not true any more.
        folder.remove(READY)?;
        if fresh {
            for name in KNOWN {
                folder.remove(name)?;
                folder.remove(&format!("{name}{}", files::UNFINISHED))?;
            }
        }
        // The database would make it readable by everybody.
        let database = folder.database();
        files::open_private(&database).map_err(files::at(&database))?;
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The embedded DynamoDB's file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// The sandbox GitHub's file.
    #[must_use]
    pub fn github(&self) -> PathBuf {
        self.path.join(GITHUB)
    }

    /// The sandbox GitLab's file.
    #[must_use]
    pub fn gitlab(&self) -> PathBuf {
        self.path.join(GITLAB)
    }

    /// The sandbox OpenID provider's file.
    #[must_use]
    pub fn openid(&self) -> PathBuf {
        self.path.join(OPENID)
    }

    /// Where [`DataFolder::announce`] writes.
    #[must_use]
    pub fn ready(&self) -> PathBuf {
        self.path.join(READY)
    }

    /// The functions' settings for `cargo lambda watch --env-file`.
    #[must_use]
    pub fn functions_env(&self) -> PathBuf {
        self.path.join(FUNCTIONS_ENV)
    }

    /// The functions' settings for `sam local invoke --env-vars`.
    #[must_use]
    pub fn functions_json(&self) -> PathBuf {
        self.path.join(FUNCTIONS_JSON)
    }

    /// The generated secrets' file.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.path.join(SECRETS)
    }

    /// The demo user's credentials, which a restart must not change.
    #[must_use]
    pub fn demo_user(&self) -> PathBuf {
        self.path.join(DEMO_USER)
    }

    /// The text of the token key ring's secret; made once, the same ever after.
    ///
    /// # Errors
    /// [`DataFolderError`]: the file is damaged or cannot be written, or there is no randomness.
    pub fn token_key_ring(&self) -> Result<String, DataFolderError> {
        let path = self.secrets();
        match files::read(&path)? {
            Some(text) => written::token_key_ring(&text)
                .map_err(|problem| DataFolderError::Damaged { path, problem: problem.to_owned() }),
            None => {
                let (secrets, ring) = written::new_secrets()?;
                files::replace(&path, secrets.as_bytes())?;
                Ok(ring)
            }
        }
    }

    /// Writes `functions.env` and `functions.json`.
    ///
    /// # Errors
    /// [`DataFolderError::Io`] when a file cannot be written.
    pub fn write_functions(&self, settings: &FunctionSettings) -> Result<(), DataFolderError> {
        files::replace(&self.functions_env(), written::environment_file(settings).as_bytes())?;
        files::replace(&self.functions_json(), written::environment_json(settings).as_bytes())
    }

    /// Writes `ready.json`: everything answers now.
    ///
    /// # Errors
    /// [`DataFolderError::Io`] when the file cannot be written.
    pub fn announce(&self, ready: &Ready) -> Result<(), DataFolderError> {
        files::replace(&self.ready(), ready.to_json().as_bytes())
    }

    /// Replaces a file as a whole, readable by its owner only: a reader sees the old text or the new one.
    ///
    /// # Errors
    /// [`DataFolderError::Io`] when the file cannot be written.
    pub fn replace(&self, file: &Path, text: &str) -> Result<(), DataFolderError> {
        files::replace(file, text.as_bytes())
    }

    fn remove(&self, name: &str) -> Result<(), DataFolderError> {
        files::remove(&self.path.join(name))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        // Nobody answers any more. The next run removes what could not be removed now.
        let _ = files::remove(&self.ready());
    }
}

#[cfg(test)]
mod tests;
