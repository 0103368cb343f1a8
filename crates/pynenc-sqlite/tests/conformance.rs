//! The conformance suites over SQLite. Each trial has a file of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Clock, Lane, Orchestrator, StateBackend, Timestamp, TriggerStore, async_trait};
use pynenc_engine::StepLane;
use pynenc_kv::KvStore;
use pynenc_sqlite::{
    SqliteArgCache, SqliteBroker, SqliteConfig, SqliteOrchestrator, SqliteStateBackend, SqliteTriggerStore, Synchronous,
};
use pynenc_testkit::Time;
use pynenc_testkit::conformance::{self, Harness, lane};
use tempfile::TempDir;

/// The folders of the trials, which are removed when their suite is over.
#[derive(Default)]
struct Folders(Mutex<Vec<TempDir>>);

impl Folders {
    /// The settings of a new file.
    fn config(&self) -> SqliteConfig {
        let folder = TempDir::new().expect("a temporary folder can be created");
        let path = folder.path().join("jobs.db").to_str().expect("the path is UTF-8").to_owned();
        self.0.lock().expect("no trial panics with this lock").push(folder);
        SqliteConfig { synchronous: Synchronous::Normal, ..SqliteConfig::with_path(path) }
    }
}

/// A clock that the trials move. It waits for the store's threads, so that time doesn't run away from them.
#[derive(Debug)]
struct TestClock {
    clock: ManualClock,
    barrier: SqliteBroker,
}

#[async_trait]
impl Time for TestClock {
    async fn now(&self) -> Timestamp {
        Clock::now(&self.clock)
    }

    async fn advance(&self, by: Duration) {
        self.barrier.push(&[]).await.expect("the store performs steps");
        self.clock.advance(by);
    }
}

/// A store of a new file, and its time.
async fn store(folders: &Folders) -> (KvStore, Arc<TestClock>) {
    let clock = ManualClock::default();
    let opened = pynenc_sqlite::open(&folders.config(), "app", Arc::new(clock.clone())).await;
    let store = opened.expect("a new file can be opened");
    (store.clone(), Arc::new(TestClock { clock, barrier: SqliteBroker::new(store) }))
}

macro_rules! suite {
    ($name:ident: $component:ident as $made:ident) => {
        #[test]
        fn $name() {
            let folders = Folders::default();
            conformance::$name::check(async || {
                let (store, time) = store(&folders).await;
                let component: Arc<dyn $component> = Arc::new($made::new(store));
                Harness::new(component, time)
            });
        }
    };
}

suite!(broker: Broker as SqliteBroker);
suite!(orchestrator: Orchestrator as SqliteOrchestrator);
suite!(state_backend: StateBackend as SqliteStateBackend);
suite!(trigger_store: TriggerStore as SqliteTriggerStore);

#[test]
fn arg_cache() {
    let folders = Folders::default();
    conformance::arg_cache::check_with_clock(async |clock| {
        let opened = pynenc_sqlite::open_content(&folders.config(), "app", clock).await;
        SqliteArgCache::new(opened.expect("a new file can be opened"))
    });
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

#[test]
fn lane_conformance() {
    let folders = Folders::default();
    let make: lane::MakeLane = Arc::new(lane_over);
    lane::check(async || components(&folders).await, &make);
}

async fn components(folders: &Folders) -> lane::Components {
    let (store, _) = store(folders).await;
    (
        Arc::new(SqliteBroker::new(store.clone())),
        Arc::new(SqliteOrchestrator::new(store.clone())),
        Arc::new(SqliteStateBackend::new(store)),
    )
}
