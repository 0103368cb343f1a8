//! The lifecycle of invocations: registering, claiming, transitions, cancelling and reading.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::listing::{Counts, Find};
use crate::broker::Message;
use crate::clock::Timestamp;
use crate::component::Component;
use crate::error::Result;
use crate::id::{ClaimToken, InvocationId, QueueName, RunnerId, TaskId};
use crate::page::Page;
use crate::record::{Priority, Registration};
use crate::status::{Change, Reason, Refusal, Status, StatusRecord};

/// The reply to a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The invocation of this id exists: this call or an earlier one registered it.
    New(Tracked),
    /// No invocation was created. Another one stands for the call, by its registration key or its idempotency key.
    Existing {
        /// The other invocation.
        id: InvocationId,
        /// Whether its arguments are the same.
        same_arguments: bool,
    },
    /// The idempotency key belongs to a call with other arguments.
    Conflict {
        /// The invocation that has the key.
        id: InvocationId,
    },
}

/// An invocation with its status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// Its identity.
    pub id: InvocationId,
    /// Its task.
    pub task: TaskId,
    /// Its queue.
    pub queue: QueueName,
    /// The priority that its caller chose.
    pub priority: Priority,
    /// Whether it has a running key, which limits how many invocations run at once.
    pub limited: bool,
    /// Its status record.
    pub record: StatusRecord,
}

impl Tracked {
    /// The hint for the invocation. An invocation that was handed a slot gets a raised priority: it has waited for its
    /// turn before, and the slot is idle until it is claimed.
    pub fn message(&self) -> Message {
        let priority = if self.was_handed_a_slot() { self.priority.raised(1) } else { self.priority };
        Message { invocation: self.id, queue: self.queue.clone(), priority, not_before: self.record.due }
    }

    fn was_handed_a_slot(&self) -> bool {
        self.record.status == Status::Rerouted && self.record.reason == Reason::SlotHandedOver
    }
}

/// A request to become the owner of invocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The candidates.
    pub ids: Vec<InvocationId>,
    /// The runner that claims.
    pub runner: RunnerId,
    /// Identifies the request. A repeat with the same token gets the same reply for the invocations that it granted or
    /// parked, as long as the runner still owns them.
    pub token: ClaimToken,
    /// Granted candidates with fewer losses than this become running at once. The other granted ones become pending.
    pub runs_below: u32,
    /// The tasks that the runner doesn't know.
    pub left_out: Vec<TaskId>,
}

impl Claim {
    /// A claim with a new token. Granted candidates become pending; see [`Claim::running_below`].
    pub fn new(ids: Vec<InvocationId>, runner: RunnerId) -> Self {
        Self { ids, runner, token: ClaimToken::new(), runs_below: 0, left_out: Vec::new() }
    }

    /// Leaves out the invocations of these tasks.
    #[must_use]
    pub fn without(mut self, tasks: Vec<TaskId>) -> Self {
        self.left_out = tasks;
        self
    }

    /// Starts candidates in the same step, if their runner was lost fewer than `losses` times.
    #[must_use]
    pub fn running_below(mut self, losses: u32) -> Self {
        self.runs_below = losses;
        self
    }
}

/// The reply to a claim: one for each candidate, or for each hint that the lane popped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimReply {
    /// The runner owns the invocation.
    Granted(Tracked),
    /// The running key has no free slot. The invocation was parked; or finished, if its task says so and it never ran; or
    /// failed, if parking would close a wait cycle.
    Busy,
    /// The invocation can't be claimed: unknown, owned by another runner or under another token, parked, suspended, not due,
    /// or finished.
    Gone,
    /// The claim leaves the task out, and the invocation is unchanged. The runner has to push its hint again.
    LeftOut(Tracked),
}

/// A compare-and-set on one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The invocation.
    pub id: InvocationId,
    /// The record that the requester saw. The transition is made only if its version and epoch are still the current ones.
    pub seen: StatusRecord,
    /// The requested change.
    pub change: Change,
}

/// The reply to a transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionReply {
    /// The transition is made.
    Done {
        /// The record after the transition.
        record: StatusRecord,
        /// Hints for parked invocations that were handed a freed slot in the same step.
        handed: Vec<Message>,
    },
    /// The same requester has made the transition before: a repeat after a lost reply.
    AlreadyMine(StatusRecord),
    /// The record is unchanged.
    Refused(Refusal),
}

/// The reply to a cancel request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelReply {
    /// The invocation had no owner and is cancelled.
    Cancelled {
        /// Hints for parked invocations that were handed its slot.
        handed: Vec<Message>,
    },
    /// A runner owns the invocation and was notified.
    Requested,
    /// The invocation had finished before.
    Final(Status),
    /// The invocation doesn't exist.
    Missing,
}

/// A line of an invocation's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The status that the invocation got.
    pub status: Status,
    /// The time of the transition.
    pub at: Timestamp,
    /// The version that the transition made.
    pub version: u64,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// The runner that made the transition or became the owner.
    pub runner: Option<RunnerId>,
    /// The reason of the transition.
    pub reason: Reason,
    /// More about the reason.
    pub detail: Option<Box<str>>,
}

