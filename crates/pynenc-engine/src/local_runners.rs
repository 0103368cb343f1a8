//! The runners of this process, as health probes and metrics see them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The state of a runner of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "probes and metrics ask for each of them")]
pub struct RunnerState {
    /// The number of its slots.
    pub slots: usize,
    /// The number of slots that are taken by task functions.
    pub slots_used: usize,
    /// The number of attempts that wait for other invocations.
    pub paused: usize,
    /// Whether the runner claims nothing more, because it shuts down.
    pub is_draining: bool,
    /// Whether the store has accepted a heartbeat within the lease, so that the runner may claim.
    pub has_lease: bool,
    /// Whether the runner has tried to send a heartbeat within the lease.
    pub sends_heartbeats: bool,
    /// Whether task functions block every thread of the tokio runtime.
    pub is_runtime_blocked: bool,
    /// Whether the runner performs the maintenance of the app at present.
    pub maintains_app: bool,
}

impl RunnerState {
    /// The reason why the runner doesn't work, if it doesn't. Then only a restart of the process helps.
    pub const fn why_not_live(&self) -> Option<&'static str> {
        if self.is_runtime_blocked {
            return Some("task functions block every thread of the runtime");
        }
        if self.sends_heartbeats { None } else { Some("the runner hasn't sent a heartbeat within its lease") }
    }

    /// The reason why the runner doesn't claim invocations, if it doesn't.
    pub const fn why_not_ready(&self) -> Option<&'static str> {
        if self.is_draining {
            return Some("the runner is shutting down");
        }
        if self.has_lease { None } else { Some("the store hasn't accepted a heartbeat of the runner within its lease") }
    }
}

/// A runner that reports its state. The worker implements it.
pub(crate) trait ReportState: Send + Sync {
    /// The present state.
    fn state(&self) -> RunnerState;
}

/// The runners of an engine in this process.
#[derive(Default)]
pub(crate) struct LocalRunners(Mutex<Vec<Weak<dyn ReportState>>>);

impl fmt::Debug for LocalRunners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.states()).finish()
    }
}

impl LocalRunners {
    /// Adds a runner. It is removed when it is dropped.
    pub(crate) fn add(&self, runner: &Arc<impl ReportState + 'static>) {
        let runner: Weak<dyn ReportState> = Arc::downgrade(runner) as _;
        let mut runners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runners.retain(|runner| runner.strong_count() > 0);
        runners.push(runner);
    }

    /// The states of the runners that aren't dropped.
    pub(crate) fn states(&self) -> Vec<RunnerState> {
        let runners = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        runners.iter().filter_map(Weak::upgrade).map(|runner| runner.state()).collect()
    }
}
