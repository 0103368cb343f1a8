//! Submitting in a transaction of the caller.

use std::cell::RefCell;
use std::fmt;

use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;
use pynenc_core::{Result, Timestamp};

use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::store::KvStore;
use crate::stores::transaction::Transaction;
use crate::stores::work::Work;

/// The notifications about a submission, which have to be sent after the caller's commit.
#[must_use = "runners learn of the calls only some time later if nobody announces them"]
pub struct Announcement {
    store: KvStore,
    committed: Committed,
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").finish_non_exhaustive()
    }
}

impl Announcement {
    /// Wakes idle runners. After a rollback it does no harm.
    pub fn send(self) {
        self.store.process().notify(&self.committed);
        self.committed.notify(self.store.data());
    }
}

impl KvStore {
    /// Submits calls in a transaction of the caller, who may write other data in it. The calls exist once the caller
    /// commits, and never if the caller rolls back.
    ///
    /// # Errors
    ///
    /// An operation of the transaction failed, and the caller has to roll back.
    pub fn submit_in(
        &self,
        transaction: &mut dyn Transaction,
        submissions: &[Submission],
    ) -> Result<(Vec<Registered>, Announcement)> {
        self.submit_in_at(self.now(), transaction, submissions)
    }

    /// Returns the time of the store, for [`KvStore::submit_in_at`].
    pub fn now(&self) -> Timestamp {
        self.clock().now()
    }

    /// Submits calls as [`KvStore::submit_in`] does, at a given time.
    ///
    /// With the same time, submissions and data, the submit performs the same operations, and all reads come before the
    /// first write. So a caller whose reads are asynchronous can end the submit with an error at a read, perform the
    /// read, and repeat the submit.
    ///
    /// # Errors
    ///
    /// As [`KvStore::submit_in`].
    pub fn submit_in_at(
        &self,
        now: Timestamp,
        transaction: &mut dyn Transaction,
        submissions: &[Submission],
    ) -> Result<(Vec<Registered>, Announcement)> {
        let transaction: RefCell<&mut dyn Transaction> = RefCell::new(&mut *transaction);
        let mut committed = Committed::default();
        let mut work = Work::open(Bytes::new(&transaction), now, &mut committed);
        let registered = submissions
            .iter()
            .map(|submission| work.submit(submission).and_then(|reply| reply))
            .collect::<Result<_>>()?;
        work.finish()?;
        Ok((registered, Announcement { store: self.clone(), committed }))
    }
}
