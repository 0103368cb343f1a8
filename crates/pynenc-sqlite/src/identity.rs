//! The identity of an open file. SQLite doesn't notice that somebody moves or deletes a file that it has open, so later
//! commits would be lost.

use std::path::{Path, PathBuf};

use pynenc_core::{Error, Result};

use crate::location::beside;

/// The files that the paths of a database and its log name.
pub(crate) struct Identity([(PathBuf, Option<FileId>); 2]);

impl Identity {
    /// Notes the files behind the paths. Both are open.
    pub(crate) fn of(path: &Path) -> Self {
        Self([path.to_owned(), beside(path, "-wal")].map(|path| {
            let id = file_id(&path);
            (path, id)
        }))
    }

    /// Checks that the paths still name the same files.
    ///
    /// # Errors
    ///
    /// A file was moved, deleted or replaced.
    pub(crate) fn check(&self) -> Result<()> {
        self.0.iter().try_for_each(|(path, id)| {
            let found = file_id(path);
            if id.is_none() || found == *id {
                return Ok(());
            }
            let what = if found.is_none() { "moved or deleted" } else { "replaced by another one" };
            Err(Error::config(
                "a file of the SQLite store isn't where it was opened, so pynenc stops writing to it; move the file back, \
                 or stop all processes that use it and start them again",
            )
            .with("file", path.display())
            .with("the file was", what))
        })
    }
}

#[cfg(unix)]
type FileId = (u64, u64);

/// Another path or a link to the same file has the same id.
#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    // Opening the file and closing it would release SQLite's locks on it.
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Elsewhere, the system doesn't let anybody move or delete an open file.
#[cfg(not(unix))]
type FileId = ();

#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    Some(())
}
