//! The two methods with which pynenc uses a transaction of diesel.

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary};
use diesel::sqlite::Sqlite;
use pynenc::backends::pynenc_sqlite::{SqlResult, SqlRow, SqlTransaction, SqlValue};

/// A connection with an open transaction.
pub(crate) struct InTransaction<'t>(pub(crate) &'t mut SqliteConnection);

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    k: Vec<u8>,
    #[diesel(sql_type = Binary)]
    v: Vec<u8>,
}

impl SqlTransaction for InTransaction<'_> {
    fn execute(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<()> {
        bound(sql, values).execute(self.0)?;
        Ok(())
    }

    fn query(&mut self, sql: &'static str, values: &[SqlValue<'_>]) -> SqlResult<Vec<SqlRow>> {
        let rows: Vec<Row> = bound(sql, values).load(self.0)?;
        Ok(rows.into_iter().map(|row| (row.k, row.v)).collect())
    }
}

fn bound<'v>(sql: &str, values: &[SqlValue<'v>]) -> BoxedSqlQuery<'v, Sqlite, SqlQuery> {
    values.iter().fold(sql_query(sql).into_boxed(), |query, value| match *value {
        SqlValue::Blob(bytes) => query.bind::<Binary, _>(bytes),
        SqlValue::Integer(number) => query.bind::<BigInt, _>(number),
    })
}
