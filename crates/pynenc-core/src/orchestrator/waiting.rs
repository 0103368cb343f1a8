//! Task functions that wait for other invocations, and watches on completions.

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::broker::Message;
use crate::component::Component;
use crate::error::Result;
use crate::id::{InvocationId, RunnerId};
use crate::status::{Refusal, StatusRecord};

/// A request to pause an invocation until others have finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The invocation whose task function waits.
    pub waiter: InvocationId,
    /// The waiter's record, as its runner saw it last.
    pub seen: StatusRecord,
    /// The runner that owns the waiter.
    pub runner: RunnerId,
    /// The invocations to wait for.
    pub on: Vec<InvocationId>,
}

/// The reply to a [`Block`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// The waiter is paused, or was paused already.
    Waiting {
        /// The waiter's record after the step.
        record: StatusRecord,
        /// Hints for the queued ones of the awaited invocations. The more waiters an invocation has, the higher its
        /// priority.
        raised: Vec<Message>,
    },
    /// Each awaited invocation has finished or doesn't exist.
    Ready,
    /// The wait would be a deadlock. Lists the wait cycle from the waiter back to the waiter.
    Cycle(Vec<InvocationId>),
    /// The runner no longer owns the waiter.
    Refused(Refusal),
}

/// The final record of a watched invocation; `None` if the invocation doesn't exist.
pub type Completion = (InvocationId, Option<StatusRecord>);

/// Waits of task functions, and watches.
#[async_trait]
pub trait Waiting: Component {
    /// Pauses an invocation until others have finished, unless that would be a deadlock.
    ///
    /// # Behavior
    ///
    /// - a running waiter is paused, and the priority of an awaited invocation rises with the number of its waiters
    /// - a paused waiter waits for more invocations without another transition
    /// - finished and unknown invocations aren't waited for
    /// - a wait that closes a wait cycle is refused with the cycle
    /// - a wait cycle through a concurrency slot is found: a parked child of the slot's holder
    /// - a wait is over with the waiter's next transition
    /// - a stale waiter is refused
    async fn block(&self, block: &Block) -> Result<Blocked>;

    /// Streams the completions of invocations, each once, and ends with the last.
    ///
    /// # Behavior
    ///
    /// - a later completion is pushed to the watcher
    /// - an earlier completion is reported at once
    /// - an unknown invocation is reported as unknown
    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>>;
}
