//! The stores on Redis, held to their traits over one server; each trial has an app of its own.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pynenc_core::{
    ArgCache, Broker, InvocationId, Lane, Orchestrator, StateBackend, Timestamp, TriggerStore, async_trait,
};
use pynenc_engine::StepLane;
use pynenc_redis::{
    RedisArgCache, RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, RedisTriggerStore,
    StartCheck,
};
use pynenc_testkit::conformance::{self, Harness, lane};
use pynenc_testkit::{RedisServer, Time};

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// The shared server for an app that nobody else has.
async fn store() -> RedisStore {
    let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(SERVER.url()) };
    RedisStore::connect(&config, &InvocationId::new().to_string()).await.expect("the server runs")
}

/// A server's clock that is moved ahead by an offset.
#[derive(Debug)]
struct Ahead(RedisStore);

#[async_trait]
impl Time for Ahead {
    async fn now(&self) -> Timestamp {
        self.0.present().await.expect("the server runs")
    }

    async fn advance(&self, by: Duration) {
        self.0.advance(by).await.expect("the server runs");
    }
}

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
