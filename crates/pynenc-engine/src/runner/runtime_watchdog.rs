//! A watchdog for the tokio runtime: warns when task functions block all of its threads.

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::stop::Stop;
use crate::worker::Worker;

/// Warns when every thread of a runtime has been blocked for a heartbeat interval, once each time.
///
/// It has to run on another thread. Heartbeats don't show the problem, because they have a thread of their own.
pub(super) async fn watch(runtime: &Handle, worker: &Worker, mut stop: Stop) {
    let mut was_blocked = false;
    loop {
        let probe = runtime.spawn(async {});
        tokio::select! {
            biased;
            () = stop.now() => return,
            () = sleep(worker.settings().heartbeat_interval) => {}
        }
        let is_blocked = !probe.is_finished();
        if is_blocked && !was_blocked {
            tracing::warn!(
                running = worker.running().join(", "),
                "every thread is blocked by task functions: make tasks that block plain functions, not `async` ones"
            );
        }
        worker.set_runtime_blocked(is_blocked);
        was_blocked = is_blocked;
    }
}
