//! The invocation lifecycle: statuses, the table of legal transitions, and the pure functions that apply a transition.
//!
//! [`EDGES`] lists every legal transition. [`advance`] applies one transition to a [`StatusRecord`]. [`compare_and_set`] adds
//! the compare-and-set that stores need. No other Rust code knows the rules of the lifecycle; the Redis scripts have them
//! from the same table, and conformance tests compare the two.

use crate::text_enum::text_enum;

mod advance;
mod compare_and_set;
mod edges;
mod refusal;
mod status_record;

pub use advance::{Change, advance};
pub use compare_and_set::{CompareAndSet, compare_and_set, refuse_claim};
pub use edges::{Actors, By, EDGES, Edge};
pub use refusal::Refusal;
pub use status_record::{Due, StatusRecord};

text_enum!(
    /// The status of an invocation.
    Status, "status" {
        /// Accepted; waits to be claimed.
        Registered = "registered",
        /// Waits for its due time, or is suspended until a time or an event.
        Scheduled = "scheduled",
        /// Parked: blocked on a concurrency limit until a slot is free.
        ConcurrencyControlled = "concurrency_controlled",
        /// Back in the queue.
        Rerouted = "rerouted",
        /// Claimed by a runner, not started yet.
        Pending = "pending",
        /// The task function runs.
        Running = "running",
        /// The task function waits for other invocations and holds no runner slot.
        Paused = "paused",
        /// An attempt failed; the next one starts at the due time.
        Retry = "retry",
        /// Finished with a value.
        Success = "success",
        /// Finished with an error.
        Failed = "failed",
        /// Finished by a cancel request.
        Cancelled = "cancelled",
        /// Dropped by a concurrency limit before it ever ran.
        ConcurrencyControlledFinal = "concurrency_controlled_final",
    }
);

impl Status {
    /// Whether an invocation never leaves this status.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled | Self::ConcurrencyControlledFinal)
    }

    /// Whether a runner owns an invocation in this status.
    pub const fn is_owned(self) -> bool {
        matches!(self, Self::Pending | Self::Running | Self::Paused)
    }

    /// Whether an invocation in this status may be claimed, once it is due.
    pub const fn is_claimable(self) -> bool {
        matches!(self, Self::Registered | Self::Scheduled | Self::Rerouted | Self::Retry)
    }
}

text_enum!(
    /// Why an invocation entered its status.
    Reason, "reason" {
        /// A client submitted the invocation.
        Submitted = "submitted",
        /// A runner claimed the invocation.
        Claimed = "claimed",
        /// The task function started.
        Started = "started",
        /// The task function waits for other invocations.
        Waiting = "waiting",
        /// The invocations that the task function waited for have finished.
        Resumed = "resumed",
        /// The workflow was suspended until a time or an event.
        Suspended = "put_aside",
        /// The time or the event that a suspended workflow waited for has come.
        Woken = "woken",
        /// Every slot of the concurrency key is taken.
        SlotTaken = "slot_taken",
        /// The invocation was given a free slot of its concurrency key.
        SlotHandedOver = "slot_handed_over",
        /// The task function returned a value.
        Returned = "returned",
        /// The task function returned an error or panicked.
        Raised = "raised",
        /// The task function exceeded its timeout.
        TimedOut = "timed_out",
        /// A cancel was requested.
        CancelRequested = "cancel_requested",
        /// The owning runner is shutting down.
        Shutdown = "shutdown",
        /// The owning runner's lease expired.
        OwnerLost = "owner_lost",
        /// The owning runner never received the reply to its claim.
        ClaimLost = "claim_lost",
        /// The invocation crashed as many runners as `runner.poison_losses` allows.
        PoisonPill = "poison_pill",
        /// The runner knows no task of this name.
        UnknownTask = "unknown_task",
        /// The stored record is missing or can't be decoded.
        CorruptRecord = "corrupt_record",
        /// An argument in the argument cache is missing or was altered.
        ArgumentsUnavailable = "arguments_unavailable",
        /// The returned value couldn't be stored.
        ResultRejected = "result_rejected",
        /// The wait would have closed a cycle of invocations that wait for each other.
        WaitCycle = "wait_cycle",
        /// The workflow's code no longer matches its journal.
        NonDeterminism = "non_determinism",
    }
);

#[cfg(test)]
mod tests;
