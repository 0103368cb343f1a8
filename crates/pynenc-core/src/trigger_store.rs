//! What triggers remember: definitions, events, occurrences, runs.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::InvocationId;
use crate::lane::StoreId;

/// A trigger's identity.
pub type TriggerId = Box<str>;

/// A trigger as it is given to a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerDefinition {
    /// Its identity.
    pub id: TriggerId,
    /// Its conditions and target, encoded by whoever evaluates it.
    pub spec: Bytes,
}

/// A trigger as a store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    /// What was given.
    pub definition: TriggerDefinition,
    /// Whether it passes over what happens.
    pub paused: bool,
    /// Whether it stays until it is undefined, because it was defined without a length.
    pub stays: bool,
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
    /// The serializer that wrote the payload.
    pub serializer: Box<str>,
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
    /// The serializer that wrote the payload.
    pub serializer: Box<str>,
}

/// An invocation that waits for an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventWait {
    /// Who waits.
    pub waiter: InvocationId,
    /// The name of the event.
    pub name: Box<str>,
    /// The key of the event; without one any event of the name will do.
    pub key: Option<Box<str>>,
    /// What was appended earlier doesn't count.
    pub since: Timestamp,
    /// Nor does what stands at this place of the log or before it.
    pub after: u64,
}

/// One who is offered each event of a name: a condition of a trigger, wherever it is evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventListener {
    /// Its identity: processes that give the same one share the events.
    pub id: Box<str>,
    /// The name of the events.
    pub name: Box<str>,
}

/// An event that was offered to a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The listener.
    pub listener: Box<str>,
    /// The event.
    pub event: Event,
}

/// A condition that came true and waits for others of its trigger.
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
    /// When nobody will ask for it any more.
    pub until: Timestamp,
}

/// A question for what waits of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The trigger.
    pub trigger: TriggerId,
    /// Which of its conditions.
    pub condition: u32,
    /// What came true earlier isn't asked for.
    pub since: Timestamp,
}

/// A slot of a schedule: firing it moves the schedule's watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The schedule.
    pub schedule: Box<str>,
    /// Where its watermark stands.
    pub from: Timestamp,
    /// Where it moves: the time of the slot.
    pub to: Timestamp,
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// A call, which is to be submitted.
    Call {
        /// The invocation that comes of it.
        invocation: InvocationId,
        /// The built call, encoded.
        call: Bytes,
    },
    /// No call, because the trigger's code failed; it says how.
    Failed(Box<str>),
    /// No call, because the time for it was over; it says of what.
    Missed(Box<str>),
}

/// One firing of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRun {
    /// What makes it one and the same when two runners fire it.
    pub id: Box<str>,
    /// The trigger.
    pub trigger: TriggerId,
    /// What happened, for people.
    pub cause: Box<str>,
    /// What it comes to.
    pub outcome: RunOutcome,
    /// The occurrences that it uses up.
    pub consumes: Vec<Box<str>>,
    /// The slot that it stands for.
    pub slot: Option<Slot>,
}

/// A run as a store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredRun {
    /// What was fired.
    pub run: TriggerRun,
    /// When.
    pub at: Timestamp,
    /// What became of its call.
    pub delivery: Delivery,
}

/// What became of a run's call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It has none, or isn't submitted yet.
    Open,
    /// It was submitted.
    Submitted,
    /// It was refused for good, and why.
    Refused(Box<str>),
}

/// That somebody has seen to a run's call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The run.
    pub run: Box<str>,
    /// Why its call was refused for good, if it was.
    pub refused: Option<Box<str>>,
}

/// How far schedules were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermarks {
    /// The store's present.
    pub now: Timestamp,
    /// One for each schedule, in their order.
    pub marks: Vec<Timestamp>,
}

/// What a store tells those who react.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum News {
    /// Events were appended.
    Events,
    /// Definitions were added, dropped, paused or resumed.
    Definitions,
}

