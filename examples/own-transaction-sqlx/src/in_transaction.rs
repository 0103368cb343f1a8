//! The two methods with which pynenc uses a transaction of sqlx.

use pynenc::backends::pynenc_sqlite::{AsyncSqlTransaction, SqlResult, SqlRow, SqlValue};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, query_as_with, query_with};

/// A connection with an open transaction.
pub(crate) struct InTransaction<'t>(pub(crate) &'t mut SqliteConnection);

impl AsyncSqlTransaction for InTransaction<'_> {
    async fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        query_with(sql, arguments(values)?).execute(&mut *self.0).await?;
        Ok(())
    }

    async fn query(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<Vec<SqlRow>> {
        Ok(query_as_with(sql, arguments(values)?).fetch_all(&mut *self.0).await?)
    }
}

fn arguments(values: &[SqlValue<'_>]) -> SqlResult<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match *value {
            SqlValue::Blob(bytes) => arguments.add(bytes)?,
            SqlValue::Integer(number) => arguments.add(number)?,
        }
    }
    Ok(arguments)
}
