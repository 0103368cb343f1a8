//! Submitting in a transaction of the program.

pub(crate) mod repeat;
pub(crate) mod statement;
pub(crate) mod transaction;

use std::fmt;
use std::slice;

use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;
use pynenc_core::{Error, ErrorKind, Result};
use pynenc_kv::{Announcement, KvStore};

use crate::config::SqliteConfig;
use crate::sql::AppKeys;
use crate::store;
use crate::submit::repeat::Repeat;
use crate::submit::statement::{Perform, Statement, Statements};
use crate::submit::transaction::{AsyncSqlTransaction, SqlRow, SqlTransaction};

/// The store of an app, for submits in a transaction of the program.
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
        let mut transaction = Statements { perform: AtOnce(transaction), app: self.keys };
        transaction.check_version()?;
        only(self.store.submit_in(&mut transaction, slice::from_ref(submission)))
    }

    /// Submits a call in a transaction of an asynchronous library, as [`SqliteSubmitter::submit`] does.
    ///
    /// # Errors
    ///
    /// As [`SqliteSubmitter::submit`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the transaction has to be rolled back.
    pub async fn submit_async(
        &self,
        mut transaction: impl AsyncSqlTransaction,
        submission: &Submission,
    ) -> Result<(Registered, Announcement)> {
        let (now, mut repeat) = (self.store.now(), Repeat::default());
        loop {
            let mut statements = Statements { perform: &mut repeat, app: self.keys };
            let submitted = statements
                .check_version()
                .and_then(|()| self.store.submit_in_at(now, &mut statements, slice::from_ref(submission)));
            if !repeat.read(&mut transaction).await? {
                let reply = only(submitted)?;
                repeat.write(&mut transaction).await?;
                return Ok(reply);
            }
        }
    }
}

/// The reply to the only submission of a batch.
fn only(reply: Result<(Vec<Registered>, Announcement)>) -> Result<(Registered, Announcement)> {
    let (registered, announcement) = reply?;
    let missing = || Error::new(ErrorKind::Unexpected, "the submit had no reply");
    Ok((registered.into_iter().next().ok_or_else(missing)?, announcement))
}

/// Performs each statement at once.
struct AtOnce<T>(T);

impl<T: SqlTransaction> Perform for AtOnce<T> {
    fn execute(&mut self, statement: Statement) -> Result<()> {
        let result = self.0.execute(statement.sql, &statement.values());
        statement.checked(result)
    }

    fn query(&mut self, statement: Statement) -> Result<Vec<SqlRow>> {
        let result = self.0.query(statement.sql, &statement.values());
        statement.checked(result)
    }
}
