//! The broker: queues of hints, each of which names an invocation that a runner may claim.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::component::Component;
use crate::error::Result;
use crate::id::{InvocationId, QueueName};
use crate::record::Priority;

/// A hint that an invocation may be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The invocation.
    pub invocation: InvocationId,
    /// Its queue.
    pub queue: QueueName,
    /// Its priority in the queue.
    pub priority: Priority,
    /// The broker delivers the hint at this time of the store's clock or later.
    pub not_before: Option<Timestamp>,
}

/// A request for hints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pop {
    /// The queues to take hints from. The broker empties the first one before it takes from the second.
    pub queues: Vec<QueueName>,
    /// The largest number of hints to take.
    pub max: usize,
    /// How long to wait for the first hint.
    pub wait: Duration,
}

/// The length of a queue, and the position of a hint in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueState {
    /// The number of hints that can be delivered now.
    pub ready: u64,
    /// The number of hints that become due later.
    pub delayed: u64,
    /// The number of hints that are delivered before the requested one; `None` if that one isn't ready.
    pub position: Option<u64>,
}

/// Carries hints to a runner with a free slot.
///
/// A broker may lose or repeat a hint, because the orchestrator decides which invocations run. The sweep finds runnable
/// invocations without a hint and pushes them again. So a broker needs no transactions and no acknowledgements.
///
/// # Behavior
///
/// - after a purge every queue is empty
#[async_trait]
pub trait Broker: Component {
    /// Adds hints.
    ///
    /// # Behavior
    ///
    /// - a pushed hint is popped
    /// - pushing a queued hint again keeps one entry, with the earlier time and the higher priority of the two
    /// - a delayed hint isn't delivered before its time
    async fn push(&self, messages: &[Message]) -> Result<()>;

    /// Takes hints, waiting for the first.
    ///
    /// # Behavior
    ///
    /// - hints of higher priority come first, and hints of equal priority come in the order of their pushes
    /// - queues are emptied in the order of the request, and other queues aren't touched
    /// - a pop takes at most `max` hints and doesn't wait for more than the queues have
    /// - a pop on empty queues returns when a hint is pushed, without polling
    /// - a pop returns when a delayed hint becomes due
    /// - a pop returns empty when its wait is over
    /// - two pops never take the same entry
    ///
    /// # Cancel safety
    ///
    /// A dropped pop may lose the hints it was about to return. The sweep pushes them again.
    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>>;

    /// Removes hints from a queue.
    ///
    /// # Behavior
    ///
    /// - a removed hint isn't popped, whether ready or delayed, and removing an absent hint is no error
    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()>;

    /// Counts the hints of a queue, and finds the position of one of them on request.
    ///
    /// # Behavior
    ///
    /// - ready and delayed hints are counted separately, each invocation once
    /// - the position of a ready hint is the number of hints delivered before it
    /// - a hint that is delayed or absent has no position
    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState>;
}
