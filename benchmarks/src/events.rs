//! The events of `events/`, by the function whose name they bear.

use std::fs;
use std::path::Path;

/// All events of a function, sorted by their files' names; at least one.
///
/// # Errors
/// What keeps them from being read, or that there is none.
pub fn of(root: &Path, function: &str) -> Result<Vec<String>, String> {
    let folder = root.join("events");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{function}.")))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("{}: no event of {function}", folder.display()));
    }
    let read = |file: std::path::PathBuf| {
        fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))
    };
    files.into_iter().map(read).collect()
}
