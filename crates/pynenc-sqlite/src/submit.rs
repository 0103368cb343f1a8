//! Submitting in a transaction of the caller.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Bound;

use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;
use pynenc_core::{Error, ErrorKind, Result};
use pynenc_kv::{Announcement, KeyRange, KvStore, Order, Table, Transaction};
use rusqlite::types::{ToSql, ToSqlOutput};

use crate::config::SqliteConfig;
use crate::schema;
use crate::sql::{AppKeys, Operation, sql};
use crate::store;

/// An open transaction of the caller on the file of the app.
///
/// It is implemented for `&rusqlite::Transaction`. For a connection of another library, implement the two methods. Begin
/// the transaction with `BEGIN IMMEDIATE`: a deferred transaction fails if another process has written meanwhile.
pub trait SqlTransaction {
    /// Executes a statement that returns no rows.
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> SqlResult<()>;

    /// Executes a query, and returns its rows. All columns are blobs.
    fn query(&mut self, sql: &str, values: &[SqlValue<'_>]) -> SqlResult<Vec<Vec<Vec<u8>>>>;
}

/// The result of a [`SqlTransaction`].
pub type SqlResult<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// The value of a parameter. The first value belongs to `?1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlValue<'a> {
    /// Bytes.
    Blob(&'a [u8]),
    /// A number.
    Integer(i64),
}

impl ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Blob(bytes) => bytes.to_sql(),
            Self::Integer(number) => number.to_sql(),
        }
    }
}

impl SqlTransaction for &rusqlite::Transaction<'_> {
    fn execute(&mut self, sql: &str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        self.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
        Ok(())
    }

    fn query(&mut self, sql: &str, values: &[SqlValue<'_>]) -> SqlResult<Vec<Vec<Vec<u8>>>> {
        let mut statement = self.prepare_cached(sql)?;
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        let rows = statement.query_map(rusqlite::params_from_iter(values), row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// The store of an app, for submits in a transaction of the caller.
#[derive(Clone)]
pub struct SqliteSubmitter {
    store: KvStore,
    keys: AppKeys,
}

impl fmt::Debug for SqliteSubmitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSubmitter").field("store", &self.store).finish_non_exhaustive()
    }
}

impl SqliteSubmitter {
    /// Finds the store that the components of an app have opened in this process.
    ///
    /// # Errors
    ///
    /// No component of the app uses the file.
    pub fn of(config: &SqliteConfig, app_id: &str) -> Result<Self> {
        let (store, keys) = store::opened(config, app_id)?.ok_or_else(|| {
            Error::config("the app doesn't use SQLite; call `.sqlite(path)` of the builder").with("app_id", app_id)
        })?;
        Ok(Self { store, keys })
    }

    /// Submits a call in a transaction. The call exists when the transaction is committed.
    ///
    /// # Errors
    ///
    /// The transaction has failed, or isn't one of the app's file. It has to be rolled back.
    pub fn submit(
        &self,
        transaction: impl SqlTransaction,
        submission: &Submission,
    ) -> Result<(Registered, Announcement)> {
        let mut transaction = CallerTransaction { sql: transaction, app: self.keys };
        transaction.check_version()?;
        let (registered, announcement) = self.store.submit_in(&mut transaction, std::slice::from_ref(submission))?;
        let registered = registered.into_iter().next();
        let missing = || Error::new(ErrorKind::Unexpected, "the submit had no reply");
        Ok((registered.ok_or_else(missing)?, announcement))
    }
}

/// The operations of pynenc in a transaction of the caller.
struct CallerTransaction<T> {
    sql: T,
    app: AppKeys,
}

impl<T: SqlTransaction> CallerTransaction<T> {
    fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut stored = Vec::with_capacity(AppKeys::PREFIX + key.len());
        self.app.key(key, &mut stored);
        stored
    }

    /// Checks that no newer version of pynenc has migrated the file since the app was built.
    fn check_version(&mut self) -> Result<()> {
        let rows = self.sql.query(schema::VERSION_AS_TEXT, &[]).map_err(|cause| failed(Table::Meta, cause))?;
        let version = rows.first().and_then(|row| std::str::from_utf8(row.first()?).ok()?.parse().ok());
        schema::check_found(version.unwrap_or_default())
    }

    fn execute(&mut self, table: Table, operation: Operation, values: &[SqlValue<'_>]) -> Result<()> {
        self.sql.execute(sql(table, operation), values).map_err(|cause| failed(table, cause))
    }

    fn query(&mut self, table: Table, operation: Operation, values: &[SqlValue<'_>]) -> Result<Vec<Vec<Vec<u8>>>> {
        self.sql.query(sql(table, operation), values).map_err(|cause| failed(table, cause))
    }
}

fn failed(table: Table, cause: Box<dyn StdError + Send + Sync>) -> Error {
    let error = Error::unavailable("the caller's transaction has failed; roll it back")
        .with("table", table.name())
        .with("reason", &cause);
    let is_missing = cause.to_string().contains("no such table");
    let advice = "use a connection to the file of `sqlite.path`";
    if is_missing { error.with("advice", advice) } else { error }.caused_by(cause)
}

impl<T: SqlTransaction> Transaction for CallerTransaction<T> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let rows = self.query(table, Operation::Get, &[SqlValue::Blob(&self.key(key))])?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.execute(table, Operation::Put, &[SqlValue::Blob(&self.key(key)), SqlValue::Blob(value)])
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.execute(table, Operation::Delete, &[SqlValue::Blob(&self.key(key))])
    }

    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let (mut first, mut behind) = (Vec::new(), Vec::new());
        self.app.range(range, &mut first, &mut behind);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [SqlValue::Blob(&first), SqlValue::Blob(&behind), SqlValue::Integer(limit)];
        let rows = self.query(table, range.order.into(), &values)?;
        let pair = |row: Vec<Vec<u8>>| {
            let [key, value] = row.try_into().map_err(|_| Error::corrupt("a query has returned too few columns"))?;
            Ok((key.get(AppKeys::PREFIX..).unwrap_or_default().to_vec(), value))
        };
        rows.into_iter().map(pair).collect()
    }

    fn clear(&mut self, table: Table) -> Result<()> {
        let (mut first, mut behind) = (Vec::new(), Vec::new());
        let all = KeyRange { start: Bound::Unbounded, end: Bound::Unbounded, order: Order::Ascending };
        self.app.range(all, &mut first, &mut behind);
        self.execute(table, Operation::Clear, &[SqlValue::Blob(&first), SqlValue::Blob(&behind)])
    }
}