/// An invocation with its history and with everything that keeps it from running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The invocation.
    pub tracked: Tracked,
    /// Its registration. The due time and the idempotency key are `None`.
    pub registration: Registration,
    /// Its history, the oldest line first.
    pub history: Vec<HistoryEntry>,
    /// The holders of the slots of its running key, at most [`Inspection::MOST_HOLDERS`] of them.
    pub holders: Vec<InvocationId>,
    /// The number of invocations ahead of it in the line of its running key; `None` if it isn't parked.
    pub parked_before: Option<u64>,
    /// All unfinished invocations that it waits for. A store may check only the first 1,000 of them: others may have
    /// finished.
    pub awaits: Vec<InvocationId>,
    /// The store's present time.
    pub now: Timestamp,
}

impl Inspection {
    /// The largest number of holders in an inspection.
    pub const MOST_HOLDERS: usize = 100;
}

/// The states of invocations.
#[async_trait]
pub trait Lifecycle: Component {
    /// Accepts invocations.
    ///
    /// # Behavior
    ///
    /// - a new invocation is accepted as registered or scheduled, with its first line of history
    /// - registering the same id again answers `New` and changes nothing
    /// - while an invocation with the registration key waits, a second call gets it and learns whether the arguments differ
    /// - a registration key is free again once its holder is claimed or has finished
    /// - an invocation that returns to its queue takes its registration key again if the key is free
    /// - a suspended invocation doesn't hold its registration key
    /// - an idempotency key gives the same invocation back until its retention is over, even if it has finished
    /// - an idempotency key with other arguments is a conflict
    /// - idempotency keys of different tasks are different
    /// - items of one batch see each other, in order
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>>;

    /// Makes a runner the owner of those candidates that it can have.
    ///
    /// # Behavior
    ///
    /// - a waiting invocation is granted once, and its epoch and deliveries grow
    /// - a candidate with fewer losses than the claim's limit runs at once, with both lines of history
    /// - the same token gets the same reply again
    /// - another token gets `Gone`, and so does another runner
    /// - an invocation that isn't due is `Gone`, and so is an unknown or finished one
    /// - of many claims at once exactly one is granted
    /// - a claim takes a slot of the running key in the same step, and the limit of the key holds
    /// - freed slots go to parked invocations in the order in which they were parked, and no claim overtakes them
    /// - without a free slot an invocation is parked, or finished if its task says so and it never ran
    /// - a claim that would park an invocation in a wait cycle fails it, with the cycle in the detail
    /// - an invocation of a task that the claim leaves out is `LeftOut` and unchanged
    /// - a retired runner's claim is an error of kind `Retired`, and nothing is granted
    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>>;

    /// Changes the status of invocations.
    ///
    /// # Behavior
    ///
    /// - every legal transition is made, with a line of history
    /// - every illegal transition is refused and changes nothing
    /// - a stale version or epoch is refused
    /// - a repeat answers `AlreadyMine` and changes nothing
    /// - a refused item doesn't stop the other items of its batch
    /// - losses are reset when a task function is suspended
    /// - a slot is freed on every way out of pending, running and paused, and handed to the first parked invocation in the
    ///   same step
    /// - a final transition notifies the watchers
    /// - a final transition writes one outbox entry for each listener that subscribed to it
    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>>;

    /// Requests the cancellation of invocations.
    ///
    /// # Behavior
    ///
    /// - a waiting invocation is cancelled at once
    /// - an owned invocation is marked, and its owner learns of that by a signal and by its heartbeat
    /// - a finished invocation is unchanged
    /// - a marked invocation finishes as cancelled instead of returning to its queue
    /// - the reserved slot of a cancelled invocation goes to the next parked one
    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>>;

    /// Reads records.
    ///
    /// # Behavior
    ///
    /// - records are read in the order of the ids, and an unknown invocation gives `None`
    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>>;

    /// Reads the history of invocations and the reasons why they don't run, each invocation in one step.
    ///
    /// # Behavior
    ///
    /// - an inspection shows the registration, and an unknown invocation gives `None`
    /// - an inspection shows the history, whose versions grow by one from line to line
    /// - an inspection names the holders of the running key and counts the invocations parked before
    /// - an inspection names the unfinished invocations that a paused one waits for
    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspection>>>;

    /// Lists invocations in the order of their registration, or the last one first.
    ///
    /// # Behavior
    ///
    /// - pages are complete and in order, and filters hold together
    /// - the newest first is the same listing in reverse
    /// - an invocation registered before `since` or after `until` isn't listed
    /// - an invocation that finished without a value is found among many that wait, and the size of a page is bounded
    /// - the filter for queued invocations matches due and delayed ones, but no owned, parked, suspended or finished one
    /// - the filter for queued invocations leaves out those that changed too recently
    /// - the filter for an owner matches an invocation until it leaves its owner
    async fn find(&self, find: &Find) -> Result<Page<Tracked>>;

    /// Counts invocations.
    ///
    /// # Behavior
    ///
    /// - counts follow every transition
    /// - a forgotten invocation is counted by its final status
    async fn count(&self) -> Result<Counts>;
}
