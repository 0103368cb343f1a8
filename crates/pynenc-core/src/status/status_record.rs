//! The record that the orchestrator keeps of one invocation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reason, Status};
use crate::clock::Timestamp;
use crate::id::RunnerId;

/// A due time, by the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// This long after the store received the request.
    In(Duration),
    /// At this point in time.
    At(Timestamp),
}

impl Due {
    /// Returns the point in time, given the store's clock.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(delay) => now + delay,
            Self::At(time) => time,
        }
    }
}

/// The status of one invocation with its owner and counters.
///
/// The orchestrator holds this record. A change of it is the only commit point of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// The current status.
    pub status: Status,
    /// The runner that owns the invocation while it is pending, running or paused.
    pub owner: Option<RunnerId>,
    /// Increases by one with every transition.
    pub version: u64,
    /// The fencing token: increases with every claim, and with every transition that the owner didn't make.
    pub epoch: u64,
    /// How often the invocation was claimed.
    pub deliveries: u32,
    /// How often the task function started.
    pub starts: u32,
    /// How often the owner was lost while the task function ran.
    pub losses: u32,
    /// Attempts that failed and were retried.
    pub retries: u32,
    /// The earliest time of the next claim.
    pub due: Option<Timestamp>,
    /// Whether a cancel was requested while a runner owned the invocation.
    pub cancel_requested: bool,
    /// Why the invocation entered this status.
    pub reason: Reason,
    /// When the invocation entered this status.
    pub at: Timestamp,
}

impl StatusRecord {
    /// Creates the record of an invocation that is accepted at `now`.
    pub fn registered(due: Option<Due>, now: Timestamp) -> Self {
        let due = due.map(|due| due.at(now)).filter(|due| *due > now);
        Self {
            status: if due.is_some() { Status::Scheduled } else { Status::Registered },
            owner: None,
            version: 1,
            epoch: 0,
            deliveries: 0,
            starts: 0,
            losses: 0,
            retries: 0,
            due,
            cancel_requested: false,
            reason: Reason::Submitted,
            at: now,
        }
    }

    /// Whether the invocation belongs in a broker queue, now or at its due time.
    pub fn is_queued(&self) -> bool {
        self.status.is_claimable() && (self.status != Status::Scheduled || self.due.is_some())
    }

    /// Whether a runner could claim the invocation at `now`.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.is_queued() && self.due.is_none_or(|due| due <= now)
    }
}
