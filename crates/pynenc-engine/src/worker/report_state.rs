//! Reports the state of a worker to health probes and metrics.

use std::sync::Arc;

use super::state::Worker;
use crate::engine::Engine;
use crate::local_runners::{ReportState, RunnerState};

impl Worker {
    /// Makes the worker's state visible to health probes and metrics, until the worker is dropped.
    pub(crate) fn report_to(self: &Arc<Self>, engine: &Engine) {
        // A worker that has just started isn't overdue with its first heartbeat.
        self.health.heartbeat_sent();
        engine.add_local_runner(self);
    }

    /// Remembers that the worker claims nothing more.
    pub(crate) fn set_draining(&self) {
        self.health.set_draining();
    }

    /// Remembers whether every thread of the runtime is blocked.
    pub(crate) fn set_runtime_blocked(&self, is_blocked: bool) {
        self.health.set_runtime_blocked(is_blocked);
    }
}

impl ReportState for Worker {
    fn state(&self) -> RunnerState {
        let (signs, lease) = (self.health.now(), self.settings.lease);
        let (slots, slots_used, paused) = self.slots.counts();
        RunnerState {
            slots,
            slots_used,
            paused,
            is_draining: signs.is_draining,
            has_lease: signs.has_lease(lease),
            sends_heartbeats: signs.sends_heartbeats(lease),
            is_runtime_blocked: signs.is_runtime_blocked,
            maintains_app: self.holds_maintenance_lease(),
        }
    }
}
