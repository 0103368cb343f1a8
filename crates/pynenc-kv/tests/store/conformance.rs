//! The conformance suites, also with transactions that fail and are repeated.

use std::sync::Arc;

use pynenc_core::Clock;
use pynenc_core::clock::ManualClock;
use pynenc_kv::{KvArgCache, KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};
use pynenc_testkit::conformance::lane;

use crate::map::MapStore;

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
            pynenc_testkit::lane_conformance!(components);
        }
    )+};
}

suites! {
    smooth: MapStore::default();
    repeating: MapStore::repeating();
}
