//! Group commit: several steps in one transaction.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pynenc_core::{Error, ErrorKind, Result};

use crate::stores::key_value::{Durability, Step};
use crate::stores::transaction::{KeyRange, Transaction};
use crate::table::Table;

/// Steps that share a transaction.
///
/// A step that fails alone has written nothing, and the others commit. An error of the store fails them all.
///
/// ```
/// use pynenc_core::Result;
/// use pynenc_kv::{Group, Transaction};
///
/// # trait Database { fn begin(&self) -> Result<Box<dyn Open>>; }
/// # trait Open: Transaction { fn commit(self: Box<Self>) -> Result<()>; fn as_transaction(&mut self) -> &mut dyn Transaction; }
/// fn perform(database: &dyn Database, mut group: Group) {
///     let committed = database.begin().and_then(|mut transaction| {
///         group.run(transaction.as_transaction())?;
///         transaction.commit()
///     });
///     group.finish(committed);
/// }
/// ```
pub struct Group {
    steps: Vec<Box<dyn Step>>,
    results: Vec<Result<()>>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl Group {
    /// Creates a group. The steps run in this order.
    pub fn new(steps: Vec<Box<dyn Step>>) -> Self {
        Self { steps, results: Vec::new() }
    }

    /// How safe the commit of the group has to be.
    pub fn durability(&self) -> Durability {
        self.steps.iter().map(|step| step.durability()).max().unwrap_or(Durability::Process)
    }

    /// Runs the steps. After an error the transaction has to be rolled back. The steps may then run again in another one.
    ///
    /// # Errors
    ///
    /// An operation of the transaction failed, or a step panicked.
    pub fn run(&mut self, transaction: &mut dyn Transaction) -> Result<()> {
        self.results.clear();
        let mut checked = Checked { transaction, failure: None };
        for step in &mut self.steps {
            // A panic is a fault of this crate. The transaction may have half of the step's writes, so it is rolled back.
            let result = catch_unwind(AssertUnwindSafe(|| step.run(&mut checked)));
            if let Some(failure) = checked.failure {
                return Err(failure);
            }
            let result = result.map_err(|_| Error::new(ErrorKind::Unexpected, "a step of the store panicked"))?;
            self.results.push(result);
        }
        Ok(())
    }

    /// Reports to each step its own result after a commit, or the error that made the commit fail.
    pub fn finish(self, committed: Result<()>) {
        let Err(failure) = committed else {
            self.steps.into_iter().zip(self.results).for_each(|(step, result)| step.finished(result));
            return;
        };
        for step in self.steps {
            step.finished(Err(failure.duplicate()));
        }
    }
}

/// A transaction that remembers whether one of its operations has failed.
struct Checked<'a> {
    transaction: &'a mut dyn Transaction,
    failure: Option<Error>,
}

impl Checked<'_> {
    fn check<T>(&mut self, result: Result<T>) -> Result<T> {
        if let (Err(error), None) = (&result, &self.failure) {
            self.failure = Some(error.duplicate());
        }
        result
    }
}

impl Transaction for Checked<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let result = self.transaction.get(table, key);
        self.check(result)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        let result = self.transaction.put(table, key, value);
        self.check(result)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        let result = self.transaction.delete(table, key);
        self.check(result)
    }

    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let result = self.transaction.range(table, range, limit);
        self.check(result)
    }

    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()> {
        let result = self.transaction.delete_range(table, range);
        self.check(result)
    }
}
