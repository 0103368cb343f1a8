//! The conformance suites over redb, and the program as a user runs it.

use std::process::Command;
use std::sync::Arc;

use embedded_store::RedbStore;
use pynenc_core::clock::ManualClock;
use pynenc_core::{ArgCache, Broker, Clock, Orchestrator, StateBackend, TriggerStore};
use pynenc_kv::{KvArgCache, KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};
use pynenc_testkit::ThreadTime;
use pynenc_testkit::conformance::{self, Harness, lane};
use tempfile::TempDir;

/// A store in a new file.
fn store(clock: Arc<dyn Clock>) -> KvStore {
    let folder = TempDir::new().expect("a temporary folder can be made");
    // The open file stays when its folder is removed.
    KvStore::new(Arc::new(RedbStore::open(folder.path().join("store.redb")).expect("the file can be created")), clock)
}

// ANCHOR: conformance
macro_rules! suite {
    ($name:ident: $component:ident as $made:ident) => {
        #[test]
        fn $name() {
            conformance::$name::check(async || {
                let clock = ManualClock::default();
                let store = store(Arc::new(clock.clone()));
                let component: Arc<dyn $component> = Arc::new($made::new(store.clone()));
                // The trials move the time. The store performs its steps on a thread.
                Harness::new(component, Arc::new(ThreadTime::new(clock, Arc::new(KvBroker::new(store)))))
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

pynenc_testkit::lane_conformance!(components);

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
