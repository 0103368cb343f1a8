//! The statements of a submit in a transaction of an asynchronous library.
//!
//! The decisions aren't asynchronous. So a submit ends at the first read whose rows aren't known, and is repeated when
//! the read has been performed. Writes are performed after the last repetition.

use std::collections::HashMap;

use pynenc_core::{Error, Result};

use crate::submit::statement::{Perform, Statement};
use crate::submit::transaction::{AsyncSqlTransaction, SqlRow};

/// The rows of the performed reads, and the statements that wait to be performed.
#[derive(Debug, Default)]
pub(crate) struct Repeat {
    known: HashMap<Statement, Vec<SqlRow>>,
    read: Option<Statement>,
    writes: Vec<Statement>,
}

impl Perform for &mut Repeat {
    fn execute(&mut self, statement: Statement) -> Result<()> {
        self.writes.push(statement);
        Ok(())
    }

    fn query(&mut self, statement: Statement) -> Result<Vec<SqlRow>> {
        if let Some(rows) = self.known.get(&statement) {
            return Ok(rows.clone());
        }
        self.read = Some(statement);
        Err(Error::unavailable("the rows of a query aren't known yet"))
    }
}

impl Repeat {
    /// Performs the read at which the submit has ended. Returns whether there was one.
    pub(crate) async fn read(&mut self, sql: &mut impl AsyncSqlTransaction) -> Result<bool> {
        let Some(read) = self.read.take() else { return Ok(false) };
        let rows = sql.query(read.sql, &read.values()).await;
        let rows = read.checked(rows)?;
        self.known.insert(read, rows);
        self.writes.clear();
        Ok(true)
    }

    pub(crate) async fn write(self, sql: &mut impl AsyncSqlTransaction) -> Result<()> {
        for write in self.writes {
            let result = sql.execute(write.sql, &write.values()).await;
            write.checked(result)?;
        }
        Ok(())
    }
}
