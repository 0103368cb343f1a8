//! Reports the state of a worker to systemd, or to another service manager with its protocol.
//!
//! The unit needs `Type=notify`. If `worker --processes` starts several processes, each of them reports that it is ready,
//! so the unit needs `NotifyAccess=all` too; the watchdog watches the supervisor.

use std::time::Duration;

use pynenc_builder::Pynenc;
use sd_notify::NotifyState;

/// The time between two looks at the state, which is in the memory of this process.
const INTERVAL: Duration = Duration::from_millis(500);

/// Starts a task that reports when the worker is ready and when it drains, and that it works if systemd watches it. Without a
/// service manager it does nothing.
pub(super) fn start_reporting(app: &Pynenc) {
    if is_supervised() {
        tokio::spawn(report(app.clone()));
    }
}

/// Reports that the worker has stopped, which may be too soon after its drain for the task.
pub(super) fn report_stopped() {
    if is_supervised() {
        notify(NotifyState::Stopping);
    }
}

fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

async fn report(app: Pynenc) {
    let watchdog = sd_notify::watchdog_enabled();
    let interval = watchdog.map_or(INTERVAL, |timeout| INTERVAL.min(timeout / 3));
    let (mut was_ready, mut was_draining) = (false, false);
    loop {
        let runners = app.local_runners();
        let is_ready = !runners.is_empty() && runners.iter().all(|runner| runner.why_not_ready().is_none());
        if is_ready && !was_ready {
            was_ready = true;
            notify(NotifyState::Ready);
        }
        if !was_draining && runners.iter().any(|runner| runner.is_draining) {
            was_draining = true;
            notify(NotifyState::Stopping);
        }
        // A supervisor has no runners of its own. It works if this task does.
        if watchdog.is_some() && runners.iter().all(|runner| runner.why_not_live().is_none()) {
            notify(NotifyState::Watchdog);
        }
        tokio::time::sleep(interval).await;
    }
}

fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "can't report the worker's state to the service manager");
    }
}
