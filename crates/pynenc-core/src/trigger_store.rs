//! The trigger store: definitions, events, occurrences, runs and watermarks of triggers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::component::Component;
use crate::error::Result;
use crate::id::InvocationId;

/// A trigger's identity.
pub type TriggerId = Box<str>;

/// The definition of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerDefinition {
    /// The trigger's identity.
    pub id: TriggerId,
    /// Its conditions and its target, encoded by the trigger extension.
    pub spec: Bytes,
}

/// A change of the trigger definitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerUpdate {
    /// Stores a definition.
    Define {
        /// The definition.
        definition: TriggerDefinition,
        /// How long the definition lives without renewal; `None` until the trigger is removed.
        length: Option<Duration>,
    },
    /// Pauses a trigger: it ignores its conditions until it is resumed.
    Pause(TriggerId),
    /// Resumes a paused trigger.
    Resume(TriggerId),
    /// Removes a trigger.
    Remove(TriggerId),
}

/// A live trigger in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTrigger {
    /// The definition.
    pub definition: TriggerDefinition,
    /// Whether the trigger is paused.
    pub paused: bool,
    /// Whether the trigger lives until it is removed, because it was defined without a length.
    pub stays: bool,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its position in the log.
    pub sequence: u64,
    /// Its name.
    pub name: Box<str>,
    /// Its key, for waits on one key.
    pub key: Option<Box<str>>,
    /// The encoded payload.
    pub payload: Bytes,
    /// The serializer that wrote the payload.
    pub serializer: Box<str>,
    /// The time of its append.
    pub at: Timestamp,
}

/// An event to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name.
    pub name: Box<str>,
    /// Its key, for waits on one key.
    pub key: Option<Box<str>>,
    /// The encoded payload.
    pub payload: Bytes,
    /// The serializer that wrote the payload.
    pub serializer: Box<str>,
}

/// A wait of an invocation for an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventWait {
    /// The invocation that waits.
    pub waiter: InvocationId,
    /// The name of the event.
    pub name: Box<str>,
    /// The key of the event; `None` for any event of the name.
    pub key: Option<Box<str>>,
    /// The earliest time of append.
    pub since: Timestamp,
    /// The event has to be behind this position of the log.
    pub after: u64,
}

/// A listener, which is offered each event of a name. Each event condition of a trigger is one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventListener {
    /// Its identity. Processes with the same one share the events.
    pub id: Box<str>,
    /// The name of the events.
    pub name: Box<str>,
}

/// An event that is offered to a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The listener.
    pub listener: Box<str>,
    /// The event.
    pub event: Event,
}

/// An event that a listener has handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandledEvent {
    /// The listener.
    pub listener: Box<str>,
    /// The event's position in the log.
    pub sequence: u64,
}

/// A request for events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventsTake {
    /// The listeners to take events for.
    pub listeners: Vec<EventListener>,
    /// Acknowledges these events before any is taken: the caller has handled them.
    pub done: Vec<HandledEvent>,
    /// The largest number of events for each listener. With a limit of zero the request only acknowledges.
    pub limit: usize,
    /// The store offers an event again if the listener hasn't acknowledged the event this long after its last offer.
    pub again_after: Duration,
}

impl EventsTake {
    /// A request that only acknowledges events.
    pub fn done(done: Vec<HandledEvent>) -> Self {
        Self { done, ..Self::default() }
    }
}

/// A request for waiters whose event has arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadyTake {
    /// Ends all waits of these invocations before any is taken.
    pub done: Vec<InvocationId>,
    /// The largest number of waiters. With a limit of zero the request only ends waits.
    pub limit: usize,
    /// The store offers a waiter again if its waits haven't been ended this long after its last offer.
    pub again_after: Duration,
}

impl ReadyTake {
    /// A request that only ends waits.
    pub fn done(done: Vec<InvocationId>) -> Self {
        Self { done, ..Self::default() }
    }
}

/// A condition that came true and waits for the other conditions of its trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// Its identity. A second report with the same one is ignored.
    pub id: Box<str>,
    /// The trigger.
    pub trigger: TriggerId,
    /// The number of the condition in the trigger.
    pub condition: u32,
    /// The encoded context.
    pub context: Bytes,
    /// When the condition came true.
    pub at: Timestamp,
    /// After this time nobody asks for the occurrence.
    pub until: Timestamp,
}

