//! The conformance suites over redb, and the program as a user runs it.

use std::process::Command;
use std::sync::Arc;

use embedded_store::RedbStore;
use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Clock, Lane, Orchestrator, StateBackend};
use pynenc_engine::StepLane;
use pynenc_kv::{KvArgCache, KvBroker, KvOrchestrator, KvStateBackend, KvStore, KvTriggerStore};
use pynenc_testkit::conformance::lane;
use tempfile::TempDir;

// ANCHOR: conformance
fn store(clock: Arc<dyn Clock>) -> KvStore {
    let folder = TempDir::new().expect("a temporary folder can be made");
    // The open file stays when its folder is removed.
    KvStore::new(Arc::new(RedbStore::open(folder.path().join("store.redb")).expect("the file can be created")), clock)
}

pynenc_testkit::arg_cache_conformance!(async |clock| KvArgCache::new(store(clock)));
pynenc_testkit::broker_conformance!(async |clock| KvBroker::new(store(clock)));
pynenc_testkit::orchestrator_conformance!(async |clock| KvOrchestrator::new(store(clock)));
pynenc_testkit::state_backend_conformance!(async |clock| KvStateBackend::new(store(clock)));
pynenc_testkit::trigger_store_conformance!(async |clock| KvTriggerStore::new(store(clock)));
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
