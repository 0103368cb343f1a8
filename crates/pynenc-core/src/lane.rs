//! Several steps in one trip.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::broker::{Message, Pop};
use crate::error::Result;
use crate::id::InvocationId;
use crate::orchestrator::{Block, Claim, ClaimReply, Ended, Registered, Tracked, Transition, TransitionReply};
use crate::record::{InvocationRecord, Registration};
use crate::state_backend::OutcomeWrite;
use crate::status::{Refusal, StatusRecord};

/// The store a component keeps its data in; components with equal ones can share a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreId(pub Box<str>);

impl StoreId {
    /// The store of what this process keeps in its memory.
    pub fn of_this_process() -> Self {
        Self(format!("process {}", std::process::id()).into())
    }
}

/// A call on its way in: its record, its registration, its hint.
#[derive(Debug, Clone)]
pub struct Submission {
    /// What was called.
    pub record: Arc<InvocationRecord>,
    /// What the orchestrator has to know.
    pub registration: Registration,
}

/// An attempt on its way out: what it left behind, then the transition that commits it.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The outcome; a retry or a reroute leaves none.
    pub outcome: Option<OutcomeWrite>,
    /// The transition.
    pub transition: Transition,
    /// The hint to push if the transition puts the invocation back into its queue; its time becomes the record's.
    pub requeue: Option<Message>,
}

/// What a claim gave, with what there is to run.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The candidate.
    pub id: InvocationId,
    /// The claim's answer.
    pub reply: ClaimReply,
    /// The record, for what was granted; `None` if it is missing.
    pub record: Option<Arc<InvocationRecord>>,
}

/// The answer to a call whose caller waits for its end.
#[expect(clippy::large_enum_variant, reason = "it is made once a call, and taken apart at once")]
pub enum Called {
    /// The caller is paused until the call has ended.
    Waiting {
        /// What was called, as it was registered.
        child: Tracked,
        /// The caller's record as it is now.
        waiter: StatusRecord,
        /// What was called, if the caller's runner owns it now, as it wished.
        claimed: Option<Tracked>,
        /// The end of the call, where its watch was part of the trip.
        end: Option<BoxStream<'static, Ended>>,
    },
    /// There is nothing to wait for yet: the registration's own answer says what there is.
    Registered(Registered),
    /// It would wait for itself: the way from the caller back to the caller.
    Cycle(Vec<InvocationId>),
    /// The caller's runner doesn't own the caller any more.
    Refused(Refusal),
}

impl fmt::Debug for Called {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { child, waiter, claimed, .. } => f
                .debug_struct("Waiting")
                .field("child", child)
                .field("waiter", waiter)
                .field("claimed", claimed)
                .finish_non_exhaustive(),
            Self::Registered(registered) => f.debug_tuple("Registered").field(registered).finish(),
            Self::Cycle(way) => f.debug_tuple("Cycle").field(way).finish(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
        }
    }
}

/// What a runner has to look at next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Hints that were popped, to be claimed; none when the wait was over.
    Hints(Vec<InvocationId>),
    /// There may be something to [`take`](Lane::take), which nobody has popped yet.
    Waiting,
}

/// Runs the steps of an item as a prefix: in order, and none behind the first that failed or was refused.
///
/// Items don't wait for each other's fate: each has a result of its own, and the outer error means that nothing is known
/// of any of them.
#[async_trait]
pub trait Lane: fmt::Debug + Send + Sync + 'static {
    /// Keeps the record, registers, and pushes the hint.
    ///
    /// # Behavior
    ///
    /// - a submission is kept, registered and hinted
    /// - without its record an invocation isn't registered, and without its registration it isn't hinted
    /// - a registration that another stands for leaves no record and no hint
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>>;

    /// Claims, and loads what was granted.
    ///
    /// # Behavior
    ///
    /// - what is granted comes with its record
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>>;

    /// Waits for hints as [`Broker::pop`](crate::Broker::pop) does, or until there may be some to [`take`](Lane::take).
    ///
    /// # Cancel safety
    ///
    /// A dropped find may lose the hints it was about to give; the sweep brings them back.
    ///
    /// # Behavior
    ///
    /// - what waits in a queue is found, and what is pushed later too
    async fn find(&self, pop: &Pop) -> Result<Found>;

    /// Pops hints without waiting for any, and makes a claim of them, whatever ids it names; then loads what was granted.
    ///
    /// # Cancel safety
    ///
    /// What a dropped take has claimed is owned, and nobody knows of it.
    ///
    /// # Behavior
    ///
    /// - what is taken was hinted, is granted, and comes with its record
    async fn take(&self, pop: &Pop, claim: &Claim) -> Result<Vec<Claimed>>;

    /// Submits a call, and pauses its caller (the waiter of the block, which names nothing to wait for) until it has
    /// ended. With a claim, which names nothing either, a lane may claim the call for the caller's runner, unhinted.
    ///
    /// # Behavior
    ///
    /// - a call is submitted, and pauses its caller
    /// - a call that another invocation stands for pauses nobody
    /// - a call by a stale caller is refused
    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called>;

    /// Keeps the outcome, then makes the transition, then pushes the hints of what is queued by it: the invocation
    /// itself, and those who were handed a slot.
    ///
    /// # Behavior
    ///
    /// - a settlement keeps its outcome and commits
    /// - without its outcome a settlement doesn't commit
    /// - what goes back to its queue is hinted
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>>;

    /// Pushes hints.
    async fn push(&self, messages: &[Message]) -> Result<()>;
}
