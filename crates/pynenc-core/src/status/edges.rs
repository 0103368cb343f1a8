//! The table of legal transitions, and the actors that may make each of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Status;
use crate::id::RunnerId;

/// The actor that makes a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The runner that owns the invocation.
    Owner(RunnerId),
    /// A runner that tries to claim the invocation.
    Claimer(RunnerId),
    /// The system, for no runner: a cancel, the recovery, handing over a slot, or resuming a suspended invocation.
    System,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(runner) => write!(f, "runner {runner} as the owner"),
            Self::Claimer(runner) => write!(f, "runner {runner} as a claimer"),
            Self::System => f.write_str("the system"),
        }
    }
}

/// One legal transition, and the actors that may make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The status before the transition.
    pub from: Status,
    /// The status after the transition.
    pub to: Status,
    /// The actors that may make the transition.
    pub actors: Actors,
}

/// The actors that may make a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actors {
    /// A claiming runner.
    Claimer,
    /// The owner.
    Owner,
    /// The system: the invocation has no owner.
    System,
    /// The owner or the system.
    OwnerOrSystem,
    /// The system, or a claiming runner that finds that the invocation can't run.
    ClaimerOrSystem,
}

impl Actors {
    pub(super) fn include(self, by: By) -> bool {
        match by {
            By::Owner(_) => matches!(self, Self::Owner | Self::OwnerOrSystem),
            By::Claimer(_) => matches!(self, Self::Claimer | Self::ClaimerOrSystem),
            By::System => matches!(self, Self::System | Self::OwnerOrSystem | Self::ClaimerOrSystem),
        }
    }
}

const fn edge(from: Status, to: Status, actors: Actors) -> Edge {
    Edge { from, to, actors }
}

/// Every legal transition of the lifecycle.
pub const EDGES: &[Edge] = {
    use Actors::{Claimer, ClaimerOrSystem, Owner, OwnerOrSystem, System};
    use Status::{
        Cancelled, ConcurrencyControlled, ConcurrencyControlledFinal, Failed, Paused, Pending, Registered, Rerouted,
        Retry, Running, Scheduled, Success,
    };
    &[
        edge(Registered, Pending, Claimer),
        edge(Registered, ConcurrencyControlled, Claimer),
        edge(Registered, ConcurrencyControlledFinal, Claimer),
        edge(Registered, Cancelled, ClaimerOrSystem),
        edge(Registered, Failed, ClaimerOrSystem),
        edge(Scheduled, Pending, Claimer),
        edge(Scheduled, Rerouted, System),
        edge(Scheduled, ConcurrencyControlled, Claimer),
        edge(Scheduled, ConcurrencyControlledFinal, Claimer),
        edge(Scheduled, Cancelled, ClaimerOrSystem),
        edge(Scheduled, Failed, ClaimerOrSystem),
        edge(ConcurrencyControlled, Rerouted, System),
        edge(ConcurrencyControlled, Cancelled, System),
        edge(ConcurrencyControlled, Failed, System),
        edge(Rerouted, Pending, Claimer),
        edge(Rerouted, ConcurrencyControlled, Claimer),
        edge(Rerouted, ConcurrencyControlledFinal, Claimer),
        edge(Rerouted, Cancelled, ClaimerOrSystem),
        edge(Rerouted, Failed, ClaimerOrSystem),
        edge(Pending, Running, Owner),
        edge(Pending, Rerouted, OwnerOrSystem),
        edge(Pending, Cancelled, OwnerOrSystem),
        edge(Pending, Failed, OwnerOrSystem),
        edge(Running, Paused, Owner),
        edge(Running, Scheduled, Owner),
        edge(Running, Retry, Owner),
        edge(Running, Rerouted, OwnerOrSystem),
        edge(Running, Success, Owner),
        edge(Running, Failed, OwnerOrSystem),
        edge(Running, Cancelled, OwnerOrSystem),
        edge(Paused, Running, Owner),
        edge(Paused, Success, Owner),
        edge(Paused, Retry, Owner),
        edge(Paused, Scheduled, Owner),
        edge(Paused, Rerouted, OwnerOrSystem),
        edge(Paused, Failed, OwnerOrSystem),
        edge(Paused, Cancelled, OwnerOrSystem),
        edge(Retry, Pending, Claimer),
        edge(Retry, ConcurrencyControlled, Claimer),
        edge(Retry, Cancelled, ClaimerOrSystem),
        edge(Retry, Failed, ClaimerOrSystem),
    ]
};
