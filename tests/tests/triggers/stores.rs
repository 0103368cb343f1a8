//! Shared stores that outlive their runners, and helpers for tests.

use std::sync::{Arc, Mutex};

use pynenc::core::clock::TokioClock;
use pynenc::core::{Broker, Clock, Components, Orchestrator, StateBackend, Timestamp, TriggerStore};
use pynenc::prelude::*;
use pynenc::testing::TestApp;
use pynenc::{Plugin, PynencBuilder, ThreadRunner};
use pynenc_mem::{MemBroker, MemOrchestrator, MemStateBackend, MemTriggerStore};
use pynenc_testkit::failing::{FailingBroker, FailingOrchestrator, FailingStateBackend, FailingTriggerStore, Fuse};

/// The notes of tasks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    /// All notes in alphabetical order, because runs have no order.
    pub(crate) fn sorted(&self) -> Vec<String> {
        let mut notes = self.0.lock().unwrap().clone();
        notes.sort();
        notes
    }
}

/// Stores in memory that several apps share.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    clock: TokioClock,
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
    triggers: Arc<dyn TriggerStore>,
}

impl Stores {
    pub(crate) fn new() -> Self {
        let clock = clock();
        let shared: Arc<dyn Clock> = Arc::new(clock);
        Self {
            clock,
            broker: Arc::new(MemBroker::new(shared.clone())),
            orchestrator: Arc::new(MemOrchestrator::new(shared.clone())),
            state: Arc::new(MemStateBackend::new(shared.clone())),
            triggers: Arc::new(MemTriggerStore::new(shared)),
        }
    }

    /// The same stores with a fuse in every call.
    pub(crate) fn failing(&self, fuse: &Fuse) -> Self {
        Self {
            clock: self.clock,
            broker: Arc::new(FailingBroker::new(self.broker.clone(), fuse.clone())),
            orchestrator: Arc::new(FailingOrchestrator::new(self.orchestrator.clone(), fuse.clone())),
            state: Arc::new(FailingStateBackend::new(self.state.clone(), fuse.clone())),
            triggers: Arc::new(FailingTriggerStore::new(self.triggers.clone(), fuse.clone())),
        }
    }

    /// Creates an app over these stores, without tasks. The test starts its runners.
    pub(crate) fn builder(&self) -> PynencBuilder {
        ["broker_cls", "orchestrator_cls", "state_backend_cls", "trigger_store_cls"]
            .iter()
            .fold(Pynenc::builder().without_config_file().environment([]), |builder, key| {
                builder.set(key, "tests::Shared")
            })
            .plugin(self.clone())
            .clock(self.clock)
            .runner(ThreadRunner::with_heartbeats_on_runtime())
            .without_linked_tasks()
    }
}

macro_rules! shared {
    ($components:ident: $($component:ident in $what:literal = $shared:expr;)+) => {$(
        let shared = $shared.clone();
        $components.add::<dyn $component, _, _>($what, "tests::Shared", move |_| {
            let shared = shared.clone();
            async move { Ok(shared) }
        });
    )+};
}

impl Plugin for Stores {
    fn register(&self, components: &mut Components) {
        shared! { components:
            Broker in "broker" = self.broker;
            Orchestrator in "orchestrator" = self.orchestrator;
            StateBackend in "state backend" = self.state;
            TriggerStore in "trigger store" = self.triggers;
        }
    }
}

/// Runs a scenario with a fuse at the first call, at the second, and so on, until it no longer reaches the fuse. Returns
/// the number of calls.
pub(crate) async fn at_every_call(fuse: impl Fn(u64) -> Fuse, scenario: impl AsyncFn(Fuse) -> bool) -> u64 {
    let mut number = 1;
    while scenario(fuse(number)).await {
        number += 1;
    }
    number
}

/// A clock that starts at 2 March 2026, 10:05:05 UTC, so that the next slot is always equally far away.
fn clock() -> TokioClock {
    TokioClock::starting_at(Timestamp::from_millis(1_772_445_905_000))
}

/// Creates a test app without the tasks of other tests.
pub(crate) async fn app(configure: impl FnOnce(PynencBuilder) -> PynencBuilder) -> (TestApp, Notes) {
    let notes = Notes::default();
    let shared = notes.clone();
    let app =
        TestApp::with(|builder| configure(builder.clock(clock()).without_linked_tasks().state(shared))).await.unwrap();
    (app, notes)
}
