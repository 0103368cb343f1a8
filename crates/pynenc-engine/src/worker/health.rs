//! The health of a worker, as probes see it.

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::state::Worker;
use crate::engine::Engine;
use crate::local_runners::{ReportState, RunnerState};

/// The signs of life of a worker.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Signs>);

#[derive(Debug, Default, Clone, Copy)]
struct Signs {
    last_try: Option<Instant>,
    last_accepted: Option<Instant>,
    is_draining: bool,
    is_runtime_blocked: bool,
}

impl Health {
    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Makes the worker's state visible to health probes and metrics, until the worker is dropped.
    pub(crate) fn report_to(self: &Arc<Self>, engine: &Engine) {
        // A worker that has just started isn't overdue with its first heartbeat.
        self.health.signs().last_try = Some(Instant::now());
        engine.add_local_runner(self);
    }

    /// Remembers that the worker claims nothing more.
    pub(crate) fn set_draining(&self) {
        self.health.signs().is_draining = true;
    }

    /// Remembers whether every thread of the runtime is blocked.
    pub(crate) fn set_runtime_blocked(&self, is_blocked: bool) {
        self.health.signs().is_runtime_blocked = is_blocked;
    }

    /// Remembers that the worker sends a heartbeat now.
    pub(super) fn heartbeat_sent(&self) {
        self.health.signs().last_try = Some(Instant::now());
    }

    /// Remembers that the store accepted the heartbeat that was sent at this time.
    pub(super) fn heartbeat_accepted(&self, sent: Instant) {
        self.health.signs().last_accepted = Some(sent);
    }
}

impl ReportState for Worker {
    fn state(&self) -> RunnerState {
        let signs = *self.health.signs();
        let is_recent = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < self.settings.lease);
        let (slots, slots_used, paused) = self.slots.counts();
        RunnerState {
            slots,
            slots_used,
            paused,
            is_draining: signs.is_draining,
            has_lease: is_recent(signs.last_accepted),
            sends_heartbeats: is_recent(signs.last_try),
            is_runtime_blocked: signs.is_runtime_blocked,
            maintains_app: self.holds_maintenance_lease(),
        }
    }
}
