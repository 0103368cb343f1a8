//! The operations of a transaction, over the prepared statements of a connection.

use std::fmt;
use std::path::Path;

use pynenc_core::{Error, Result};
use pynenc_kv::{Group, KeyRange, Table, Transaction};
use rusqlite::{CachedStatement, Connection, Statement, StatementStatus};

use crate::connection::execute;
use crate::error::{Failure, failure, store_error};
use crate::sql::{AppKeys, Operation, sql};

/// The operations of a transaction on a connection, which keeps the prepared statements.
pub(crate) struct Session<'c> {
    path: &'c Path,
    connection: &'c Connection,
    /// The statements of this session, in the order of their first use.
    statements: Vec<(Table, Operation, CachedStatement<'c>)>,
    /// The app of the present step.
    app: AppKeys,
    /// The stored keys of the present operation.
    key: Vec<u8>,
    behind: Vec<u8>,
    /// The first error after which the connection can't be used.
    failure: Option<(Failure, Error)>,
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'c> Session<'c> {
    pub(crate) fn new(path: &'c Path, connection: &'c Connection) -> Self {
        let (app, key, behind) = (AppKeys::new(0), Vec::new(), Vec::new());
        Self { path, connection, statements: Vec::new(), app, key, behind, failure: None }
    }

    /// The operations on the keys of one app.
    pub(crate) fn of_app(&mut self, app: AppKeys) -> &mut Self {
        self.app = app;
        self
    }

    /// Converts an error, and notes whether the connection can still be used.
    pub(crate) fn failed(&mut self, error: rusqlite::Error) -> Error {
        let failure = failure(&error);
        let error = store_error(self.path, error);
        if let (Some(failure), None) = (failure, &self.failure) {
            self.failure = Some((failure, error.duplicate()));
        }
        error
    }

    /// Whether another connection has changed the tables since the last call. Is called after an operation on the table of
    /// the time, whose statement SQLite prepares again after such a change.
    pub(crate) fn has_new_tables(&mut self) -> bool {
        let statement = statement(self.connection, &mut self.statements, Table::Meta, Operation::Get);
        statement.is_ok_and(|statement| statement.reset_status(StatementStatus::RePrepare) > 0)
    }

    /// Whether the connection can't be used any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Gives the statements back to the connection. Returns the error after which the connection can't be used.
    pub(crate) fn end(self) -> Option<(Failure, Error)> {
        self.failure
    }

    /// The number of rows that the connection has changed.
    pub(crate) fn writes(&self) -> u64 {
        self.connection.total_changes()
    }

    /// Notes that the connection can't be used, because its transaction can't be ended.
    pub(crate) fn fail_connection(&mut self) {
        let error = Error::unavailable("a transaction of the SQLite file can't be rolled back");
        self.fail(&error.with("file", self.path.display()));
    }

    /// Notes that the connection can't be used.
    pub(crate) fn fail(&mut self, error: &Error) {
        self.failure.get_or_insert_with(|| (Failure::Connection, error.duplicate()));
    }

    pub(crate) fn connection(&self) -> &'c Connection {
        self.connection
    }

    pub(crate) fn path(&self) -> &'c Path {
        self.path
    }

    /// Runs steps of one app that only read, in one snapshot of the file.
    pub(crate) fn snapshot(&mut self, app: AppKeys, group: &mut Group) -> Result<()> {
        let connection = self.connection;
        execute(connection, "BEGIN").map_err(|error| self.failed(error))?;
        let read = group.run(self.of_app(app));
        if execute(connection, "COMMIT").is_err() && !connection.is_autocommit() {
            self.fail_connection();
        }
        read
    }

    /// Performs one operation with a statement and the stored keys.
    fn perform<T>(
        &mut self,
        table: Table,
        operation: Operation,
        with: impl FnOnce(&mut Statement<'c>, &[u8], &[u8]) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let prepared = statement(self.connection, &mut self.statements, table, operation);
        let result = prepared.and_then(|statement| with(statement, &self.key, &self.behind));
        result.map_err(|error| self.failed(error).with("table", table.name()))
    }
}

/// Finds a statement of a session, or takes it from those of the connection. A session has few.
fn statement<'s, 'c>(
    connection: &'c Connection,
    statements: &'s mut Vec<(Table, Operation, CachedStatement<'c>)>,
    table: Table,
    operation: Operation,
) -> rusqlite::Result<&'s mut CachedStatement<'c>> {
    let found = statements.iter().position(|(of, does, _)| (*of, *does) == (table, operation));
    let place = if let Some(place) = found {
        place
    } else {
        statements.push((table, operation, connection.prepare_cached(sql(table, operation))?));
        statements.len() - 1
    };
    Ok(&mut statements[place].2)
}

impl Transaction for Session<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.app.key(key, &mut self.key);
        self.perform(table, Operation::Get, |statement, key, _| {
            let mut rows = statement.query([key])?;
            rows.next()?.map(|row| Ok(row.get_ref(0)?.as_blob()?.to_vec())).transpose()
        })
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.app.key(key, &mut self.key);
        self.perform(table, Operation::Put, |statement, key, _| statement.execute([key, value])).map(drop)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.app.key(key, &mut self.key);
        self.perform(table, Operation::Delete, |statement, key, _| statement.execute([key])).map(drop)
    }

    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        self.app.range(range, &mut self.key, &mut self.behind);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.perform(table, range.order.into(), |statement, first, behind| {
            let mut rows = statement.query((first, behind, limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let key = row.get_ref(0)?.as_blob()?.get(AppKeys::PREFIX..).unwrap_or_default();
                found.push((key.to_vec(), row.get_ref(1)?.as_blob()?.to_vec()));
            }
            Ok(found)
        })
    }

    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()> {
        self.app.range(range, &mut self.key, &mut self.behind);
        let delete = |statement: &mut Statement<'_>, first: &[u8], behind: &[u8]| statement.execute([first, behind]);
        self.perform(table, Operation::DeleteRange, delete).map(drop)
    }
}
