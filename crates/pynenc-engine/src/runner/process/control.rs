//! Communication between a supervisor and its worker processes: an environment variable and standard input.

use std::io::BufRead;

use pynenc_core::RunnerId;

use crate::error::{Error, Result};
use crate::stop::{Stop, Stopper, stop_pair};

/// The environment variable that makes a process a worker: the supervisor's process id, the worker's
/// runner id, and its number.
const VARIABLE: &str = "PYNENC_WORKER_PROCESS";

/// The line by which the supervisor makes a worker drain.
pub(super) const DRAIN: &[u8] = b"drain\n";
/// The line by which the supervisor makes a worker stop.
pub(super) const NOW: &[u8] = b"now\n";

/// The role of this process as a worker of its supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Role {
    /// The identity under which the process claims. The supervisor chose it, so that it can find the invocations of a
    /// worker that died.
    pub(super) runner: RunnerId,
    /// The number of the worker among those of its supervisor, from 0. A replacement has the same number.
    pub(super) number: usize,
}

impl Role {
    /// The role that the supervisor gave this process. A child of a worker process inherits the variable but has no
    /// role, because its parent isn't the supervisor.
    pub(super) fn of_this_process() -> Option<Self> {
        Self::parse(&std::env::var(VARIABLE).ok()?, parent())
    }

    fn parse(value: &str, parent: u32) -> Option<Self> {
        let mut parts = value.split(':');
        let is_child = parts.next()?.parse() == Ok(parent);
        let role = Self { runner: parts.next()?.parse().ok()?, number: parts.next()?.parse().ok()? };
        is_child.then_some(role)
    }

    /// The name and value of the variable for a worker of this process that gets the role.
    pub(super) fn variable(self) -> (&'static str, String) {
        (VARIABLE, format!("{}:{}:{}", std::process::id(), self.runner, self.number))
    }
}

#[cfg(unix)]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

/// Other systems don't report a process's parent; the id in the variable is trusted.
#[cfg(not(unix))]
fn parent() -> u32 {
    let value = std::env::var(VARIABLE).unwrap_or_default();
    value.split_once(':').and_then(|(supervisor, _)| supervisor.parse().ok()).unwrap_or_default()
}

/// Joins this process's own stop signals with the commands of its supervisor.
pub(super) fn joined(own: Stop) -> Result<Stop> {
    let (stopper, stop) = stop_pair();
    tokio::spawn(forward_signals(own, stopper.clone()));
    std::thread::Builder::new()
        .name("pynenc-control".to_owned())
        .spawn(move || follow_commands(std::io::stdin().lock(), &stopper))
        .map_err(Error::other)?;
    Ok(stop)
}

async fn forward_signals(mut own: Stop, stopper: Stopper) {
    own.draining().await;
    stopper.drain();
    own.now().await;
    stopper.now();
}

/// Follows the supervisor's commands until its end of the pipe is closed. A worker without a supervisor drains.
fn follow_commands(commands: impl BufRead, stopper: &Stopper) {
    for line in commands.lines().map_while(std::io::Result::ok) {
        match line.as_bytes() {
            line if line == NOW.trim_ascii_end() => stopper.now(),
            line if line == DRAIN.trim_ascii_end() => drain(stopper, "the supervisor is stopping"),
            _ => {}
        }
    }
    drain(stopper, "the supervisor has exited");
}

/// Drains first and logs afterwards: once the line is in the log, nothing more is claimed.
fn drain(stopper: &Stopper, why: &str) {
    stopper.drain();
    tracing::info!(process = std::process::id(), why, "this worker process claims nothing more");
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn only_a_child_of_the_supervisor_has_a_role() {
        let runner = RunnerId::new();
        let value = format!("17:{runner}:3");
        assert_eq!(Role::parse(&value, 17), Some(Role { runner, number: 3 }));
        assert_eq!(Role::parse(&value, 18), None);
        assert_eq!(Role::parse("17", 17), None);
        assert_eq!(Role::parse("17:somebody:3", 17), None);
    }

    fn phases(commands: &[u8]) -> (bool, bool) {
        let (stopper, mut stop) = stop_pair();
        follow_commands(commands, &stopper);
        (stop.is_draining(), stop.now().now_or_never().is_some())
    }

    #[test]
    fn a_worker_follows_commands_and_drains_without_a_supervisor() {
        assert_eq!(phases(DRAIN), (true, false));
        assert_eq!(phases(&[DRAIN, NOW].concat()), (true, true));
        assert_eq!(phases(b"sing\n\xff"), (true, false));
    }
}
