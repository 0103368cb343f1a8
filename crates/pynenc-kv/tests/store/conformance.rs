//! The conformance suites, also with transactions that fail and are repeated.

use std::sync::Arc;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Clock, Lane, Orchestrator, StateBackend};
use pynenc_engine::StepLane;
use pynenc_kv::{KvArgCache, KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};
use pynenc_testkit::conformance::lane;

use crate::map::MapStore;

/// The store's lane, or the engine's: components that fail on purpose hide their store.
fn lane_over(
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
) -> Arc<dyn Lane> {
    let lane = orchestrator.lane(&broker, &state);
    lane.unwrap_or_else(|| Arc::new(StepLane::new(broker, orchestrator, state)))
}

macro_rules! suites {
    ($($name:ident: $map:expr;)+) => {$(
        mod $name {
            use super::*;

            fn store(clock: Arc<dyn Clock>) -> KvStore {
                KvStore::new(Arc::new($map), clock)
            }

            async fn components() -> lane::Components {
                let store = store(Arc::new(ManualClock::default()));
                (
                    Arc::new(KvBroker::new(store.clone())),
                    Arc::new(KvOrchestrator::new(store.clone())),
                    Arc::new(KvStateBackend::new(store)),
                )
            }

            pynenc_testkit::arg_cache_conformance!(async |clock| KvArgCache::new(store(clock)));
            pynenc_testkit::broker_conformance!(async |clock| KvBroker::new(store(clock)));
            pynenc_testkit::orchestrator_conformance!(async |clock| KvOrchestrator::new(store(clock)));
            pynenc_testkit::state_backend_conformance!(async |clock| KvStateBackend::new(store(clock)));
            pynenc_testkit::trigger_store_conformance!(async |clock| KvTriggerStore::new(store(clock)));
            pynenc_testkit::lane_conformance!(components, lane_over);
        }
    )+};
}

suites! {
    smooth: MapStore::default();
    repeating: MapStore::repeating();
}
