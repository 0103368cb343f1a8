//! The state backend: stores the records of calls, their outcomes, and the journals and data of workflows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::component::Component;
use crate::error::Result;
use crate::id::{Digest, InvocationId};
use crate::page::{Cursor, Page};
use crate::record::{InvocationRecord, Outcome, Payload};

/// An outcome of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeWrite {
    /// The invocation.
    pub id: InvocationId,
    /// The epoch of the claim under which the outcome was made.
    pub epoch: u64,
    /// The outcome.
    pub outcome: Outcome,
}

/// One recorded operation of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its position in the workflow: a path of numbers and branch names.
    pub position: Box<str>,
    /// The kind of the operation.
    pub kind: Box<str>,
    /// The name of the task, step or event.
    pub name: Box<str>,
    /// The digest of its arguments.
    pub arguments: Digest,
    /// Its result.
    pub value: Payload,
}

/// A journal entry with the time of its append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRecord {
    /// The operation.
    pub entry: JournalEntry,
    /// When it was appended.
    pub at: Timestamp,
}

/// A request of a workflow run to replay its journal as the only writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOpening {
    /// The invocation.
    pub id: InvocationId,
    /// The epoch of its claim. An owner with an older epoch can neither open the journal nor append to it afterwards.
    pub epoch: u64,
    /// The number of its attempt, counted from one.
    pub attempt: u32,
    /// The workflow that the invocation takes part in; `None` if the invocation starts a workflow. If the journal began
    /// with the workflow's first invocation, the invocation is a run of the workflow and listed as one.
    pub workflow: Option<InvocationId>,
    /// The invocation whose journal is copied, if `id` has no journal of its own yet.
    pub takes_over: Option<InvocationId>,
}

/// The recorded operations of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The invocation with which the journal began. A copied journal keeps the origin of the first one.
    pub origin: InvocationId,
    /// The number of attempts that opened the journal, including those of the invocations it was copied from.
    pub tries: u32,
    /// The entries, in the order of their appends.
    pub entries: Vec<JournalRecord>,
    /// The store's present time.
    pub now: Timestamp,
}

/// The reply to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The entry was recorded at this time.
    New(Timestamp),
    /// The position had this entry already.
    Existing(JournalRecord),
}

/// The invocations that a listing is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// The runs of workflows, in the order of their first opening.
    WorkflowRuns,
    /// The invocations whose record was put at least this long ago, in the order of their puts. Those that a lane stored
    /// together with their registration may be missing.
    PutBefore(Duration),
    /// The invocations that were called by the task function of this one, in the order of their ids.
    Children(InvocationId),
}

/// Stores records, outcomes and journals. Writes are idempotent. Nothing written here counts before the orchestrator's
/// record commits to it.
///
/// # Behavior
///
/// - after a purge the state backend is empty
#[async_trait]
pub trait StateBackend: Component {
    /// Stores the records of calls.
    ///
    /// # Behavior
    ///
    /// - a record is read back as it was put
    /// - putting a record again changes nothing
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()>;

    /// Reads the records of calls.
    ///
    /// # Behavior
    ///
    /// - records are read in the order of the ids, and an unknown invocation gives `None`
    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>>;

    /// Stores outcomes.
    ///
    /// # Behavior
    ///
    /// - each epoch keeps one outcome: the first
    /// - outcomes of different epochs are independent
    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()>;

    /// Reads the outcome of one epoch.
    ///
    /// # Behavior
    ///
    /// - an outcome is read by its epoch, and another epoch has none
    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>>;

    /// Lists invocations by pages.
    ///
    /// # Behavior
    ///
    /// - workflow runs are listed in the order of their first opening
    /// - records that are old enough are listed by pages, and younger ones aren't
    /// - children are listed by pages until they are forgotten
    async fn list(&self, listing: &Listing, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>>;

    /// Raises the fence of a journal to an epoch, and reads the journal.
    ///
    /// # Behavior
    ///
    /// - a journal is read back in the order of its appends, with their times
    /// - opening with an epoch below the fence is an error of kind `Fenced`
    /// - each attempt is counted once, however often it opens the journal
    /// - a copied journal continues after the last entry of the original, and the original stays as it was
    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal>;

    /// Reads a journal without raising its fence; `None` if nobody has opened it.
    ///
    /// # Behavior
    ///
    /// - reading a journal raises no fence
    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>>;

    /// Records operations in their order, in one step.
    ///
    /// # Behavior
    ///
    /// - a position is recorded once, and a second append gets the first entry
    /// - an append below the fence is refused with kind `Fenced`
    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>>;

    /// Stores a value of a workflow.
    ///
    /// # Behavior
    ///
    /// - workflow data is read back, the last write wins, and workflows don't see each other's data
    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()>;

    /// Reads a value of a workflow.
    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>>;

    /// Deletes invocations with their outcomes, journals and workflow data.
    ///
    /// # Behavior
    ///
    /// - a forgotten invocation is gone with its outcomes, journal and workflow data
    async fn forget(&self, ids: &[InvocationId]) -> Result<()>;
}
