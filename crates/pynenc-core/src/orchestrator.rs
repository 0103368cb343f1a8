//! The truth: who may run what, and what has become of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::broker::{Broker, Message};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{ClaimToken, InvocationId, QueueName, RunnerId, TaskId};
use crate::lane::{Lane, StoreId};
use crate::record::{Priority, Registration};
use crate::state_backend::StateBackend;
use crate::status::{Change, Expect, Reason, Refusal, Status, StatusRecord};

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It exists now, or existed already under this very id.
    New(Tracked),
    /// Another invocation stands for it.
    Existing {
        /// The other invocation.
        id: InvocationId,
        /// Whether its arguments are the same.
        same_arguments: bool,
    },
    /// Its idempotency key stands for a call with other arguments.
    Conflict {
        /// The invocation that has the key.
        id: InvocationId,
    },
}

/// An invocation with what the orchestrator knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// Its identity.
    pub id: InvocationId,
    /// Its task.
    pub task: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// Its place in the queue, as its caller chose it.
    pub priority: Priority,
    /// Whether it is under running control.
    pub limited: bool,
    /// Its status.
    pub record: StatusRecord,
}

impl Tracked {
    /// The hint that belongs to it. One that was handed a slot had its turn before, and the slot stands idle until it
    /// is claimed, so it goes before what was there first.
    pub fn message(&self) -> Message {
        let priority = if self.was_handed_a_slot() { self.priority.raised(1) } else { self.priority };
        Message { invocation: self.id, queue: self.queue.clone(), priority, not_before: self.record.due }
    }

    fn was_handed_a_slot(&self) -> bool {
        self.record.status == Status::Rerouted && self.record.reason == Reason::SlotHandedOver
    }
}

/// An attempt to become the owner of some invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The candidates.
    pub ids: Vec<InvocationId>,
    /// Who would own them.
    pub runner: RunnerId,
    /// This attempt.
    pub token: ClaimToken,
    /// What was lost fewer times than this while it ran is running with the claim; the rest is pending.
    pub runs_below: u32,
    /// Tasks that the runner doesn't have.
    pub left_out: Vec<TaskId>,
}

impl Claim {
    /// A new attempt, which leaves what it gets pending.
    pub fn new(ids: Vec<InvocationId>, runner: RunnerId) -> Self {
        Self { ids, runner, token: ClaimToken::new(), runs_below: 0, left_out: Vec::new() }
    }

    /// Leaves out what calls these tasks.
    #[must_use]
    pub fn without(mut self, tasks: Vec<TaskId>) -> Self {
        self.left_out = tasks;
        self
    }

    /// Says with the claim that those run which were lost fewer times than `losses` while they ran.
    #[must_use]
    pub fn running_below(mut self, losses: u32) -> Self {
        self.runs_below = losses;
        self
    }
}

/// The answer to a claim, one for each candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimReply {
    /// The runner owns it.
    Granted(Tracked),
    /// Every slot of its concurrency key is taken: it was parked, or ended as its task says.
    Busy,
    /// Nothing to run: unknown, owned by another, not due, or final.
    Gone,
    /// It could be claimed, and the claim leaves its task out: nothing has changed. Its hint has to be pushed again.
    LeftOut(Tracked),
}

/// A compare-and-set on one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The invocation.
    pub id: InvocationId,
    /// What the caller saw.
    pub expect: Expect,
    /// What it wants.
    pub change: Change,
}

/// The answer to a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionReply {
    /// It is made.
    Done {
        /// The record as it is now.
        record: StatusRecord,
        /// Hints for parked invocations that were handed a freed slot in the same step.
        handed: Vec<Message>,
    },
    /// It was made before, by this very call: a repeat after a lost reply.
    AlreadyMine(StatusRecord),
    /// Nothing has changed.
    Refused(Refusal),
}

