//! The app's methods of the feature `sqlite`.

use std::fmt;

use pynenc_engine::task::Task;
use pynenc_engine::{Call, Invocation, Result};
use pynenc_sqlite::{Announcement, AsyncSqlTransaction, SqlTransaction, SqliteConfig, SqliteSubmitter};

use super::Pynenc;

/// Submits calls in transactions of the program, see [`Pynenc::sqlite`].
#[derive(Debug, Clone)]
pub struct SqliteApp {
    app: Pynenc,
    submitter: SqliteSubmitter,
}

/// A call that was submitted in an open transaction.
#[must_use = "after the commit, call `committed`: otherwise runners start the call up to 100ms later"]
pub struct Submitted<T: Task> {
    invocation: Invocation<T>,
    announcement: Announcement,
}

impl<T: Task> fmt::Debug for Submitted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitted").field("invocation", &self.invocation).finish_non_exhaustive()
    }
}

impl Pynenc {
    /// Returns the SQLite store of the app, to submit calls in the transaction that writes the program's own rows.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](pynenc_engine::Error::Config) if the app doesn't use SQLite.
    pub fn sqlite(&self) -> Result<SqliteApp> {
        let submitter = SqliteSubmitter::of(&self.config.section::<SqliteConfig>()?, &self.settings().app_id)?;
        Ok(SqliteApp { app: self.clone(), submitter })
    }
}

impl SqliteApp {
    /// Submits a call in a transaction on the app's file. The call exists once the transaction is committed, and never
    /// if it is rolled back.
    ///
    /// `transaction` is a `&rusqlite::Transaction`, or a type of yours with the two methods of [`SqlTransaction`]. Begin
    /// the transaction with `BEGIN IMMEDIATE`. Large arguments are stored with the call.
    ///
    /// If your library is asynchronous, use [`SqliteApp::submit_async`].
    ///
    /// # Errors
    ///
    /// The errors of [`Engine::submit`](pynenc_engine::Engine::submit). Roll the transaction back.
    pub fn submit<T: Task>(&self, transaction: impl SqlTransaction, call: Call<T>) -> Result<Submitted<T>> {
        let call = self.app.prepare_for_transaction(call)?;
        let (registered, announcement) = self.submitter.submit(transaction, call.submission())?;
        Ok(Submitted { invocation: call.registered(registered)?, announcement })
    }

    /// Submits a call in a transaction of an asynchronous library, as [`SqliteApp::submit`] does.
    ///
    /// # Errors
    ///
    /// As [`SqliteApp::submit`].
    ///
    /// # Cancel safety
    ///
    /// If you drop the future, roll the transaction back.
    pub async fn submit_async<T: Task>(
        &self,
        transaction: impl AsyncSqlTransaction,
        call: Call<T>,
    ) -> Result<Submitted<T>> {
        let call = self.app.prepare_for_transaction(call)?;
        let (registered, announcement) = self.submitter.submit_async(transaction, call.submission()).await?;
        Ok(Submitted { invocation: call.registered(registered)?, announcement })
    }
}

impl<T: Task> Submitted<T> {
    /// The invocation, which exists once the transaction is committed.
    pub fn invocation(&self) -> &Invocation<T> {
        &self.invocation
    }

    /// Wakes idle runners after the commit, and returns the invocation.
    pub fn committed(self) -> Invocation<T> {
        self.announcement.send();
        self.invocation
    }
}
