//! Connections to a database file.

use std::cell::Cell;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pynenc_core::{Error, Result};
use pynenc_kv::Table;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, ffi};

use crate::config::Synchronous;
use crate::error::{is_busy, store_error};
use crate::location;
use crate::sql::Operation;

/// The first version without the race between a checkpoint and a writer that damages files in WAL mode.
const OLDEST: i32 = 3_051_003;
/// How long a connection waits for the lock of another process.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a checkpoint waits for readers, while the writer of this process waits for the checkpoint.
const LONGEST_WAIT_OF_CHECKPOINT: Duration = Duration::from_millis(100);

/// The most prepared statements of a connection: all of them.
const STATEMENTS: usize = Table::ALL.len() * Operation::COUNT + 8;

/// The use of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Writes, with this durability.
    Writer(Synchronous),
    /// Reads snapshots.
    Reader,
    /// Runs checkpoints.
    Checkpoint,
    /// Backs up, checks or compacts the file.
    Maintenance,
}

/// Creates the file if it doesn't exist, and opens a connection to it.
///
/// # Errors
///
/// The file can't be created, or as [`open`].
pub(crate) fn create_and_open(path: &Path, role: Role) -> Result<Connection> {
    location::create(path).map_err(|cause| location::creation_failed(path, cause))?;
    open(path, role)
}

/// Opens a connection to an existing file in WAL mode.
///
/// # Errors
///
/// SQLite is too old, or the file can't be opened, isn't a database, or doesn't allow WAL mode.
pub(crate) fn open(path: &Path, role: Role) -> Result<Connection> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    let failed = |error| store_error(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_handler(Some(wait_for_lock)).map_err(failed)?;
    if matches!(role, Role::Writer(_)) {
        check_writable(&connection).map_err(failed)?;
    }
    use_wal(path, &connection)?;
    set_up(&connection, role).map_err(failed)?;
    Ok(connection)
}

fn check_version(number: i32, version: &str) -> Result<()> {
    if number >= OLDEST {
        return Ok(());
    }
    Err(Error::config(
        "this SQLite is older than 3.51.3, and may damage a file that several connections use; update the library, or \
         use the feature `sqlite` instead of `sqlite-system`",
    )
    .with("version", version))
}

/// Refuses a file that SQLite can only read. Without this check, the first write of the app would fail.
fn check_writable(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_readonly(MAIN_DB)? {
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY), None));
    }
    Ok(())
}

/// Switches the file to WAL mode. SQLite doesn't call the busy handler for this switch.
fn use_wal(path: &Path, connection: &Connection) -> Result<()> {
    let start = Instant::now();
    let mode = loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Err(error) if is_busy(&error) && start.elapsed() < LONGEST_WAIT => pause(),
            mode => break mode.map_err(|error| store_error(path, error))?,
        }
    };
    if mode == "wal" {
        return Ok(());
    }
    Err(Error::config(
        "SQLite can't use a write-ahead log for this file, and other modes can't be shared by processes; use a file on \
         a local disk",
    )
    .with("file", path.display())
    .with("journal_mode", mode))
}

fn set_up(connection: &Connection, role: Role) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise SQLite (seen with 3.51.3 and 3.53.2) prepares a statement again whenever the parameter of its `LIMIT` is
    // bound. The plans of pynenc don't depend on it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Checkpoints run on a thread of their own.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Pynenc's SQL is fixed, so a change of a shared file's schema by its other users can't inject functions.
    connection.pragma_update(None, "trusted_schema", false)?;
    match role {
        Role::Writer(synchronous) => set_synchronous(connection, synchronous),
        Role::Reader => connection.pragma_update(None, "query_only", true),
        Role::Checkpoint => connection.busy_handler(Some(wait_for_readers)),
        Role::Maintenance => set_synchronous(connection, Synchronous::Full),
    }
}

/// Runs a statement without parameters and rows. It stays prepared.
pub(crate) fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.raw_execute().map(drop)
}

/// Leaves the log to another program when the last connection is closed.
pub(crate) fn keep_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(drop)
}

/// Sets the durability of the next transactions.
pub(crate) fn set_synchronous(connection: &Connection, synchronous: Synchronous) -> rusqlite::Result<()> {
    let sql = match synchronous {
        Synchronous::Full => "PRAGMA synchronous = FULL",
        Synchronous::Normal => "PRAGMA synchronous = NORMAL",
    };
    execute(connection, sql)
}

thread_local! {
    static WAITING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    static MAY_WAIT: Cell<bool> = const { Cell::new(true) };
}

/// Calls a function on this thread with connections that don't wait for a lock: they fail as busy.
pub(crate) fn without_waiting<T>(call: impl FnOnce() -> T) -> T {
    MAY_WAIT.set(false);
    let result = call();
    MAY_WAIT.set(true);
    result
}

/// The busy handler.
fn wait_for_lock(attempt: i32) -> bool {
    wait(attempt, LONGEST_WAIT)
}

fn wait_for_readers(attempt: i32) -> bool {
    wait(attempt, LONGEST_WAIT_OF_CHECKPOINT)
}

/// Returns whether SQLite shall try again.
fn wait(attempt: i32, longest: Duration) -> bool {
    if !MAY_WAIT.get() {
        return false;
    }
    if attempt == 0 {
        WAITING_SINCE.set(Some(Instant::now()));
    }
    let is_over = WAITING_SINCE.get().is_some_and(|since| since.elapsed() >= longest);
    if !is_over {
        pause();
    }
    !is_over
}

/// Waits a random time, so that processes don't try again together.
pub(crate) fn pause() {
    thread::sleep(Duration::from_micros(fastrand::u64(200..2_000)));
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::sql::sql;

    #[test]
    fn a_version_with_the_checkpoint_race_is_refused() {
        assert!(check_version(3_051_003, "3.51.3").is_ok());
        let error = check_version(3_051_002, "3.51.2").unwrap_err();
        assert!(error.to_string().contains("3.51.3") && error.to_string().contains("version: 3.51.2"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        let text = "a shopping list that has more than a hundred characters, because SQLite looks at the first hundred \
                    bytes of a file";
        std::fs::write(&path, text).unwrap();
        let error = open(&path, Role::Reader).unwrap_err();
        assert_eq!(error.kind(), pynenc_core::ErrorKind::Config);
        assert!(error.to_string().contains("isn't a SQLite database"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_statement_with_a_limit_is_prepared_once() {
        let folder = tempfile::tempdir().unwrap();
        let connection = create_and_open(&folder.path().join("jobs.db"), Role::Writer(Synchronous::Normal)).unwrap();
        connection
            .execute_batch("CREATE TABLE pynenc_entry (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID, STRICT")
            .unwrap();
        let mut statement = connection.prepare(sql(Table::Entry, Operation::Ascending)).unwrap();
        for first in 0..3_u8 {
            assert!(!statement.exists((&[first][..], &[9_u8][..], 10)).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }

    #[test]
    fn a_file_that_can_only_be_read_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        assert!(check_writable(&create_and_open(&path, Role::Maintenance).unwrap()).is_ok());
        let only_reads = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let error = store_error(&path, check_writable(&only_reads).unwrap_err());
        assert_eq!(error.kind(), pynenc_core::ErrorKind::Config);
        assert!(error.to_string().contains("can't be written; check its permissions"), "{error}");
    }

    #[test]
    fn a_reader_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let reader = create_and_open(&path, Role::Reader).unwrap();
        assert!(reader.execute("CREATE TABLE mine (a)", []).is_err());
    }
}
