//! A SQLite file with foreign connections that disturb it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pynenc::core::clock::SystemClock;
use pynenc::core::{Clock, Timestamp};
use pynenc_sqlite::rusqlite::{Connection, Result, params};

use super::fault::FaultKind;

/// How long a foreign connection waits for a lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// The name under which the backend stores its time.
const TIME: &str = "sqlite time";

/// A file, and the connection of a foreign program with an open transaction.
pub(super) struct SqliteFile {
    path: PathBuf,
    foreign: Option<Connection>,
}

impl SqliteFile {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { path: folder.join("jobs.db"), foreign: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }

    fn connect(&self) -> Result<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(connection)
    }

    /// Disturbs the users of the file. A foreign program that doesn't get its lock disturbs nobody.
    pub(super) fn disturb(&mut self, kind: FaultKind) {
        let disturbed = self.connect().and_then(|connection| {
            match kind {
                FaultKind::Lock => connection.execute_batch("BEGIN IMMEDIATE")?,
                FaultKind::PinLog => connection.execute_batch("BEGIN; SELECT count(*) FROM pynenc_entry")?,
                FaultKind::Checkpoint => connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?,
                FaultKind::Vacuum => connection.execute_batch("VACUUM")?,
                FaultKind::BackUp => self.back_up(&connection)?,
                _ => drop(fs::remove_dir_all(self.beside("-wake"))),
            }
            Ok(connection)
        });
        match disturbed {
            Ok(connection) => self.foreign = Some(connection),
            Err(error) => tracing::info!(%error, "a foreign connection was refused"),
        }
    }

    fn back_up(&self, connection: &Connection) -> Result<()> {
        let copy = self.beside("-copy");
        drop(fs::remove_file(&copy));
        connection.execute("VACUUM INTO ?1", [copy.to_str()])?;
        let problem: String = Connection::open(&copy)?.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(problem, "ok", "the copy is damaged");
        Ok(())
    }

    /// Closes the foreign connection, which rolls its transaction back.
    pub(super) fn repair(&mut self) {
        self.foreign = None;
    }

    /// Moves the stored time ahead. The processes go on from there, as if the host's clock had been set back.
    pub(super) fn advance(&self, by: Duration) -> Result<()> {
        let connection = self.connect()?;
        let is_time = "substr(k, 3) = CAST(?1 AS BLOB)";
        let sql = format!("SELECT v FROM pynenc_meta WHERE {is_time}");
        let stored = u64::from_be_bytes(connection.query_row(&sql, [TIME], |row| row.get(0))?);
        let later = Timestamp::from_millis(stored).max(SystemClock.now()) + by;
        let sql = format!("UPDATE pynenc_meta SET v = ?2 WHERE {is_time}");
        let changed = connection.execute(&sql, params![TIME, later.as_millis().to_be_bytes()])?;
        assert_eq!(changed, 1, "the file has no stored time");
        Ok(())
    }

    /// All rows of the tables with keys and values.
    pub(super) fn entries(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let connection = self.connect()?;
        let mut tables = connection.prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'pynenc\\_%' ESCAPE '\\' \
             AND name NOT IN ('pynenc_schema', 'pynenc_app')",
        )?;
        let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
        let mut entries = Vec::new();
        for table in tables {
            let mut rows = connection.prepare(&format!("SELECT k, v FROM {table}"))?;
            let rows = rows.query_map([], |row| {
                Ok(([table.as_bytes(), b" ", &row.get::<_, Vec<u8>>(0)?].concat(), row.get(1)?))
            })?;
            for row in rows {
                entries.push(row?);
            }
        }
        Ok(entries)
    }

    /// The bytes of the database and its log.
    pub(super) fn bytes(&self) -> u64 {
        let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        bytes(&self.path) + bytes(&self.beside("-wal"))
    }
}