/// The answer to a wish for an invocation's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelReply {
    /// It waited, and is cancelled.
    Cancelled {
        /// Hints for parked invocations that were handed its slot.
        handed: Vec<Message>,
    },
    /// A runner owns it and has been told.
    Requested,
    /// It had ended before.
    Final(Status),
    /// No such invocation.
    Missing,
}

/// A body that wants to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The invocation whose body waits.
    pub waiter: InvocationId,
    /// Its record as the runner knows it.
    pub expect: Expect,
    /// The runner that owns it.
    pub runner: RunnerId,
    /// What it waits for.
    pub on: Vec<InvocationId>,
}

/// The answer to a [`Block`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// The waiter is paused, or was already.
    Waiting {
        /// Its record as it is now.
        record: StatusRecord,
        /// The hints of what it waits for, raised by the number that wait for each; those that are queued.
        raised: Vec<Message>,
    },
    /// There is nothing to wait for: all of it has ended or doesn't exist.
    Ready,
    /// It would wait for itself: the way from the waiter back to the waiter.
    Cycle(Vec<InvocationId>),
    /// The caller doesn't own it any more.
    Refused(Refusal),
}

/// A line of an invocation's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The status that was entered.
    pub status: Status,
    /// When.
    pub at: Timestamp,
    /// The version that it made.
    pub version: u64,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// The runner that made it or became its owner.
    pub runner: Option<RunnerId>,
    /// Why.
    pub reason: Reason,
    /// What there is to say beyond the reason.
    pub detail: Option<Box<str>>,
}

/// Where a page ended: a place in the order of registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// When the last item was accepted.
    pub at: Timestamp,
    /// The last item.
    pub id: InvocationId,
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the order of registration. There may be fewer than asked for, and even none, before the end: only so many
    /// entries are looked at for a page.
    pub items: Vec<T>,
    /// How far it was looked, and so where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// A filter for a listing; what is empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Find {
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// This task.
    pub task: Option<TaskId>,
    /// Registered then or later.
    pub since: Option<Timestamp>,
    /// Registered then or earlier.
    pub until: Option<Timestamp>,
    /// The last registered one first.
    pub newest_first: bool,
    /// Go on behind this place.
    pub after: Option<Cursor>,
    /// At most so many items; the engine asks for 500.
    pub limit: usize,
}

/// How much of what there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Invocations by status; a missing one is zero.
    pub statuses: BTreeMap<Status, u64>,
    /// Invocations by queue that wait there for a claim, due or not.
    pub queued: BTreeMap<QueueName, u64>,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Whose.
    pub runner: RunnerId,
    /// How long the runner is believed to live without another one.
    pub lease: Duration,
    /// How long until the next one.
    pub interval: Duration,
    /// Where it runs, for people: host, process, kind.
    pub description: Box<str>,
}

/// The answer to a [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeartbeatReply {
    /// The lease is renewed.
    Alive {
        /// Invocations the runner owns whose end was asked for.
        cancel: Vec<InvocationId>,
        /// Whether the store has the runner's [`Introduction`].
        is_introduced: bool,
    },
    /// The runner was retired; its work belongs to others and it goes on under a new id.
    Retired,
}

/// What a runner says of itself once, so that it can be told why something isn't run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The queues it takes work from.
    pub queues: Vec<QueueName>,
    /// The tasks it knows.
    pub tasks: Vec<TaskId>,
    /// How many bodies it runs at once.
    pub slots: u64,
}

/// A runner, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerInfo {
    /// Its identity.
    pub id: RunnerId,
    /// Its last heartbeat.
    pub last_heartbeat: Timestamp,
    /// How long it is believed to live after a heartbeat.
    pub lease: Duration,
    /// Whether it was retired.
    pub retired: bool,
    /// How many invocations it owns.
    pub owned: u64,
    /// Where it runs.
    pub description: Box<str>,
    /// What it serves; `None` as long as it hasn't said.
    pub introduction: Option<Introduction>,
}

