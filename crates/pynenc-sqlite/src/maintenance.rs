//! Backup, check and compaction of the files of a store.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pynenc_core::{Error, Result};
use rusqlite::Connection;

use crate::config::SqliteConfig;
use crate::connection::{LONGEST_WAIT, Role, open, pause};
use crate::error::store_error;
use crate::location::{absolute, beside, content_file, create};

/// Maintains the files of a store: the database, and the one with the content of the argument cache if it exists.
///
/// The processes of the app may run meanwhile. The methods block their thread.
#[derive(Debug, Clone)]
pub struct Maintenance {
    path: PathBuf,
}

impl Maintenance {
    /// Finds the files of a store.
    ///
    /// # Errors
    ///
    /// `sqlite.path` names no file, or the file doesn't exist.
    pub fn of(config: &SqliteConfig) -> Result<Self> {
        let path = absolute(&config.path)?;
        if path.is_file() {
            return Ok(Self { path });
        }
        Err(Error::config("the file of `sqlite.path` doesn't exist").with("file", path.display()))
    }

    /// The files: the database first.
    fn files(&self) -> impl Iterator<Item = PathBuf> {
        let content = Some(content_file(&self.path)).filter(|content| content.is_file());
        [self.path.clone()].into_iter().chain(content)
    }

    /// Copies a consistent state of the store to a new file, and the content of the argument cache to a file beside it.
    ///
    /// Returns the new files. The database is copied first: its calls refer to content that was stored before.
    ///
    /// # Errors
    ///
    /// The new file exists already, or a file can't be read or written.
    pub fn back_up(&self, to: &Path) -> Result<Vec<PathBuf>> {
        let mut copies = Vec::new();
        for (file, copy) in self.files().zip([to.to_owned(), content_file(to)]) {
            copy_file(&file, &copy)?;
            copies.push(copy);
        }
        Ok(copies)
    }

    /// Checks the structure of the files. Returns the problems, each with its file.
    pub fn check(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for file in self.files() {
            let found = on(&file, |connection| {
                let mut statement = connection.prepare("PRAGMA quick_check")?;
                statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
            })?;
            let found = found.into_iter().filter(|line| line != "ok");
            problems.extend(found.map(|line| format!("{}: {line}", file.display())));
        }
        Ok(problems)
    }

    /// Compacts the files: space that deleted rows have left is given back. Writers wait meanwhile.
    ///
    /// Returns the bytes before and after.
    pub fn vacuum(&self) -> Result<(u64, u64)> {
        let before = self.bytes();
        for file in self.files() {
            on(&file, |connection| {
                connection.execute_batch("VACUUM")?;
                shorten_log(connection)
            })?;
        }
        Ok((before, self.bytes()))
    }

    /// The size of the files with their logs.
    pub fn bytes(&self) -> u64 {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        self.files().map(|file| size(&file) + size(&beside(&file, "-wal"))).sum()
    }
}

/// Copies a file with the content of its log.
fn copy_file(file: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        return Err(Error::invalid("the file for the backup exists already").with("file", to.display()));
    }
    let name = to.to_str().ok_or_else(|| Error::invalid("the name of the backup isn't UTF-8"))?;
    // SQLite fills the empty file, which only its owner may read.
    create(to).map_err(|cause| {
        Error::invalid("the file for the backup can't be created").with("file", to.display()).caused_by(cause)
    })?;
    let copied = on(file, |connection| connection.execute("VACUUM INTO ?1", [name]));
    if copied.is_err() {
        drop(std::fs::remove_file(to));
    }
    copied.map(drop)
}

/// Moves the log into the database. SQLite doesn't wait for a checkpoint of another connection.
fn shorten_log(connection: &Connection) -> rusqlite::Result<()> {
    let start = Instant::now();
    while connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0))? {
        // A program that keeps a read transaction open keeps the log, too.
        if start.elapsed() >= LONGEST_WAIT {
            break;
        }
        pause();
    }
    Ok(())
}

/// Runs a command on a file.
fn on<T>(file: &Path, command: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
    let connection = open(file, Role::Maintenance)?;
    command(&connection).map_err(|error| store_error(file, error))
}
