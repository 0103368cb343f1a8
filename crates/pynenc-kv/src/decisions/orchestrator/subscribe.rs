//! Subscribing to final transitions, and taking their outbox entries.

use pynenc_core::orchestrator::{OutboxEntry, OutboxInterest, OutboxTake};
use pynenc_core::{Result, Timestamp};

use super::state::{Effects, State};
use crate::storage::Storage;

impl<S: Storage, E: Effects> State<S, E> {
    /// Subscribes listeners to final transitions, until a time.
    pub fn subscribe(&mut self, interests: &[OutboxInterest], now: Timestamp, until: Timestamp) -> Result<()> {
        self.outbox.subscribe(interests, now, until)
    }

    /// The number of the last outbox entry.
    pub fn last_outbox_entry(&self) -> Result<u64> {
        self.outbox.last()
    }

    /// Acknowledges handled outbox entries, then offers others in the order of their making.
    pub fn take_outbox(&mut self, take: &OutboxTake, now: Timestamp) -> Result<Vec<OutboxEntry>> {
        self.outbox.take(take, now)
    }
}