impl RunnerInfo {
    /// Whether others may believe at `now` that it lives.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        !self.retired && now < self.last_heartbeat + self.lease
    }
}

/// An invocation with what keeps it from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The invocation.
    pub tracked: Tracked,
    /// What it was registered with, but for its due time and its idempotency key.
    pub registration: Registration,
    /// Who has the slots of its running key; at most [`Inspected::MOST`] of them.
    pub holders: Vec<InvocationId>,
    /// How many are parked before it; `None` for one that isn't parked.
    pub parked_before: Option<u64>,
    /// The unfinished invocations that it waits for. After the first 1,000, some may have ended.
    pub awaits: Vec<InvocationId>,
    /// The store's present.
    pub now: Timestamp,
}

impl Find {
    /// At most about so many entries are looked at for a page.
    pub const LOOKED_AT: usize = 5000;
}

impl Inspected {
    /// How many others are named at most, for each reason to name them.
    pub const MOST: usize = 100;
}

/// Something that a runner is told between two heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The end of an invocation that it owns was asked for.
    Cancel(InvocationId),
    /// Outbox entries wait to be taken.
    Outbox,
}

/// A final state, told to whoever watches; `None` for an invocation that doesn't exist.
pub type Ended = (InvocationId, Option<StatusRecord>);

/// Which final states of a task a listener wants to be told of by the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxInterest {
    /// Its identity: processes that give the same one share the entries.
    pub listener: Box<str>,
    /// The task.
    pub task: TaskId,
    /// Its final statuses.
    pub statuses: Vec<Status>,
}

/// A final transition that somebody has to react to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The entry's place in the order of the outbox.
    pub sequence: u64,
    /// Whom it is for.
    pub listener: Box<str>,
    /// The invocation that ended.
    pub id: InvocationId,
    /// Its task.
    pub task: TaskId,
    /// Its final record.
    pub record: StatusRecord,
}

