//! How a supervisor and its worker processes know of each other.

use std::io::BufRead;

use pynenc_core::RunnerId;

use crate::error::{Error, Result};
use crate::stop::{Stop, Stopper, stop_pair};

/// The variable that makes a process a worker: the supervisor's process, and the worker's identity.
const VARIABLE: &str = "PYNENC_WORKER_PROCESS";

/// What the supervisor writes to tell a worker to drain.
pub(super) const DRAIN: &[u8] = b"drain\n";
/// What the supervisor writes to tell a worker to stop.
pub(super) const NOW: &[u8] = b"now\n";

/// What makes this process a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    /// Under which identity it claims; its supervisor knows it, and so what died with it.
    pub(super) runner: RunnerId,
}

impl Role {
    /// The role that its supervisor gave this process. A variable that a worker's own child has inherited names the
    /// worker's parent, and gives no role.
    pub(super) fn of_this_process() -> Option<Self> {
        Self::parse(&std::env::var(VARIABLE).ok()?, parent())
    }

    fn parse(value: &str, parent: u32) -> Option<Self> {
        let (supervisor, runner) = value.split_once(':')?;
        let is_child = supervisor.parse() == Ok(parent);
        if is_child { Some(Self { runner: runner.parse().ok()? }) } else { None }
    }

    /// The variable for a worker of this process.
    pub(super) fn variable(runner: RunnerId) -> (&'static str, String) {
        (VARIABLE, format!("{}:{runner}", std::process::id()))
    }
}

#[cfg(unix)]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Elsewhere a process can't ask for its parent; the supervisor's own number is believed.
#[cfg(not(unix))]
fn parent() -> u32 {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    value.split_once(':').and_then(|(supervisor, _)| supervisor.parse().ok()).unwrap_or_default()
}

/// A stop that follows this process's own signals, and what its supervisor says.
pub(super) fn joined(own: Stop) -> Result<Stop> {
    let (stopper, stop) = stop_pair();
    tokio::spawn(follow(own, stopper.clone()));
    std::thread::Builder::new()
        .name("pynenc-control".to_owned())
        .spawn(move || obey(std::io::stdin().lock(), &stopper))
        .map_err(Error::other)?;
    Ok(stop)
}

async fn follow(mut own: Stop, stopper: Stopper) {
    own.draining().await;
    stopper.drain();
    own.now().await;
    stopper.now();
}

/// Does what is said until nobody is there to say anything: a worker without its supervisor drains.
fn obey(said: impl BufRead, stopper: &Stopper) {
    for line in said.lines().map_while(std::io::Result::ok) {
        match line.as_bytes() {
            line if line == NOW.trim_ascii_end() => stopper.now(),
            line if line == DRAIN.trim_ascii_end() => drain(stopper, "the supervisor stops"),
            _ => {}
        }
    }
    drain(stopper, "the supervisor is gone");
}

/// Tells afterwards that nothing more is claimed, so that whoever reads it can rely on it.
fn drain(stopper: &Stopper, why: &str) {
    stopper.drain();
    tracing::info!(process = std::process::id(), why, "this worker process claims nothing more");
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn a_role_is_for_the_supervisors_child_alone() {
        let runner = RunnerId::new();
        let value = format!("17:{runner}");
        assert_eq!(Role::parse(&value, 17), Some(Role { runner }));
        assert_eq!(Role::parse(&value, 18), None);
        assert_eq!(Role::parse("17", 17), None);
        assert_eq!(Role::parse("17:somebody", 17), None);
    }

    fn phases(said: &[u8]) -> (bool, bool) {
        let (stopper, mut stop) = stop_pair();
        obey(said, &stopper);
        (stop.is_draining(), stop.now().now_or_never().is_some())
    }

    #[test]
    fn a_worker_does_what_it_is_told_and_drains_when_its_supervisor_is_gone() {
        assert_eq!(phases(DRAIN), (true, false));
        assert_eq!(phases(&[DRAIN, NOW].concat()), (true, true));
        assert_eq!(phases(b"sing\n\xff"), (true, false));
    }
}
