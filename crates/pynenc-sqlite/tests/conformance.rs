//! The conformance suites over SQLite. Each trial has a file of its own.

use std::sync::{Arc, Mutex};

use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Orchestrator, StateBackend, TriggerStore};
use pynenc_kv::KvStore;
use pynenc_sqlite::{
    SqliteArgCache, SqliteBroker, SqliteConfig, SqliteOrchestrator, SqliteStateBackend, SqliteTriggerStore, Synchronous,
};
use pynenc_testkit::ThreadTime;
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

/// A store of a new file, and its time.
async fn store(folders: &Folders) -> (KvStore, Arc<ThreadTime>) {
    let clock = ManualClock::default();
    let opened = pynenc_sqlite::open(&folders.config(), "app", Arc::new(clock.clone())).await;
    let store = opened.expect("a new file can be opened");
    (store.clone(), Arc::new(ThreadTime::new(clock, Arc::new(SqliteBroker::new(store)))))
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

#[test]
fn lane_conformance() {
    let folders = Folders::default();
    let make: lane::MakeLane = Arc::new(lane::over_store);
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