/// Decides, in one atomic step per item, what every invocation's state is.
///
/// Each method takes a batch and answers in its order. Times are the store's. Components never call each other: what
/// has to follow from a step (a hint for the one that got a slot) is in its answer, and the engine sees to it.
#[async_trait]
pub trait Orchestrator: fmt::Debug + Send + Sync + 'static {
    /// Accepts invocations.
    ///
    /// # Behavior
    ///
    /// - a new id is accepted, waiting or scheduled, with a first line of history
    /// - registering the same id again answers `New` and changes nothing
    /// - while one with the registration key waits, another is answered with it, and told whether the arguments differ
    /// - a registration key is free again once its holder is claimed or has ended
    /// - one that comes back to waiting takes its registration key again if it is free, and else waits without it
    /// - one that its body has put aside stands for no other call
    /// - an idempotency key gives the same invocation back, until its retention ends, even when that has ended
    /// - an idempotency key with other arguments is a conflict
    /// - idempotency keys of different tasks are different
    /// - items of one batch see each other, in order
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>>;

    /// Makes a runner the owner of what it can have.
    ///
    /// # Behavior
    ///
    /// - a waiting invocation is granted once; its epoch and deliveries grow
    /// - what was lost fewer times than the claim says is running at once, with both lines of history
    /// - the same token gets the same answer again
    /// - another token, and another runner, sees `Gone`
    /// - what isn't due is `Gone`, and what is unknown or final too
    /// - of many claims at once exactly one is granted
    /// - a slot of the running key is taken in the same step, and no more than the limit are
    /// - slots are handed on in the order in which others were parked for them, and nobody passes that line
    /// - without a free slot it is parked, or ended if its task says so and it never ran
    /// - a claim that parks and so closes a circle of waits fails that invocation with the way in the detail
    /// - what could be claimed and calls a task that the claim leaves out stays as it is, and is `LeftOut`
    /// - a retired runner's claim is an error of kind `Retired`, and nothing is granted
    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>>;

    /// Moves records along the table.
    ///
    /// # Behavior
    ///
    /// - every legal edge is taken, with a line of history
    /// - every illegal edge is refused and changes nothing
    /// - a stale version or epoch is refused
    /// - a repeat answers `AlreadyMine` and changes nothing
    /// - one refused item doesn't keep the others of its batch
    /// - losses of runners don't count any more once the body has put itself aside
    /// - a slot is freed on every way out of pending, running and paused, and handed to the parked head in the same step
    /// - a final transition wakes whoever watches
    /// - a final transition of a wanted task and status writes one outbox entry for each who wants it
    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>>;

    /// Asks for the end of invocations.
    ///
    /// # Behavior
    ///
    /// - what waits is cancelled at once
    /// - what is owned is marked, its owner is signalled, and its heartbeat is told
    /// - what has ended stays as it is
    /// - what is marked ends as cancelled instead of going back to waiting
    /// - a reserved slot of what is cancelled goes to the next parked one
    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>>;

    /// Reads records.
    ///
    /// # Behavior
    ///
    /// - what is unknown is `None`
    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>>;

    /// Looks at what keeps invocations from going on.
    ///
    /// # Behavior
    ///
    /// - what is inspected is as it was registered, and `None` if it is unknown
    /// - who has the slots of a running key is named, and how many are parked before
    /// - what a paused one waits for is named until it has ended
    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspected>>>;

    /// Lists invocations in the order of their registration, or the last one first.
    ///
    /// # Behavior
    ///
    /// - pages of a listing are complete and in order, and filters hold
    /// - a listing from the newest is the same one, turned round
    /// - what was registered before `since` isn't listed, nor what was registered after `until`
    /// - what has ended without a value is found among much that waits, and a page looks at a bounded number of entries
    async fn find(&self, find: &Find) -> Result<Page<Tracked>>;

    /// Lists what waits in queues and hasn't changed for a while: what the sweep looks at.
    ///
    /// # Behavior
    ///
    /// - what is queued is listed, due or not, and what is owned, parked, asleep or final isn't
    /// - what changed within `unchanged_for` isn't listed
    async fn queued(&self, after: Option<Cursor>, unchanged_for: Duration, limit: usize) -> Result<Page<Tracked>>;

    /// Counts invocations.
    ///
    /// # Behavior
    ///
    /// - counts follow every transition
    async fn count(&self) -> Result<Counts>;

    /// The history of an invocation, oldest line first; empty for one that doesn't exist.
    ///
    /// # Behavior
    ///
    /// - versions in a history grow by one from line to line
    async fn history(&self, id: InvocationId) -> Result<Vec<HistoryEntry>>;

    /// What a runner owns.
    ///
    /// # Behavior
    ///
    /// - what is claimed is listed until it leaves its owner
    async fn owned(&self, runner: RunnerId) -> Result<Vec<Tracked>>;

    /// Pauses an invocation until others have ended, and looks for circles.
    ///
    /// # Behavior
    ///
    /// - a running waiter is paused, and what it waits for is raised by the number that wait for it
    /// - a paused waiter waits for more without another transition
    /// - what has ended or doesn't exist is nothing to wait for
    /// - a wait that closes a circle is refused with the way
    /// - a circle through a concurrency slot is found: a parked child of the slot's holder
    /// - a wait ends with the waiter's next transition
    /// - a stale waiter is refused
    async fn block(&self, block: &Block) -> Result<Blocked>;

    /// Tells of the ends of invocations, each once, and then closes.
    ///
    /// # Behavior
    ///
    /// - an end that comes later is pushed
    /// - an end that was there before is told at once
    /// - what doesn't exist is told as such
    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Ended>>;

    /// What a runner is told between its heartbeats.
    ///
    /// # Behavior
    ///
    /// - a cancel of what the runner owns is signalled to it alone
    /// - an outbox entry is signalled
    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>>;

    /// Renews a runner's lease.
    ///
    /// # Behavior
    ///
    /// - a heartbeat makes the runner known
    /// - a retired runner is told so
    /// - a heartbeat that finds no runner's younger than half a lease starts an amnesty of two intervals
    /// - a heartbeat tells whether the runner has introduced itself
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply>;

    /// Keeps what a runner says of itself, for as long as the runner is known.
    ///
    /// # Behavior
    ///
    /// - a runner that has introduced itself is listed with what it serves, and one that isn't known isn't kept
    async fn introduce(&self, runner: RunnerId, introduction: &Introduction) -> Result<()>;

    /// Lists the runners that are alive, or retired and still own something.
    ///
    /// # Behavior
    ///
    /// - runners are listed with what they own
    async fn runners(&self) -> Result<Vec<RunnerInfo>>;

    /// Retires a runner of its own will: it claims nothing more, and what it still owns is given to others.
    ///
    /// # Behavior
    ///
    /// - a runner that leaves is retired at once, amnesty or not
    async fn leave(&self, runner: RunnerId) -> Result<()>;

    /// Retires runners whose lease ran out, and lists what the retired still own.
    ///
    /// # Behavior
    ///
    /// - a runner whose lease ran out is retired in the same step
    /// - what a retired runner owns is listed until it has left it
    /// - during an amnesty no lease runs out
    /// - no lease runs out while nobody was heard within half of it, for then the store has stood still
    async fn expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>>;

    /// Takes or renews a lease on a service that one runner at a time performs.
    ///
    /// # Behavior
    ///
    /// - one runner has a lease until it ends or is given back, and may renew it
    /// - a lease of no length gives it back
    async fn lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool>;

    /// Says which final states are wanted in the outbox, for `length` from now.
    ///
    /// # Behavior
    ///
    /// - without an interest nothing is written to the outbox
    /// - an interest ends when it isn't renewed
    async fn want(&self, interests: &[OutboxInterest], length: Duration) -> Result<()>;

    /// Offers each listener at most `limit` of the entries for it that nobody was offered within `again_after`.
    ///
    /// # Behavior
    ///
    /// - an entry is offered once, and again when it isn't done in time
    /// - an entry is offered to no other listener
    async fn outbox(&self, listeners: &[Box<str>], limit: usize, again_after: Duration) -> Result<Vec<OutboxEntry>>;

    /// Drops outbox entries that were seen to.
    ///
    /// # Behavior
    ///
    /// - what is done isn't offered again
    async fn outbox_done(&self, sequences: &[u64]) -> Result<()>;

    /// Lists ended invocations whose retention is over.
    ///
    /// # Behavior
    ///
    /// - an ended invocation is listed when its retention is over, and not before
    async fn outlived(&self, limit: usize) -> Result<Vec<InvocationId>>;

    /// Keeps ended invocations for `length` from now, if their retention is over before that.
    ///
    /// # Behavior
    ///
    /// - what is kept for longer is listed when that is over
    async fn keep(&self, ids: &[InvocationId], length: Duration) -> Result<()>;

    /// Drops ended invocations with their history and keys.
    ///
    /// # Behavior
    ///
    /// - what is forgotten is unknown, and its idempotency key is free
    /// - what is forgotten leaves no entry in the outbox
    /// - what hasn't ended isn't forgotten
    async fn forget(&self, ids: &[InvocationId]) -> Result<()>;

    /// Forgets everything but who wants what in the outbox.
    ///
    /// # Behavior
    ///
    /// - after a purge nothing is known
    /// - a purge leaves interests in place
    async fn purge(&self) -> Result<()>;

    /// What of the store's own settings may lose work, each in a sentence with what to do; nothing for a store without
    /// settings.
    async fn weaknesses(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The store behind this component, for components that can share a lane.
    fn store_id(&self) -> Option<StoreId> {
        None
    }

    /// One trip for several steps, where the broker and the state backend are in the same store.
    fn lane(&self, _broker: &Arc<dyn Broker>, _state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        None
    }
}