/// Keeps what triggers have to remember over processes and crashes. Each item of a batch is one atomic step.
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
    async fn definitions(&self) -> Result<Vec<Defined>>;

    /// Pauses a trigger, or resumes it.
    ///
    /// # Behavior
    ///
    /// - a paused trigger stays paused until it is resumed, even when it is defined again
    async fn pause(&self, trigger: &str, paused: bool) -> Result<()>;

    /// Appends to the event log and tells each event's place in it.
    ///
    /// # Behavior
    ///
    /// - events are read back in their order, behind a place, by name
    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>>;

    /// Reads events of a name that stand behind a place.
    async fn events(&self, name: &str, after: u64, limit: usize) -> Result<Vec<Event>>;

    /// Offers each listener at most `limit` events of its name that it wasn't offered within `again_after`, in their order.
    ///
    /// # Behavior
    ///
    /// - an event is offered once to each listener, and again when it isn't done in time
    /// - the first listener of a name is offered what the log has kept, a later one what nobody was offered yet
    /// - listeners that come together are offered the same
    async fn take_events(
        &self,
        listeners: &[EventListener],
        limit: usize,
        again_after: Duration,
    ) -> Result<Vec<Offered>>;

    /// Says that a listener has seen to events.
    ///
    /// # Behavior
    ///
    /// - an event that is done isn't offered again
    async fn events_done(&self, listener: &str, sequences: &[u64]) -> Result<()>;

    /// Gives each wait the first event that it is for. One that finds none is kept, until such an event is appended.
    ///
    /// # Behavior
    ///
    /// - a wait is given the first event of its name and key, from its time on and behind its place
    /// - who waits for an event is told of once it is appended, and again when it isn't done in time
    /// - an event of another name or key wakes nobody
    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>>;

    /// Offers at most `limit` of those whose event has come and that nobody was offered within `again_after`.
    async fn awoken(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>>;

    /// Drops all waits of invocations, and that their events have come.
    ///
    /// # Behavior
    ///
    /// - who is done with waiting isn't told of
    async fn end_waits(&self, waiters: &[InvocationId]) -> Result<()>;

    /// Keeps occurrences.
    ///
    /// # Behavior
    ///
    /// - an occurrence is kept once, however often it is reported, even after it was used up
    async fn put_occurrences(&self, occurrences: &[Occurrence]) -> Result<()>;

    /// What waits of each condition that is asked for, oldest first, at most `limit` of each.
    ///
    /// # Behavior
    ///
    /// - occurrences are found by their condition, from a time on, oldest first
    async fn occurrences(&self, lookups: &[Lookup], limit: usize) -> Result<Vec<Vec<Occurrence>>>;

    /// Fires: claims each run, uses up its occurrences, moves its watermark and keeps its call, in one step. Tells for
    /// each whether this call did.
    ///
    /// # Behavior
    ///
    /// - a run fires once, of many tries at once too
    /// - a run uses its occurrences up
    /// - a run whose occurrence was used up by another doesn't fire, and uses up nothing
    /// - a run of a slot moves the watermark, and doesn't fire if that stands elsewhere
    /// - a run of a slot that lies ahead doesn't fire
    async fn fire(&self, runs: &[TriggerRun]) -> Result<Vec<bool>>;

    /// Runs whose calls weren't seen to and that were fired at least `age` ago, oldest first.
    ///
    /// # Behavior
    ///
    /// - a fired call is listed until it was seen to
    async fn undelivered(&self, age: Duration, limit: usize) -> Result<Vec<TriggerRun>>;

    /// Says what became of calls.
    async fn delivered(&self, delivered: &[Delivered]) -> Result<()>;

    /// The last runs of a trigger, newest first.
    ///
    /// # Behavior
    ///
    /// - the runs of a trigger are listed with what became of them, newest first
    async fn runs(&self, trigger: &str, limit: usize) -> Result<Vec<FiredRun>>;

    /// How far schedules were looked at.
    ///
    /// # Behavior
    ///
    /// - a new schedule is looked at from the present on
    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks>;

    /// Moves a watermark without firing, if it still stands at `slot.from`. Tells whether it did.
    ///
    /// # Behavior
    ///
    /// - of many moves from one place exactly one succeeds
    /// - a watermark isn't moved beyond the present
    async fn move_watermark(&self, slot: &Slot) -> Result<bool>;

    /// Tells of news from now on. News that wasn't read yet is told once.
    ///
    /// # Behavior
    ///
    /// - appended events and changed definitions are told
    async fn news(&self) -> Result<BoxStream<'static, News>>;

    /// Drops events and runs that are older than `age`, used-up occurrences that were used before that, and waiting ones
    /// that nobody will ask for. A run whose call wasn't seen to stays.
    ///
    /// # Behavior
    ///
    /// - what is old is dropped, and what still waits stays
    /// - an occurrence that waits is dropped when nobody will ask for it
    async fn expire(&self, age: Duration, limit: usize) -> Result<usize>;

    /// Forgets events, waits, occurrences, runs and watermarks.
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
