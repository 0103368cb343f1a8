//! The conformance suites over redb, and the program as a user runs it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use embedded_store::RedbStore;
use pynenc_core::clock::ManualClock;
use pynenc_core::{ArgCache, Broker, Clock, Lane, Orchestrator, StateBackend, Timestamp, TriggerStore, async_trait};
use pynenc_engine::StepLane;
use pynenc_kv::{KvArgCache, KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};
use pynenc_testkit::Time;
use pynenc_testkit::conformance::{self, Harness, lane};
use tempfile::TempDir;

/// A store in a new file.
fn store(clock: Arc<dyn Clock>) -> KvStore {
    let folder = TempDir::new().expect("a temporary folder can be made");
    // The open file stays when its folder is removed.
    KvStore::new(Arc::new(RedbStore::open(folder.path().join("store.redb")).expect("the file can be created")), clock)
}

// ANCHOR: conformance
/// A clock that the trials move. It waits for the thread of the store, so that time doesn't run away from it.
#[derive(Debug)]
struct TestClock {
    clock: ManualClock,
    broker: KvBroker,
}

#[async_trait]
impl Time for TestClock {
    async fn now(&self) -> Timestamp {
        Clock::now(&self.clock)
    }

    async fn advance(&self, by: Duration) {
        self.broker.push(&[]).await.expect("the store performs a step without work");
        self.clock.advance(by);
    }
}

macro_rules! suite {
    ($name:ident: $component:ident as $made:ident) => {
        #[test]
        fn $name() {
            conformance::$name::check(async || {
                let clock = ManualClock::default();
                let store = store(Arc::new(clock.clone()));
                let component: Arc<dyn $component> = Arc::new($made::new(store.clone()));
                Harness::new(component, Arc::new(TestClock { clock, broker: KvBroker::new(store) }))
            });
        }
    };
}

suite!(arg_cache: ArgCache as KvArgCache);
suite!(broker: Broker as KvBroker);
suite!(orchestrator: Orchestrator as KvOrchestrator);
suite!(state_backend: StateBackend as KvStateBackend);
suite!(trigger_store: TriggerStore as KvTriggerStore);
// ANCHOR_END: conformance

async fn components() -> lane::Components {
    let store = store(Arc::new(ManualClock::default()));
    (
        Arc::new(KvBroker::new(store.clone())),
        Arc::new(KvOrchestrator::new(store.clone())),
        Arc::new(KvStateBackend::new(store)),
    )
}

/// The store's lane, or the engine's: components that fail on purpose hide their store.
fn lane_over(
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
) -> Arc<dyn Lane> {
    let lane = orchestrator.lane(&broker, &state);
    lane.unwrap_or_else(|| Arc::new(StepLane::new(broker, orchestrator, state)))
}

pynenc_testkit::lane_conformance!(components, lane_over);

#[test]
fn a_call_survives_the_end_of_its_app() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("store.redb");
    let output = Command::new(env!("CARGO_BIN_EXE_embedded-store")).arg(file).output().expect("the program starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    for line in ["submitted: 1", "result:    42"] {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}
