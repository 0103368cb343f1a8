//! A world of crashing workers, drawn from a seed, over the real engine and stores in memory.
//!
//! Workers die between any two steps and are stopped past their leases; calls of stores are refused, or take effect and
//! lose their reply; hints are dropped and repeated; owners wake late. Clients submit what waits, fails, is limited and
//! waits for itself. Then calm is ordered, everything has to end, and the oracles look at what is left.

mod faults;
mod mutation;
mod oracles;
mod process;
mod tasks;
mod world;

use std::sync::Arc;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Orchestrator, StateBackend, TriggerStore};

pub use mutation::Mutation;
pub use oracles::Violation;
use world::World;

/// The stores of a simulated world; they take their time from the clock that they are made with.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The orchestrator.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// The state backend.
    pub state: Arc<dyn StateBackend>,
    /// The trigger store.
    pub triggers: Arc<dyn TriggerStore>,
}

/// What a walk went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps of the scheduler.
    pub steps: u64,
    /// Workers that died.
    pub crashes: u64,
    /// Workers that were stopped and went on later.
    pub stalls: u64,
}

/// Walks through the world of a seed.
///
/// # Errors
///
/// The first promise that was found broken.
pub fn simulate(
    seed: u64,
    stores: impl FnOnce(ManualClock) -> Stores,
    mutation: Mutation,
) -> Result<Report, Violation> {
    World::new(seed, stores, mutation).live()
}
