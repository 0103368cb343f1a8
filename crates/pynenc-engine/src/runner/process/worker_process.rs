//! Supervision of one worker process: starts it, watches it, and replaces it when it dies.

use std::process::ExitStatus;
use std::time::Duration;

use pynenc_core::orchestrator::{Heartbeat, Tracked};
use pynenc_core::{RunnerId, Status, reads};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::time::Instant;

use super::control::{DRAIN, NOW, Role};
use super::program::Program;
use crate::backoff::store_backoff;
use crate::engine::Engine;
use crate::stop::Stop;

/// The pause after the first death, doubled with each further death in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that lived at least this long starts a new count of deaths.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// The extra time, beyond the grace time, that a draining process has before it is stopped, and again before it is
/// killed.
const MARGIN: Duration = Duration::from_secs(10);
#[cfg(unix)]
const SIGKILL: i32 = 9;
/// How often the supervisor tries to retire the runner of a dead process. After that, the runner's lease runs out.
const RETIRE_TRIES: u32 = 5;

/// One of a supervisor's worker processes. A process that dies is replaced.
#[derive(Debug)]
pub(super) struct WorkerProcess {
    number: usize,
    program: Program,
    engine: Engine,
    stop: Stop,
}

impl WorkerProcess {
    pub(super) fn new(number: usize, program: Program, engine: Engine, stop: Stop) -> Self {
        Self { number, program, engine, stop }
    }

    /// Keeps a worker process running until the supervisor drains.
    pub(super) async fn supervise(mut self) {
        let mut deaths = 0;
        while !self.stop.is_draining() {
            let (runner, begun) = (RunnerId::new(), Instant::now());
            match self.program.start(Role { runner, number: self.number }) {
                Ok(process) => self.watch(process, runner).await,
                Err(error) => tracing::error!(worker = self.number, %error, "can't start a worker process"),
            }
            deaths = if begun.elapsed() >= LONG_LIFE { 1 } else { deaths + 1 };
            tokio::select! {
                biased;
                () = self.stop.draining() => {}
                () = tokio::time::sleep(pause_after(deaths)) => {}
            }
        }
    }

    /// Waits until the process exits. When the supervisor drains, the process is made to drain too.
    async fn watch(&mut self, mut process: Child, runner: RunnerId) {
        let id = process.id().unwrap_or_default();
        tracing::info!(worker = self.number, process = id, %runner, "a worker process was started");
        // Taken out, because `wait` would close it, and the worker would conclude that its supervisor has exited.
        let input = process.stdin.take();
        let exit = tokio::select! {
            biased;
            exit = process.wait() => exit,
            () = self.stop.draining() => self.drain(&mut process, input).await,
        };
        match exit {
            Ok(status) if status.success() => {
                tracing::info!(worker = self.number, process = id, "a worker process exited");
            }
            Ok(status) => self.report_death(id, status, runner).await,
            Err(error) => tracing::error!(process = id, %error, "can't wait for a worker process"),
        }
    }

    /// Makes a process drain, then stop when the supervisor stops or the time is over, and at last kills it.
    async fn drain(&mut self, process: &mut Child, mut input: Option<ChildStdin>) -> std::io::Result<ExitStatus> {
        if let Some(input) = &mut input {
            // Ignored: a process that no longer reads is about to exit.
            let _ = input.write_all(DRAIN).await;
        }
        let grace = self.engine.settings().runner.shutdown_grace + MARGIN;
        tokio::select! {
            biased;
            exit = process.wait() => return exit,
            () = self.stop.now() => {}
            () = tokio::time::sleep(grace) => {}
        }
        if let Some(input) = &mut input {
            let _ = input.write_all(NOW).await;
        }
        if let Ok(exit) = tokio::time::timeout(MARGIN, process.wait()).await {
            return exit;
        }
        process.start_kill()?;
        process.wait().await
    }

    /// Gives a dead process's invocations to other runners at once, and logs them.
    async fn report_death(&self, process: u32, status: ExitStatus, runner: RunnerId) {
        let owned = self.retire(runner).await;
        let (running, waiting): (Vec<_>, Vec<_>) = owned.iter().partition(|item| item.record.status == Status::Running);
        let running: Vec<String> = running.into_iter().map(described).collect();
        tracing::error!(
            worker = self.number,
            process,
            %status,
            %runner,
            running = %running.join(", "),
            waiting = waiting.len(),
            hint = likely_cause(status),
            "a worker process died; its invocations are given to other runners"
        );
    }

    /// Retires the runner of a dead process, so that recovery needn't wait until its lease expires. Returns the
    /// invocations that it owned.
    async fn retire(&self, runner: RunnerId) -> Vec<Tracked> {
        let orchestrator = &self.engine.parts().orchestrator;
        for attempt in 0..RETIRE_TRIES {
            let owned = reads::owned(&**orchestrator, runner).await;
            match (owned, orchestrator.heartbeat(&Heartbeat::last(runner)).await) {
                (Ok(owned), Ok(_)) => return owned,
                (Err(error), _) | (_, Err(error)) => {
                    tracing::debug!(%error, attempt, "can't retire a dead runner yet");
                }
            }
            tokio::time::sleep(store_backoff(attempt)).await;
        }
        Vec::new()
    }
}

fn described(item: &Tracked) -> String {
    format!("{} {} (lost {} times before)", item.task, item.id, item.record.losses)
}

/// The likely cause of a death that the process itself couldn't log.
fn likely_cause(status: ExitStatus) -> Option<&'static str> {
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL) {
        return Some(
            "the process was killed with SIGKILL, probably because the kernel or the container ran out of memory: \
             see the kernel's log, lower `runner.concurrency`, or raise the memory limit",
        );
    }
    let _ = status;
    None
}

/// The pause after this many deaths in a row.
fn pause_after(deaths: u32) -> Duration {
    let doublings = deaths.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let pauses: Vec<_> = [1, 2, 3, 9, 10, 1000].map(|deaths| pause_after(deaths).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400, 25_600, 30_000, 30_000]);
    }
}
