//! Facts: what was called with what, and what came of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{Digest, InvocationId};
use crate::lane::StoreId;
use crate::orchestrator::{Cursor, Page};
use crate::record::{InvocationRecord, Outcome, Payload};

/// An outcome of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeWrite {
    /// The invocation.
    pub id: InvocationId,
    /// The epoch of the claim it was made under.
    pub epoch: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// One recorded operation of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place in the workflow: a path of numbers and branch names.
    pub position: Box<str>,
    /// What kind of operation.
    pub kind: Box<str>,
    /// Which one of its kind: a task, a step, an event.
    pub name: Box<str>,
    /// The digest of what it was called with.
    pub arguments: Digest,
    /// What it gave.
    pub value: Payload,
}

/// An entry as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The operation.
    pub entry: JournalEntry,
    /// When it was appended.
    pub at: Timestamp,
}

/// A run that wants to go by its journal, and to be the only one that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOpening {
    /// The invocation.
    pub id: InvocationId,
    /// The epoch of its claim: whoever has an older one reads and appends no more.
    pub epoch: u64,
    /// The number of its attempt, counted from one.
    pub attempt: u32,
    /// The workflow that it takes part in; without one it founds its own. Whose journal began with the founder is a run of
    /// the workflow, and listed as such.
    pub workflow: Option<InvocationId>,
    /// The invocation whose journal it takes over, if it has none of its own yet.
    pub takes_over: Option<InvocationId>,
}

/// What an invocation has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The invocation with which it began: what was taken over keeps it.
    pub origin: InvocationId,
    /// The attempts that went by it, of all who had it.
    pub tries: u32,
    /// The entries, in the order of their appends.
    pub entries: Vec<Recorded>,
    /// The store's present.
    pub now: Timestamp,
}

/// The answer to an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// The entry is recorded, at this time.
    New(Timestamp),
    /// The position was recorded before, with this entry.
    Existing(Recorded),
}

/// Keeps facts about invocations. Writes are idempotent; nothing written here is visible before the orchestrator's
/// record commits to it.
#[async_trait]
pub trait StateBackend: fmt::Debug + Send + Sync + 'static {
    /// Keeps what was called.
    ///
    /// # Behavior
    ///
    /// - what is put is read back as it was
    /// - putting again changes nothing
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()>;

    /// Reads what was called.
    ///
    /// # Behavior
    ///
    /// - what is unknown is `None`, in the order of the ids
    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>>;

    /// The invocations that the body of `parent` called, in the order of their ids.
    ///
    /// # Behavior
    ///
    /// - children are listed until they are forgotten
    async fn children(&self, parent: InvocationId) -> Result<Vec<InvocationId>>;

    /// Keeps what a body left behind.
    ///
    /// # Behavior
    ///
    /// - an outcome is kept once for each epoch: the first stays
    /// - outcomes of different epochs don't touch each other
    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()>;

    /// The outcome of one epoch.
    ///
    /// # Behavior
    ///
    /// - an outcome is read by its epoch, and another epoch has none
    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>>;

    /// Raises the fence of a journal to an epoch, and reads it.
    ///
    /// # Behavior
    ///
    /// - a journal is read back in its order, with the times of its appends
    /// - an epoch below the fence can't open and is an error of kind `Fenced`
    /// - each attempt is counted once, however often it opens
    /// - a journal that is taken over goes on where the other one ended, which stays as it was
    /// - runs are listed in the order in which they were first opened
    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal>;

    /// Reads a journal as it is, for those who only look; `None` where none was opened.
    ///
    /// # Behavior
    ///
    /// - looking into a journal raises no fence
    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>>;

    /// Records operations, in their order, in one step.
    ///
    /// # Behavior
    ///
    /// - a position is recorded once, and a second append gets the first entry
    /// - an append below the fence is refused with kind `Fenced`
    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>>;

    /// Lists the runs of workflows, in the order in which they were first opened.
    async fn workflow_runs(&self, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>>;

    /// Keeps a value of a workflow.
    ///
    /// # Behavior
    ///
    /// - workflow data is read back, the last write wins, and workflows don't see each other's
    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()>;

    /// Reads a value of a workflow.
    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>>;

    /// Lists invocations that were put at least `age` ago, in the order of their putting.
    ///
    /// # Behavior
    ///
    /// - what is old enough is listed by pages, and what is younger isn't
    async fn aged(&self, age: Duration, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>>;

    /// Drops invocations with their outcomes, journals and workflow data.
    ///
    /// # Behavior
    ///
    /// - what is forgotten is gone with everything that hangs on it
    async fn forget(&self, ids: &[InvocationId]) -> Result<()>;

    /// Forgets everything.
    ///
    /// # Behavior
    ///
    /// - after a purge nothing is known
    async fn purge(&self) -> Result<()>;

    /// The store behind this component, for components that can share a lane.
    fn store_id(&self) -> Option<StoreId> {
        None
    }
}
