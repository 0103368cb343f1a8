//! State that the runs of a process share with the extension: the settings, and the waits for events.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pynenc_core::InvocationId;
use pynenc_core::trigger_store::EventWait;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::config::WorkflowConfig;

/// The state that the runs of a process share with the extension.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: WorkflowConfig,
    /// Whether runs stop where their journals end, and perform no new operation.
    pub(crate) is_replaying: bool,
    events: Notify,
    waits: Mutex<Waits>,
    has_finished_waits: Notify,
}

#[derive(Debug, Default)]
struct Waits {
    /// The waits of runs that are about to be suspended.
    suspending: FxHashMap<InvocationId, Vec<EventWait>>,
    finished: FinishedWaits,
}

/// The work that runs leave to the extension's service when they stop waiting in this process.
#[derive(Debug, Default)]
pub(crate) struct FinishedWaits {
    /// The waits of suspended runs, which have to be checked again: an event may have come between a run's last check
    /// and its suspension.
    pub(crate) to_check: Vec<EventWait>,
    /// The runs whose wait is over, and has to be removed from the store.
    pub(crate) to_remove: Vec<InvocationId>,
}

impl Shared {
    pub(crate) fn new(config: WorkflowConfig, is_replaying: bool) -> Self {
        Self { config, is_replaying, events: Notify::new(), waits: Mutex::default(), has_finished_waits: Notify::new() }
    }

    /// Returns a future that completes when events may have come after this call.
    pub(crate) fn next_event(&self) -> Notified<'_> {
        self.events.notified()
    }

    /// Notifies the runs of this process that events may have come.
    pub(crate) fn notify_events(&self) {
        self.events.notify_waiters();
    }

    /// Notes the waits of a run that is about to be suspended.
    pub(crate) fn suspending(&self, id: InvocationId, waits: Vec<EventWait>) {
        if !waits.is_empty() {
            self.waits().suspending.insert(id, waits);
        }
    }

    /// Leaves the waits of a run to the service if the run was suspended. Another transition drops them.
    pub(crate) fn transitioned(&self, id: InvocationId, is_suspended: bool) {
        let mut waits = self.waits();
        let Some(of_run) = waits.suspending.remove(&id) else { return };
        if is_suspended {
            waits.finished.to_check.extend(of_run);
            self.has_finished_waits.notify_one();
        }
    }

    /// Leaves the removal of a run's waits to the service.
    pub(crate) fn wait_is_over(&self, id: InvocationId) {
        self.waits().finished.to_remove.push(id);
        self.has_finished_waits.notify_one();
    }

    /// Waits until [`take_finished`](Self::take_finished) has work.
    pub(crate) async fn finished_wait(&self) {
        self.has_finished_waits.notified().await;
    }

    pub(crate) fn take_finished(&self) -> FinishedWaits {
        std::mem::take(&mut self.waits().finished)
    }

    /// Puts work back that failed.
    pub(crate) fn put_back(&self, finished: FinishedWaits) {
        let mut waits = self.waits();
        waits.finished.to_check.extend(finished.to_check);
        waits.finished.to_remove.extend(finished.to_remove);
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