/// A request for the waiting occurrences of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The trigger.
    pub trigger: TriggerId,
    /// The number of the condition in the trigger.
    pub condition: u32,
    /// The earliest time of the occurrences.
    pub since: Timestamp,
}

/// A slot of a schedule. Firing the slot moves the schedule's watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSlot {
    /// The schedule.
    pub schedule: Box<str>,
    /// The watermark before the slot.
    pub from: Timestamp,
    /// The watermark after the slot: the time of the slot.
    pub to: Timestamp,
}

/// The outcome of a trigger's run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// A call to submit.
    Call {
        /// The invocation id of the call.
        invocation: InvocationId,
        /// The encoded call.
        call: Bytes,
    },
    /// No call, because the trigger's code failed. Holds the error.
    Failed(Box<str>),
    /// No call, because its time was over. Says which slots were missed.
    Missed(Box<str>),
}

/// One run of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerRun {
    /// Its identity. If two runners fire the same run, one of them does.
    pub id: Box<str>,
    /// The trigger.
    pub trigger: TriggerId,
    /// The cause, for people.
    pub cause: Box<str>,
    /// The outcome.
    pub outcome: RunOutcome,
    /// The occurrences that it consumes.
    pub consumes: Vec<Box<str>>,
    /// The slot of a schedule that it fires.
    pub slot: Option<ScheduleSlot>,
}

/// A step of the trigger store that happens once, whoever tries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firing {
    /// Stores a run.
    Run(TriggerRun),
    /// Moves a watermark over a slot, and stores nothing.
    Skip(ScheduleSlot),
}

/// A run in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredRun {
    /// The run.
    pub run: TriggerRun,
    /// The time of the firing.
    pub at: Timestamp,
    /// The state of its call.
    pub delivery: Delivery,
}

/// The state of a run's call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The run has no call, or its call isn't submitted yet.
    Open,
    /// The call was submitted.
    Submitted,
    /// The call was refused permanently, for this reason.
    Refused(Box<str>),
}

/// The result of submitting a run's call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The run.
    pub run: Box<str>,
    /// The reason, if the call was refused permanently.
    pub refused: Option<Box<str>>,
}

/// A selection of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerRuns {
    /// The last runs of a trigger, the newest first.
    Of(TriggerId),
    /// The runs of any trigger whose call isn't delivered and that were fired at least this long ago, the oldest first.
    Undelivered(Duration),
}

/// The watermarks of schedules: the times up to which their slots were handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermarks {
    /// The store's present time.
    pub now: Timestamp,
    /// One for each schedule, in the order of the request.
    pub marks: Vec<Timestamp>,
}

/// A change that the store announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notification {
    /// Events were appended.
    Events,
    /// Triggers were defined, removed, paused or resumed.
    Definitions,
}

/// The number of changes of each kind. A subscriber compares its counts with those of the store, so several changes
/// between two reads make one notification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotificationCounts {
    events: u64,
    definitions: u64,
}

impl NotificationCounts {
    /// Counts a change.
    pub fn add(&mut self, notification: Notification) {
        match notification {
            Notification::Events => self.events += 1,
            Notification::Definitions => self.definitions += 1,
        }
    }

    /// The next notification for a subscriber with these counts, whose count is then up to date with `now`.
    pub fn next(&mut self, now: Self) -> Option<Notification> {
        if self.events != now.events {
            self.events = now.events;
            Some(Notification::Events)
        } else if self.definitions != now.definitions {
            self.definitions = now.definitions;
            Some(Notification::Definitions)
        } else {
            None
        }
    }
}

/// Stores the state of triggers. Each item of a batch is one atomic step.
///
/// # Behavior
///
/// - a purge leaves definitions in place, and deletes events, waits, occurrences, runs and watermarks
#[async_trait]
pub trait TriggerStore: Component {
    /// Applies changes to the trigger definitions, in order.
    ///
    /// # Behavior
    ///
    /// - a definition lives for its length, and a renewal extends it
    /// - a definition without a length stays
    /// - a removed definition isn't listed
    /// - a paused trigger stays paused until it is resumed, even when it is defined again
    async fn update_definitions(&self, updates: &[TriggerUpdate]) -> Result<()>;

