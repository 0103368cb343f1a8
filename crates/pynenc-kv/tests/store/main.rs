//! The components over a store of plain ordered maps.

mod conformance;
mod costs;
mod failures;
mod lane_entries;
mod map;
mod processes;
mod simulation;
mod unreadable;

use std::sync::Arc;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Lane, Orchestrator, StateBackend};
use pynenc_kv::{KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};

use map::MapStore;

/// The components of one process.
struct World {
    map: Arc<MapStore>,
    store: KvStore,
    clock: ManualClock,
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
    lane: Arc<dyn Lane>,
    triggers: KvTriggerStore,
}

impl World {
    fn new() -> Self {
        Self::over(MapStore::default(), ManualClock::default())
    }

    /// Another process on the same store.
    fn in_another_process(&self) -> Self {
        Self::over(self.map.in_another_process(), self.clock.clone())
    }

    fn over(map: MapStore, clock: ManualClock) -> Self {
        let map = Arc::new(map);
        let store = KvStore::new(map.clone(), Arc::new(clock.clone()));
        let broker: Arc<dyn Broker> = Arc::new(KvBroker::new(store.clone()));
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(KvOrchestrator::new(store.clone()));
        let state: Arc<dyn StateBackend> = Arc::new(KvStateBackend::new(store.clone()));
        let lane = orchestrator.lane(&broker, &state).expect("the components share a store");
        let triggers = KvTriggerStore::new(store.clone());
        Self { map, store, clock, broker, orchestrator, state, lane, triggers }
    }
}
