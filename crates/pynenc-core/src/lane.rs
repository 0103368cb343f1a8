//! Lanes: several steps on an invocation in one round trip.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::broker::{Message, Pop};
use crate::error::Result;
use crate::id::InvocationId;
use crate::orchestrator::{Block, Claim, ClaimReply, Completion, Registered, Tracked, Transition, TransitionReply};
use crate::record::{InvocationRecord, Registration};
use crate::state_backend::OutcomeWrite;
use crate::status::{Refusal, StatusRecord};

/// A new call: its record and its registration.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The record for the state backend.
    pub record: Arc<InvocationRecord>,
    /// The registration for the orchestrator.
    pub registration: Registration,
}

/// A finished attempt: its outcome, and the transition that commits the outcome.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The outcome; `None` for a retry or a reroute.
    pub outcome: Option<OutcomeWrite>,
    /// The transition.
    pub transition: Transition,
    /// The hint to push if the transition returns the invocation to its queue. The lane sets its time to the due time of
    /// the record.
    pub requeue: Option<Message>,
}

/// The reply to a claim of one candidate, with the record of its call.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The candidate.
    pub id: InvocationId,
    /// The orchestrator's reply.
    pub reply: ClaimReply,
    /// The record of a granted candidate; `None` if the record is missing.
    pub record: Option<Arc<InvocationRecord>>,
}

/// The reply to a call whose caller waits for the completion.
#[expect(clippy::large_enum_variant, reason = "it is made once a call, and taken apart at once")]
pub enum Called {
    /// The caller is paused until the called invocation has finished.
    Waiting {
        /// The called invocation, as it was registered.
        child: Tracked,
        /// The caller's record after the step.
        waiter: StatusRecord,
        /// The called invocation, if the lane has claimed it for the caller's runner.
        claimed: Option<Tracked>,
        /// The completion of the called invocation, if the lane watches it in the same round trip.
        end: Option<BoxStream<'static, Completion>>,
    },
    /// The caller isn't paused. The reply to the registration says why.
    Registered(Registered),
    /// The wait would be a deadlock. Lists the wait cycle from the caller back to the caller.
    Cycle(Vec<InvocationId>),
    /// The runner no longer owns the caller.
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
            Self::Cycle(cycle) => f.debug_tuple("Cycle").field(cycle).finish(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(refusal).finish(),
        }
    }
}

/// The result of waiting for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Popped hints, to be claimed. Empty if the wait was over.
    Hints(Vec<InvocationId>),
    /// The queues may have hints. A [claim](Lane::claim) with a pop takes them.
    Waiting,
}

/// Runs the steps of an item in order, and stops at the first step that failed or was refused.
///
/// Items are independent: each has a result of its own. An outer error means that the state of all items is unknown.
#[async_trait]
pub trait Lane: fmt::Debug + Send + Sync + 'static {
    /// Stores the record, registers the invocation, and pushes its hint.
    ///
    /// # Behavior
    ///
    /// - a submission is stored, registered and hinted
    /// - without its record an invocation isn't registered, and without its registration it isn't hinted
    /// - a call that another invocation takes the place of leaves no record and no hint
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>>;

    /// Waits for hints as [`Broker::pop`](crate::Broker::pop) does, or until a claim with a pop may find some.
    ///
    /// # Cancel safety
    ///
    /// A dropped find may lose the hints it was about to return. The sweep pushes them again.
    ///
    /// # Behavior
    ///
    /// - a hint in a queue is found, and so is a hint that is pushed later
    async fn find(&self, pop: &Pop) -> Result<Found>;

    /// Claims invocations, and reads the records of the granted ones. With a pop, the lane pops hints without waiting and
    /// claims those instead of the candidates of `claim`.
    ///
    /// # Cancel safety
    ///
    /// A dropped claim may leave granted invocations behind. Their runner owns them and doesn't know.
    ///
    /// # Behavior
    ///
    /// - a granted invocation comes with its record
    /// - a claim with a pop takes hints and grants their invocations, with their records
    async fn claim(&self, claim: &Claim, pop: Option<&Pop>) -> Result<Vec<Claimed>>;

    /// Submits a call, and pauses its caller until the call has finished. The caller is the waiter of `block`, whose list
    /// of awaited invocations is empty. With a claim, whose list of candidates is empty, the lane may claim the call for
    /// the caller's runner, without a hint.
    ///
    /// # Behavior
    ///
    /// - a call is submitted, and its caller is paused
    /// - a call that another invocation takes the place of pauses no caller
    /// - a call by a stale caller is refused
    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called>;

    /// Stores the outcome, makes the transition, and pushes hints for the invocations that the transition queued: the
    /// invocation itself, and parked ones that were handed its slot.
    ///
    /// # Behavior
    ///
    /// - a settlement stores its outcome and commits
    /// - without its outcome a settlement doesn't commit
    /// - an invocation that returns to its queue is hinted
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>>;
}
