//! Simulations of crashing workers over a store whose transactions fail and are repeated.

use std::sync::Arc;

use pynenc_kv::{KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};
use pynenc_testkit::ManualClock;
use pynenc_testkit::simulation::{Mutation, Stores, simulate};

use crate::map::MapStore;

fn stores(clock: ManualClock) -> Stores {
    let store = KvStore::new(Arc::new(MapStore::repeating()), Arc::new(clock));
    Stores {
        broker: Arc::new(KvBroker::new(store.clone())),
        orchestrator: Arc::new(KvOrchestrator::new(store.clone())),
        state: Arc::new(KvStateBackend::new(store.clone())),
        triggers: Arc::new(KvTriggerStore::new(store)),
    }
}

#[test]
fn promises_hold_when_workers_crash() {
    for seed in 0..60 {
        simulate(seed, stores, Mutation::None).unwrap_or_else(|violation| panic!("{violation}"));
    }
}
