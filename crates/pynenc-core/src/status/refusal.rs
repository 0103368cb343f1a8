//! The reasons for which a transition is refused, with their messages.

use super::{By, EDGES, Status};
use crate::clock::Timestamp;

/// Why a transition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The record has changed since the caller read it.
    #[error("stale: the record is at version {version}, epoch {epoch}")]
    Stale {
        /// The record's version.
        version: u64,
        /// The record's epoch.
        epoch: u64,
    },
    /// The lifecycle has no such transition.
    #[error("an invocation can't go from {from} to {to}: {}", legal_transitions(*from))]
    NoEdge {
        /// The record's status.
        from: Status,
        /// The requested status.
        to: Status,
    },
    /// The actor may not make this transition.
    #[error("{by} may not move the invocation from {from} to {to}")]
    WrongActor {
        /// The record's status.
        from: Status,
        /// The requested status.
        to: Status,
        /// The actor.
        by: By,
    },
    /// The invocation isn't due yet.
    #[error("the invocation is due at {due}, and the store's clock shows {now}")]
    NotDue {
        /// The due time.
        due: Timestamp,
        /// The store's clock.
        now: Timestamp,
    },
    /// The invocation is suspended without a due time: it waits for an event.
    #[error("the invocation is suspended until an event, not until a time")]
    Suspended,
    /// A concurrency limit drops only invocations that have never run.
    #[error("the invocation has already run {starts} times: a concurrency limit parks it and never drops it")]
    HasRun {
        /// How often the task function started.
        starts: u32,
    },
    /// The due time is missing, or isn't allowed for the requested status.
    #[error("a due time is required for retry, allowed for scheduled, and refused for {to}")]
    WrongDue {
        /// The requested status.
        to: Status,
    },
    /// The store has no such invocation.
    #[error("no such invocation")]
    Missing,
}

/// Lists the statuses that may follow `from`.
fn legal_transitions(from: Status) -> String {
    let next: Vec<String> = EDGES.iter().filter(|edge| edge.from == from).map(|edge| edge.to.to_string()).collect();
    if next.is_empty() { format!("{from} is final") } else { format!("from {from} it can go to {}", next.join(", ")) }
}
