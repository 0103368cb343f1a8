//! The signs of life of a worker, for health probes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The signs of life of a worker.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<Signs>);

/// The signs at one moment.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Signs {
    last_try: Option<Instant>,
    last_accepted: Option<Instant>,
    pub(super) is_draining: bool,
    pub(super) is_runtime_blocked: bool,
}

impl Signs {
    /// Whether the worker has tried to send a heartbeat within the lease.
    pub(super) fn sends_heartbeats(&self, lease: Duration) -> bool {
        is_recent(self.last_try, lease)
    }

    /// Whether the store has accepted a heartbeat within the lease.
    pub(super) fn has_lease(&self, lease: Duration) -> bool {
        is_recent(self.last_accepted, lease)
    }
}

fn is_recent(at: Option<Instant>, lease: Duration) -> bool {
    at.is_some_and(|at| at.elapsed() < lease)
}

impl Health {
    /// The present signs.
    pub(super) fn now(&self) -> Signs {
        *self.signs()
    }

    /// Remembers that the worker claims nothing more.
    pub(super) fn set_draining(&self) {
        self.signs().is_draining = true;
    }

    /// Remembers whether every thread of the runtime is blocked.
    pub(super) fn set_runtime_blocked(&self, is_blocked: bool) {
        self.signs().is_runtime_blocked = is_blocked;
    }

    /// Remembers that the worker sends a heartbeat now.
    pub(super) fn heartbeat_sent(&self) {
        self.signs().last_try = Some(Instant::now());
    }

    /// Remembers that the store accepted the heartbeat that was sent at this time.
    pub(super) fn heartbeat_accepted(&self, sent: Instant) {
        self.signs().last_accepted = Some(sent);
    }

    fn signs(&self) -> MutexGuard<'_, Signs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
