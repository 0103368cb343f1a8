//! One place for a worker process: it is started, watched, and replaced when it dies.

use std::process::ExitStatus;
use std::time::Duration;

use pynenc_core::orchestrator::Tracked;
use pynenc_core::{RunnerId, Status};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::time::Instant;

use super::control::{DRAIN, NOW};
use super::program::Program;
use crate::engine::Engine;
use crate::stop::Stop;
use crate::worker::pause_before;

/// The pause before the second start in a row, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that has lived as long died of something new.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// How much longer than the grace time a process that drains may take before it is killed.
const MARGIN: Duration = Duration::from_secs(10);
#[cfg(unix)]
const SIGKILL: i32 = 9;
/// How often the store is asked to retire the runner of a process that died; its lease runs out otherwise.
const RETIRE_TRIES: u32 = 5;

/// A place for a worker process.
#[derive(Debug)]
pub(super) struct Seat {
    number: usize,
    program: Program,
    engine: Engine,
    stop: Stop,
}

impl Seat {
    pub(super) fn new(number: usize, program: Program, engine: Engine, stop: Stop) -> Self {
        Self { number, program, engine, stop }
    }

    /// Keeps a process in this place until the supervisor is told to stop.
    pub(super) async fn keep(mut self) {
        let mut deaths = 0;
        while !self.stop.is_draining() {
            let (runner, begun) = (RunnerId::new(), Instant::now());
            match self.program.start(runner) {
                Ok(process) => self.watch(process, runner).await,
                Err(error) => tracing::error!(seat = self.number, %error, "a worker process can't be started"),
            }
            deaths = if begun.elapsed() >= LONG_LIFE { 1 } else { deaths + 1 };
            tokio::select! {
                biased;
                () = self.stop.draining() => {}
                () = tokio::time::sleep(pause_after(deaths)) => {}
            }
        }
    }

    /// Waits for the end of a process, which it is told of when the supervisor is.
    async fn watch(&mut self, mut process: Child, runner: RunnerId) {
        let id = process.id().unwrap_or_default();
        tracing::info!(seat = self.number, process = id, %runner, "a worker process was started");
        // Taken out, for a wait would close it, and a worker takes that for the supervisor's death.
        let input = process.stdin.take();
        let ended = tokio::select! {
            biased;
            ended = process.wait() => ended,
            () = self.stop.draining() => self.end(&mut process, input).await,
        };
        match ended {
            Ok(status) if status.success() => {
                tracing::info!(seat = self.number, process = id, "a worker process ended");
            }
            Ok(status) => self.report(id, status, runner).await,
            Err(error) => tracing::error!(process = id, %error, "a worker process can't be waited for"),
        }
    }

    /// Lets a process drain; what the supervisor is told meanwhile, it is told too.
    async fn end(&mut self, process: &mut Child, mut input: Option<ChildStdin>) -> std::io::Result<ExitStatus> {
        if let Some(input) = &mut input {
            // One that doesn't read any more is about to end.
            let _ = input.write_all(DRAIN).await;
        }
        let grace = self.engine.settings().runner.shutdown_grace + MARGIN;
        tokio::select! {
            biased;
            ended = process.wait() => return ended,
            () = self.stop.now() => {}
            () = tokio::time::sleep(grace) => {}
        }
        if let Some(input) = &mut input {
            let _ = input.write_all(NOW).await;
        }
        if let Ok(ended) = tokio::time::timeout(MARGIN, process.wait()).await {
            return ended;
        }
        process.start_kill()?;
        process.wait().await
    }

    /// Says what a process that died has run, and gives it to others at once.
    async fn report(&self, process: u32, status: ExitStatus, runner: RunnerId) {
        let owned = self.retire(runner).await;
        let (running, waiting): (Vec<_>, Vec<_>) = owned.iter().partition(|item| item.record.status == Status::Running);
        let running: Vec<String> = running.into_iter().map(told).collect();
        tracing::error!(
            seat = self.number,
            process,
            %status,
            %runner,
            running = %running.join(", "),
            waiting = waiting.len(),
            hint = hint(status),
            "a worker process died; what it ran is given to others"
        );
    }

    /// Retires the runner of a process that is dead for sure, so that nobody has to wait for the end of its lease.
    async fn retire(&self, runner: RunnerId) -> Vec<Tracked> {
        let orchestrator = &self.engine.parts().orchestrator;
        for attempt in 0..RETIRE_TRIES {
            let owned = orchestrator.owned(runner).await;
            match (owned, orchestrator.leave(runner).await) {
                (Ok(owned), Ok(())) => return owned,
                (Err(error), _) | (_, Err(error)) => {
                    tracing::debug!(%error, attempt, "a dead runner isn't retired yet");
                }
            }
            tokio::time::sleep(pause_before(attempt)).await;
        }
        Vec::new()
    }
}

fn told(item: &Tracked) -> String {
    format!("{} {} (lost {} times before)", item.task, item.id, item.record.losses)
}

/// The likely cause of a death that nothing in the process can tell of.
fn hint(status: ExitStatus) -> Option<&'static str> {
    #[cfg(unix)]
    if std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGKILL) {
        return Some(
            "it was killed with SIGKILL: if nobody did so, the kernel or the container has run out of memory; see the \
             kernel's log, lower `runner.concurrency`, or raise the memory limit",
        );
    }
    let _ = status;
    None
}

/// The pause after some deaths in a row.
fn pause_after(deaths: u32) -> Duration {
    let doublings = deaths.saturating_sub(1).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let pauses: Vec<_> = [1, 2, 3, 9, 10, 1000].map(|deaths| pause_after(deaths).as_millis()).into();
        assert_eq!(pauses, [100, 200, 400, 25_600, 30_000, 30_000]);
    }
}
