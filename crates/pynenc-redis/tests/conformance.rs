//! The stores on Redis, held to their traits over one server; each trial has an app of its own.

mod common;

use std::sync::Arc;

use common::{Ahead, store};
use pynenc_core::{ArgCache, Broker, Lane, Orchestrator, StateBackend, TriggerStore};
use pynenc_engine::StepLane;
use pynenc_redis::{RedisArgCache, RedisBroker, RedisOrchestrator, RedisStateBackend, RedisTriggerStore};
use pynenc_testkit::conformance::{self, Harness, lane};

macro_rules! suite {
    ($name:ident: $component:ident as $made:ident) => {
        #[test]
        fn $name() {
            conformance::$name::check(async || {
                let store = store().await;
                let component: Arc<dyn $component> = Arc::new($made::new(store.clone()));
                Harness::new(component, Arc::new(Ahead(store)))
            });
        }
    };
}

suite!(arg_cache: ArgCache as RedisArgCache);
suite!(broker: Broker as RedisBroker);
suite!(orchestrator: Orchestrator as RedisOrchestrator);
suite!(state_backend: StateBackend as RedisStateBackend);
suite!(trigger_store: TriggerStore as RedisTriggerStore);

async fn components() -> lane::Components {
    let store = store().await;
    (
        Arc::new(RedisBroker::new(store.clone())),
        Arc::new(RedisOrchestrator::new(store.clone())),
        Arc::new(RedisStateBackend::new(store)),
    )
}

/// Components that fail hide their store, and then the lane is the engine's.
fn lane_over(
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
) -> Arc<dyn Lane> {
    let lane = orchestrator.lane(&broker, &state);
    lane.unwrap_or_else(|| Arc::new(StepLane::new(broker, orchestrator, state)))
}

pynenc_testkit::lane_conformance!(components, lane_over);
