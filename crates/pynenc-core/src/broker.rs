//! Hints: which invocations may be worth a claim.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::{InvocationId, QueueName};
use crate::lane::StoreId;
use crate::record::Priority;

/// A hint that an invocation may be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The invocation.
    pub invocation: InvocationId,
    /// Its queue.
    pub queue: QueueName,
    /// Its place in the queue.
    pub priority: Priority,
    /// Not to be given out before then, by the store's clock.
    pub not_before: Option<Timestamp>,
}

/// What a runner asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pop {
    /// The queues it serves; the first is emptied before the second is looked at.
    pub queues: Vec<QueueName>,
    /// How many hints it can use at most.
    pub max: usize,
    /// How long it waits for the first one.
    pub wait: Duration,
}

/// How many hints a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueLen {
    /// To be given out at once.
    pub ready: u64,
    /// To be given out later.
    pub delayed: u64,
}

/// Carries hints from whoever made work runnable to a runner with a free slot.
///
/// A broker may lose or repeat a hint: the orchestrator decides what is run, and what is runnable and has no hint is
/// found by the sweep and pushed again. So a broker needs no transactions and no acknowledgements.
#[async_trait]
pub trait Broker: fmt::Debug + Send + Sync + 'static {
    /// Adds hints.
    ///
    /// # Behavior
    ///
    /// - what is pushed is popped
    /// - pushing what is queued keeps one entry, at the earlier time and the higher priority of the two
    /// - a message with a later time isn't given out before it
    async fn push(&self, messages: &[Message]) -> Result<()>;

    /// Takes hints, waiting for the first.
    ///
    /// # Behavior
    ///
    /// - higher priorities come first, equal ones in the order of their pushing
    /// - queues are emptied in the order they are named, and others are left alone
    /// - a pop gives at most `max` and doesn't wait for more than it has
    /// - a pop on empty queues ends when something is pushed, without polling
    /// - a pop ends when something becomes due
    /// - a pop ends empty when its wait is over
    /// - two pops never give the same entry
    ///
    /// # Cancel safety
    ///
    /// A dropped pop may lose the hints it was about to give; the sweep brings them back.
    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>>;

    /// Takes hints out of a queue.
    ///
    /// # Behavior
    ///
    /// - what is removed isn't popped, whether ready or delayed, and removing what isn't there is no error
    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()>;

    /// Counts the hints of a queue.
    ///
    /// # Behavior
    ///
    /// - ready and delayed entries are counted apart, each invocation once
    async fn len(&self, queue: &QueueName) -> Result<QueueLen>;

    /// How many hints of a queue are given out before that of an invocation; `None` if that isn't ready.
    ///
    /// # Behavior
    ///
    /// - what is ready has those before it that are given out first, and what is delayed or isn't there has no place
    async fn place(&self, queue: &QueueName, id: InvocationId) -> Result<Option<u64>>;

    /// Forgets everything.
    ///
    /// # Behavior
    ///
    /// - after a purge every queue is empty
    async fn purge(&self) -> Result<()>;

    /// The store behind this component, for components that can share a lane.
    fn store_id(&self) -> Option<StoreId> {
        None
    }
}
