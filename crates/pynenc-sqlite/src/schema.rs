//! The tables of a file, and the migrations that create them.
//!
//! A file may belong to a program that has tables of its own. So all names begin with `pynenc_`, and the version of the
//! tables is in a table: `application_id` and `user_version` belong to the program.

use std::path::Path;

use pynenc_core::{Error, Result};
use pynenc_kv::Table;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::error::store_error;

/// Which data a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Everything but the content of the argument cache.
    Main,
    /// The content of the argument cache. Large values in the main file would swell its log.
    Content,
}

impl Kind {
    /// Whether a file of this kind has the table.
    pub(crate) fn has(self, table: Table) -> bool {
        match table {
            // Both have a time.
            Table::Meta => true,
            Table::Content | Table::ContentKept | Table::ContentEnd => self == Self::Content,
            _ => self == Self::Main,
        }
    }
}

type Migration = fn(&Transaction<'_>, Kind) -> rusqlite::Result<()>;

/// The step from each version to the next one. It changes at least one table: running programs of the earlier version learn
/// of it by the change.
const MIGRATIONS: [Migration; VERSION as usize] = [create_tables];

/// The version of the tables that this version of pynenc reads and writes.
const VERSION: i64 = 1;

/// Brings the tables of a file to the version of this program. Each migration is one transaction.
///
/// # Errors
///
/// A newer version of pynenc has written the file.
pub(crate) fn migrate(path: &Path, connection: &mut Connection, kind: Kind) -> Result<()> {
    while check_version(path, connection)? < VERSION {
        step(connection, kind).map_err(|error| store_error(path, error))?;
    }
    Ok(())
}

/// Reads the version of a file.
///
/// # Errors
///
/// A newer version of pynenc has written the file.
pub(crate) fn check_version(path: &Path, connection: &Connection) -> Result<i64> {
    let found = version(connection).map_err(|error| store_error(path, error))?;
    check_found(found).map_err(|error| error.with("file", path.display()))?;
    Ok(found)
}

/// Checks a version that was read from a file.
pub(crate) fn check_found(found: i64) -> Result<()> {
    if found <= VERSION {
        return Ok(());
    }
    Err(Error::config(
        "a newer version of pynenc has written the SQLite file, and this version can't read it; update this program, or \
         use another file",
    )
    .with("version of the file", found)
    .with("newest readable version", VERSION))
}

/// Reads the version by its key, both as blobs.
pub(crate) const VERSION_BY_KEY: &str =
    "SELECT CAST(k AS BLOB) AS k, CAST(v AS BLOB) AS v FROM pynenc_schema WHERE k = CAST(?1 AS TEXT)";
/// The key of the version.
pub(crate) const VERSION_KEY: &str = "version";

/// Performs the next migration, unless another process has performed it meanwhile.
fn step(connection: &mut Connection, kind: Kind) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let Some(migration) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found)) else {
        return Ok(());
    };
    migration(&transaction, kind)?;
    transaction.execute("INSERT OR REPLACE INTO pynenc_schema VALUES ('version', ?1)", [found + 1])?;
    transaction.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'pynenc_schema'";
    if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(0);
    }
    let version = connection.query_row("SELECT v FROM pynenc_schema WHERE k = 'version'", [], |row| row.get(0));
    Ok(version.optional()?.unwrap_or(0))
}

/// Creates all tables. As long as no version of pynenc with this crate is released, this migration may change.
fn create_tables(transaction: &Transaction<'_>, kind: Kind) -> rusqlite::Result<()> {
    transaction.execute_batch(
        "CREATE TABLE pynenc_schema (k TEXT NOT NULL PRIMARY KEY, v INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE pynenc_app (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;",
    )?;
    for table in Table::ALL.iter().filter(|table| kind.has(**table)) {
        // A large row in an index would leave room for few keys on a page.
        let options = if is_large(*table) { "STRICT" } else { "STRICT, WITHOUT ROWID" };
        let name = table.name();
        transaction.execute_batch(&format!(
            "CREATE TABLE pynenc_{name} (k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) {options}"
        ))?;
    }
    Ok(())
}

fn is_large(table: Table) -> bool {
    table == Table::Content
}

/// Returns the number of an app, which is in front of each of its keys. An app gets its number at its first use.
pub(crate) fn app_number(connection: &Connection, name: &str) -> rusqlite::Result<u16> {
    let find = "SELECT number FROM pynenc_app WHERE name = ?1";
    if let Some(number) = connection.query_row(find, [name], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    transaction.execute("INSERT INTO pynenc_app (name) VALUES (?1) ON CONFLICT DO NOTHING", [name])?;
    let number = transaction.query_row(find, [name], |row| row.get(0))?;
    transaction.commit()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{Role, create_and_open};

    fn opened() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let connection = create_and_open(&folder.path().join("jobs.db"), Role::Maintenance).unwrap();
        (folder, connection)
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_with_both_versions() {
        let (_folder, mut connection) = opened();
        migrate(Path::new("jobs.db"), &mut connection, Kind::Main).unwrap();
        connection.execute("UPDATE pynenc_schema SET v = 7 WHERE k = 'version'", []).unwrap();
        let error = migrate(Path::new("jobs.db"), &mut connection, Kind::Main).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("version of the file: 7") && text.contains("newest readable version: 1"), "{text}");
    }

    #[test]
    fn the_versions_of_a_program_that_shares_the_file_stay() {
        let (_folder, mut connection) = opened();
        connection.execute_batch("CREATE TABLE mine (a); PRAGMA user_version = 3; PRAGMA application_id = 4").unwrap();
        migrate(Path::new("jobs.db"), &mut connection, Kind::Main).unwrap();
        let value = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((value("user_version"), value("application_id")), (3, 4));
        let foreign = "SELECT count(*) FROM sqlite_schema WHERE name <> 'mine' AND tbl_name NOT LIKE 'pynenc\\_%' \
                       ESCAPE '\\'";
        assert_eq!(connection.query_row(foreign, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn each_app_of_a_file_has_a_number_of_its_own() {
        let (_folder, mut connection) = opened();
        migrate(Path::new("jobs.db"), &mut connection, Kind::Main).unwrap();
        let (shop, mail) = (app_number(&connection, "shop").unwrap(), app_number(&connection, "mail").unwrap());
        assert_ne!(shop, mail);
        assert_eq!(app_number(&connection, "shop").unwrap(), shop);
    }
}
