//! Runs the lane conformance suite against the engine's lane over the stores in memory.

use std::sync::Arc;

use pynenc_mem::{MemBroker, MemOrchestrator, MemStateBackend};
use pynenc_testkit::ManualClock;
use pynenc_testkit::conformance::lane::Components;

async fn components() -> Components {
    let clock = Arc::new(ManualClock::default());
    (
        Arc::new(MemBroker::new(clock.clone())),
        Arc::new(MemOrchestrator::new(clock.clone())),
        Arc::new(MemStateBackend::new(clock)),
    )
}

pynenc_testkit::lane_conformance!(components, |broker, orchestrator, state| {
    Arc::new(pynenc_engine::StepLane::new(broker, orchestrator, state)) as Arc<dyn pynenc_core::Lane>
});
