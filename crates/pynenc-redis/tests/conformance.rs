//! The conformance suites over one Redis server. Each trial has an app of its own.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use pynenc_core::{ArgCache, Broker, InvocationId, Orchestrator, StateBackend, Timestamp, TriggerStore, async_trait};
use pynenc_redis::{
    RedisArgCache, RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, RedisTriggerStore,
    StartCheck,
};
use pynenc_testkit::conformance::{self, Harness, lane};
use pynenc_testkit::{RedisServer, Time};

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// A store on the shared server, for a new app.
async fn store() -> RedisStore {
    let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(SERVER.url()) };
    RedisStore::connect(&config, &InvocationId::new().to_string()).await.expect("the server runs")
}

/// The server's clock, which a test can move ahead.
#[derive(Debug)]
struct TestClock(RedisStore);

#[async_trait]
impl Time for TestClock {
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
                Harness::new(component, Arc::new(TestClock(store)))
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

pynenc_testkit::lane_conformance!(components);
