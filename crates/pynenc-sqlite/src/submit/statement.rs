//! The statements of a submit in a transaction of the program.

use std::error::Error as StdError;
use std::ops::Bound;

use pynenc_core::{Error, Result};
use pynenc_kv::{KeyRange, Order, Table, Transaction};

use crate::schema;
use crate::sql::{AppKeys, Operation, sql};
use crate::submit::transaction::{SqlResult, SqlRow, SqlValue};

/// A statement with the values of its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Statement {
    table: Table,
    pub(crate) sql: &'static str,
    first: Vec<u8>,
    second: Option<Vec<u8>>,
    limit: Option<i64>,
}

impl Statement {
    fn new(table: Table, operation: Operation, first: Vec<u8>, second: Option<Vec<u8>>) -> Self {
        Self { table, sql: sql(table, operation), first, second, limit: None }
    }

    pub(crate) fn values(&self) -> Vec<SqlValue<'_>> {
        let second = self.second.as_deref().map(SqlValue::Blob);
        [SqlValue::Blob(&self.first)].into_iter().chain(second).chain(self.limit.map(SqlValue::Integer)).collect()
    }

    /// Converts the result of the statement.
    pub(crate) fn checked<T>(&self, result: SqlResult<T>) -> Result<T> {
        result.map_err(|cause| failed(self.table, cause))
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

/// Performs statements.
pub(crate) trait Perform {
    fn execute(&mut self, statement: Statement) -> Result<()>;

    fn query(&mut self, statement: Statement) -> Result<Vec<SqlRow>>;
}

/// The operations of pynenc as statements.
pub(crate) struct Statements<P> {
    pub(crate) perform: P,
    pub(crate) app: AppKeys,
}

impl<P: Perform> Statements<P> {
    /// Checks that no newer version of pynenc has migrated the file since the app was built.
    pub(crate) fn check_version(&mut self) -> Result<()> {
        let (table, sql) = (Table::Meta, schema::VERSION_BY_KEY);
        let first = schema::VERSION_KEY.as_bytes().to_vec();
        let rows = self.perform.query(Statement { table, sql, first, second: None, limit: None })?;
        let version = rows.first().and_then(|(_, version)| std::str::from_utf8(version).ok()?.parse().ok());
        schema::check_found(version.unwrap_or_default())
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut stored = Vec::with_capacity(AppKeys::PREFIX + key.len());
        self.app.key(key, &mut stored);
        stored
    }

    fn bounds(&self, range: KeyRange<'_>) -> (Vec<u8>, Vec<u8>) {
        let (mut first, mut behind) = (Vec::new(), Vec::new());
        self.app.range(range, &mut first, &mut behind);
        (first, behind)
    }
}

impl<P: Perform> Transaction for Statements<P> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        // A range of one key: so all queries have the same columns.
        let only = KeyRange { start: Bound::Included(key), end: Bound::Included(key), order: Order::Ascending };
        Ok(self.range(table, only, 1)?.pop().map(|(_, value)| value))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.perform.execute(Statement::new(table, Operation::Put, self.key(key), Some(value.to_vec())))
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.perform.execute(Statement::new(table, Operation::Delete, self.key(key), None))
    }

    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<SqlRow>> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let (first, behind) = self.bounds(range);
        let statement = Statement::new(table, range.order.into(), first, Some(behind));
        let rows =
            self.perform.query(Statement { limit: Some(i64::try_from(limit).unwrap_or(i64::MAX)), ..statement })?;
        let without_app = |(key, value): SqlRow| (key.get(AppKeys::PREFIX..).unwrap_or_default().to_vec(), value);
        Ok(rows.into_iter().map(without_app).collect())
    }

    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()> {
        let (first, behind) = self.bounds(range);
        self.perform.execute(Statement::new(table, Operation::DeleteRange, first, Some(behind)))
    }
}
