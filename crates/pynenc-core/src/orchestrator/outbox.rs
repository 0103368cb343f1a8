//! The outbox: final transitions that a listener has to handle.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::error::Result;
use crate::id::{InvocationId, TaskId};
use crate::status::{Status, StatusRecord};

/// A subscription of a listener to final transitions of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxInterest {
    /// The listener's identity. Processes with the same one share the entries.
    pub listener: Box<str>,
    /// The task.
    pub task: TaskId,
    /// The final statuses.
    pub statuses: Vec<Status>,
}

/// A final transition that a listener has to handle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// The entry's position in the outbox.
    pub sequence: u64,
    /// The listener.
    pub listener: Box<str>,
    /// The finished invocation.
    pub id: InvocationId,
    /// Its task.
    pub task: TaskId,
    /// Its final record.
    pub record: StatusRecord,
}

/// A request for outbox entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboxTake {
    /// The listeners to take entries for.
    pub listeners: Vec<Box<str>>,
    /// Acknowledges these entries before any is taken: the caller has handled them.
    pub done: Vec<u64>,
    /// The largest number of entries for each listener. With a limit of zero the request only acknowledges.
    pub limit: usize,
    /// The outbox offers an entry again if nobody has acknowledged the entry this long after its last offer.
    pub again_after: Duration,
}

impl OutboxTake {
    /// A request that only acknowledges entries.
    pub fn done(done: Vec<u64>) -> Self {
        Self { done, ..Self::default() }
    }
}

/// Subscriptions to final transitions, and their delivery at least once.
#[async_trait]
pub trait Outbox: Component {
    /// Subscribes listeners to final transitions, for `length` from now.
    ///
    /// # Behavior
    ///
    /// - without a subscription nothing is written to the outbox
    /// - a subscription expires when it isn't renewed
    async fn subscribe(&self, interests: &[OutboxInterest], length: Duration) -> Result<()>;

    /// Acknowledges handled entries, then offers others in the order of their making.
    ///
    /// # Behavior
    ///
    /// - an entry is offered once, and again when it isn't acknowledged in time
    /// - an entry is offered to no other listener
    /// - an acknowledged entry isn't offered again
    /// - a take acknowledges entries and offers others in the same call
    async fn take_outbox(&self, take: &OutboxTake) -> Result<Vec<OutboxEntry>>;
}