    /// Lists the live triggers by id.
    async fn definitions(&self) -> Result<Vec<StoredTrigger>>;

    /// Appends events to the log, and returns their positions.
    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>>;

    /// Acknowledges handled events, then offers each listener others of its name in the order of the log.
    ///
    /// # Behavior
    ///
    /// - events are offered in the order of their appends, by name, as they were appended
    /// - an event is offered once to each listener, and again when it isn't acknowledged in time
    /// - the first listener of a name is offered all kept events, a later one those that nobody was offered yet
    /// - listeners of one request are offered the same events
    /// - an acknowledged event isn't offered again
    /// - a take acknowledges events and offers others in the same call
    async fn take_events(&self, take: &EventsTake) -> Result<Vec<Offered>>;

    /// Finds the first matching event of each wait. A wait without a match is stored until a matching event is appended.
    ///
    /// # Behavior
    ///
    /// - a wait gets the first event of its name and key, from its time on and behind its position
    /// - an event of another name or key ends no wait
    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>>;

    /// Ends all waits of handled waiters, then offers other waiters whose event has arrived.
    ///
    /// # Behavior
    ///
    /// - a waiter is offered once its event is appended, and again when its waits aren't ended in time
    /// - a waiter whose waits were ended isn't offered
    /// - a take ends waits and offers other waiters in the same call
    async fn take_ready(&self, take: &ReadyTake) -> Result<Vec<InvocationId>>;

    /// Stores occurrences, then reads the waiting occurrences of each lookup: the oldest first, at most `limit` of each.
    ///
    /// # Behavior
    ///
    /// - an occurrence is stored once, however often it is reported, even after it was consumed
    /// - occurrences are found by their condition, from a time on, the oldest first
    /// - a lookup sees the occurrences that are stored in the same call
    async fn put_occurrences(
        &self,
        occurrences: &[Occurrence],
        lookups: &[Lookup],
        limit: usize,
    ) -> Result<Vec<Vec<Occurrence>>>;

    /// Fires runs and skips slots. Reports for each item whether this call did.
    ///
    /// Firing a run claims its id, consumes its occurrences, moves its watermark and stores its call, in one step.
    ///
    /// # Behavior
    ///
    /// - a run fires once, also if many try at once
    /// - a run consumes its occurrences
    /// - a run whose occurrence was consumed by another doesn't fire, and consumes nothing
    /// - a run of a slot moves the watermark, and doesn't fire if the watermark is elsewhere
    /// - a run of a future slot doesn't fire
    /// - a skip moves the watermark and stores no run
    /// - of many skips of one slot exactly one succeeds
    /// - a future slot can't be skipped
    async fn fire(&self, firings: &[Firing]) -> Result<Vec<bool>>;

    /// Reads runs, at most `limit` of them.
    ///
    /// # Behavior
    ///
    /// - a run is undelivered until its delivery is reported
    /// - the runs of a trigger are listed with the states of their calls, the newest first
    async fn runs(&self, runs: &TriggerRuns, limit: usize) -> Result<Vec<FiredRun>>;

    /// Stores the results of submitting calls.
    async fn delivered(&self, delivered: &[Delivered]) -> Result<()>;

    /// Reads the watermarks of schedules. A new schedule gets one.
    ///
    /// # Behavior
    ///
    /// - the watermark of a new schedule is the present
    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks>;

    /// Streams notifications from now on. Equal notifications that weren't read yet are merged.
    ///
    /// # Behavior
    ///
    /// - appended events and changed definitions are announced
    async fn notifications(&self) -> Result<BoxStream<'static, Notification>>;

    /// Deletes events and runs older than `age`, occurrences consumed before that, and occurrences whose time is over.
    /// A run whose delivery wasn't reported stays. Returns the number of deleted items, at most `limit`.
    ///
    /// # Behavior
    ///
    /// - old items are deleted, and items that still wait stay
    /// - a waiting occurrence is deleted when its time is over
    async fn expire(&self, age: Duration, limit: usize) -> Result<usize>;
}
