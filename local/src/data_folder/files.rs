//! Files that only their owner can read, written as a whole or not at all.
//! What stands in them is decided elsewhere.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::DataFolderError;

/// The end of a file's name until it is complete.
pub(super) const UNFINISHED: &str = ".new";

/// An operating system's error with the file that it is about.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> DataFolderError {
    move |error| DataFolderError::Io { path: path.to_owned(), error }
}

/// Makes a folder and those above it, unless they are there.
pub(super) fn make_folder(path: &Path) -> Result<(), DataFolderError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path).map_err(at(path))
}

pub(super) fn is_empty(folder: &Path) -> Result<bool, DataFolderError> {
    Ok(std::fs::read_dir(folder).map_err(at(folder))?.next().is_none())
}

/// Opens a file for writing without emptying it, and makes it if it is not there.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    private().truncate(false).open(path)
}

/// Whether somebody holds the lock on a file.
pub(super) fn is_held(path: &Path) -> Result<bool, DataFolderError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(at(path)(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(at(path)(error)),
    }
}

/// A file's text; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<String>, DataFolderError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Replaces a file: whoever reads it meanwhile sees the old bytes or the new ones.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), DataFolderError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    let new = path.with_file_name(name);
    // A rest of an interrupted run could have other permissions.
    remove(&new)?;
    let mut file = private().create_new(true).open(&new).map_err(at(&new))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(&new))?;
    std::fs::rename(&new, path).map_err(at(path))
}

/// Removes a file, unless it is not there.
pub(super) fn remove(path: &Path) -> Result<(), DataFolderError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options
}
