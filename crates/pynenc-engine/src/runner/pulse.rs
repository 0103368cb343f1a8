//! Whether the threads on which `async` bodies run get to anything else.

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::stop::Stop;
use crate::worker::Worker;

/// Tells once, each time it happens, that every thread of a runtime has been blocked for a heartbeat's interval. It has to
/// run elsewhere: heartbeats go on, so nobody else would notice.
pub(super) async fn watch(runtime: &Handle, worker: &Worker, mut stop: Stop) {
    let mut was_blocked = false;
    loop {
        let pulse = runtime.spawn(async {});
        tokio::select! {
            biased;
            () = stop.now() => return,
            () = sleep(worker.settings().heartbeat_interval) => {}
        }
        let is_blocked = !pulse.is_finished();
        if is_blocked && !was_blocked {
            tracing::warn!(
                running = worker.running().join(", "),
                "every thread is blocked by bodies: a task that blocks has to be a plain function, not an `async` one"
            );
        }
        was_blocked = is_blocked;
    }
}
