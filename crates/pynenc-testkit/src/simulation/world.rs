//! The state of a simulation: stores, processes, a clock, and the observations of the oracles.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use pynenc_core::clock::ManualClock;
use pynenc_core::orchestrator::Counts;
use pynenc_core::{Broker, InvocationId, Orchestrator, StateBackend, TriggerStore};

use super::mutation::Mutation;
use super::process::Process;
use super::tasks::{Ledger, Value};

/// The stores of a simulation. They must use the given clock.
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

/// Statistics of a simulation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// The scheduler's steps.
    pub steps: u64,
    /// Workers that died.
    pub crashes: u64,
    /// Workers that were paused and resumed.
    pub stalls: u64,
}

/// An acknowledged call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) id: InvocationId,
    pub(super) n: u64,
}

/// Observations while the simulation runs.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) counts: Counts,
    pub(super) keys: BTreeMap<InvocationId, u64>,
    pub(super) values: BTreeMap<InvocationId, Value>,
}

/// A simulated system.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) stores: Stores,
    pub(super) clock: ManualClock,
    pub(super) ledger: Ledger,
    pub(super) accepted: Arc<Mutex<Vec<Accepted>>>,
    pub(super) poison_losses: u32,
    pub(super) seen: Seen,
    pub(super) mutation: Mutation,
    pub(super) rng: fastrand::Rng,
    pub(super) is_calm: Arc<AtomicBool>,
    pub(super) processes: Vec<Process>,
    pub(super) report: Report,
}

impl World {
    pub(super) fn new(seed: u64, stores: impl FnOnce(ManualClock) -> Stores, mutation: Mutation) -> Self {
        let clock = ManualClock::default();
        let mut rng = fastrand::Rng::with_seed(seed);
        Self {
            seed,
            stores: stores(clock.clone()),
            clock,
            ledger: Ledger::default(),
            accepted: Arc::default(),
            seen: Seen::default(),
            poison_losses: if rng.u8(0..4) == 0 { 3 } else { u32::MAX },
            mutation,
            rng,
            is_calm: Arc::default(),
            processes: Vec::new(),
            report: Report::default(),
        }
    }

    /// Whether the mutation ignores epochs of outcomes.
    pub(super) fn ignores_epochs(&self) -> bool {
        self.mutation == Mutation::OutcomesWithoutEpoch
    }

    pub(super) fn orchestrator(&self) -> &dyn Orchestrator {
        &*self.stores.orchestrator
    }
}
