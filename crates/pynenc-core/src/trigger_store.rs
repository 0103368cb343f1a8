//! What triggers remember: definitions, events, occurrences, runs.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::InvocationId;
use crate::lane::StoreId;

/// A trigger's identity.
pub type TriggerId = Box<str>;

/// A trigger as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerDefinition {
    /// Its identity.
    pub id: TriggerId,
    /// Its conditions and target, encoded by whoever evaluates it.
    pub spec: Bytes,
    /// Whether it reacts.
    pub paused: bool,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the log.
    pub sequence: u64,
    /// Its name.
    pub name: Box<str>,
    /// For those who wait for one key.
    pub key: Option<Box<str>>,
    /// The encoded payload.
    pub payload: Bytes,
    /// When it was appended.
    pub at: Timestamp,
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name.
    pub name: Box<str>,
    /// For those who wait for one key.
    pub key: Option<Box<str>>,
    /// The encoded payload.
    pub payload: Bytes,
}

/// A condition that came true and waits for its trigger to fire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// What makes it one and the same when it is reported twice.
    pub id: Box<str>,
    /// The trigger.
    pub trigger: TriggerId,
    /// Which of the trigger's conditions.
    pub condition: u32,
    /// The encoded context.
    pub context: Bytes,
    /// When it came true.
    pub at: Timestamp,
}

/// One firing of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRun {
    /// What makes it one and the same when two runners fire it.
    pub id: Box<str>,
    /// The trigger.
    pub trigger: TriggerId,
    /// The invocation that comes of it.
    pub invocation: InvocationId,
    /// The built call, encoded.
    pub call: Bytes,
    /// The occurrences that it uses up.
    pub consumes: Vec<Box<str>>,
}

/// Keeps what triggers have to remember over processes and crashes.
#[async_trait]
pub trait TriggerStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps definitions, and keeps them alive for `length`; without a length until they are removed.
    ///
    /// # Behavior
    ///
    /// - a definition is listed until its length is over, and kept when it is renewed
    /// - a definition without a length stays
    async fn define(&self, definitions: &[TriggerDefinition], length: Option<Duration>) -> Result<()>;

    /// Drops definitions.
    ///
    /// # Behavior
    ///
    /// - what is undefined isn't listed
    async fn undefine(&self, ids: &[TriggerId]) -> Result<()>;

    /// The live definitions, by id.
    async fn definitions(&self) -> Result<Vec<TriggerDefinition>>;

    /// Appends to the event log and tells each event's place in it.
    ///
    /// # Behavior
    ///
    /// - events are read back in their order, behind a place, by name
    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>>;

    /// Reads events of a name that stand behind a place.
    async fn events(&self, name: &str, after: u64, limit: usize) -> Result<Vec<Event>>;

    /// Keeps occurrences.
    ///
    /// # Behavior
    ///
    /// - an occurrence is kept once, however often it is reported, even after it was used up
    async fn put_occurrences(&self, occurrences: &[Occurrence]) -> Result<()>;

    /// The occurrences of a trigger that wait, oldest first.
    async fn occurrences(&self, trigger: &str, limit: usize) -> Result<Vec<Occurrence>>;

    /// Fires: claims the run, uses up its occurrences and keeps its call, in one step. Tells whether this call did.
    ///
    /// # Behavior
    ///
    /// - a run fires once, of many tries at once too
    /// - a run uses its occurrences up
    /// - a run whose occurrence was used up by another doesn't fire, and uses up nothing
    async fn fire(&self, run: &TriggerRun) -> Result<bool>;

    /// Runs that were fired at least `age` ago and not submitted, oldest first.
    ///
    /// # Behavior
    ///
    /// - a fired run is listed until it is submitted
    async fn unsubmitted(&self, age: Duration, limit: usize) -> Result<Vec<TriggerRun>>;

    /// Marks runs as submitted.
    async fn submitted(&self, runs: &[Box<str>]) -> Result<()>;

    /// How far a schedule has been looked at.
    ///
    /// # Behavior
    ///
    /// - a new schedule has no watermark
    async fn watermark(&self, schedule: &str) -> Result<Option<Timestamp>>;

    /// Moves a watermark, if it still stands at `from`. Tells whether it did.
    ///
    /// # Behavior
    ///
    /// - of many moves from one place exactly one succeeds
    async fn move_watermark(&self, schedule: &str, from: Option<Timestamp>, to: Timestamp) -> Result<bool>;

    /// Drops events, used-up occurrences and submitted runs that are older than `age`.
    ///
    /// # Behavior
    ///
    /// - what is old is dropped, and what still waits stays
    async fn expire(&self, age: Duration, limit: usize) -> Result<usize>;

    /// Forgets events, occurrences, runs and watermarks.
    ///
    /// # Behavior
    ///
    /// - a purge leaves definitions in place
    async fn purge(&self) -> Result<()>;

    /// The store behind this component, for components that can share a lane.
    fn store_id(&self) -> Option<StoreId> {
        None
    }
}
