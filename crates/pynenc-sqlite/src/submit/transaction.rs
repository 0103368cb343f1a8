//! The transactions of a program: of `rusqlite`, and of other libraries.

use std::error::Error as StdError;

use rusqlite::types::{ToSql, ToSqlOutput};

/// An open transaction of the program on the file of the app.
///
/// It is implemented for `&rusqlite::Transaction`. For a connection of another library, implement the two methods. Begin
/// the transaction with `BEGIN IMMEDIATE`: a deferred transaction fails if another process has written meanwhile.
///
/// If the library is asynchronous, implement [`AsyncSqlTransaction`] instead.
pub trait SqlTransaction {
    /// Executes a statement that returns no rows.
    fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<()>;

    /// Executes a query, and returns its rows.
    fn query(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<Vec<SqlRow>>;
}

/// An open transaction of an asynchronous library on the file of the app.
///
/// The methods are those of [`SqlTransaction`]. Implement each as an `async fn`.
pub trait AsyncSqlTransaction: Send {
    /// Executes a statement that returns no rows.
    fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> impl Future<Output = SqlResult<()>> + Send;

    /// Executes a query, and returns its rows.
    fn query(
        &mut self,
        sql: &'static str,
        values: &[SqlValue<'_>],
    ) -> impl Future<Output = SqlResult<Vec<SqlRow>>> + Send;
}

/// The result of a method of [`SqlTransaction`] or [`AsyncSqlTransaction`].
pub type SqlResult<T> = Result<T, Box<dyn StdError + Send + Sync>>;

/// A row: the blobs of its two columns, `k` and `v`.
pub type SqlRow = (Vec<u8>, Vec<u8>);

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
    fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        self.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))?;
        Ok(())
    }

    fn query(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<Vec<SqlRow>> {
        let mut statement = self.prepare_cached(sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
