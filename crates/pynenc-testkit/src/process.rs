//! Processes of a test, and what can be done to them.

use std::io;
use std::process::{Child, Command, ExitStatus};

/// A child process that is killed when it is dropped.
#[derive(Debug)]
pub struct TestProcess(Child);

impl TestProcess {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// The program can't be started.
    pub fn start(command: &mut Command) -> Self {
        let started = command.spawn();
        Self(started.unwrap_or_else(|error| panic!("{} can't be started: {error}", command.get_program().display())))
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills it, without a chance to do anything, and waits until it is gone.
    pub fn kill9(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }

    /// Stops it where it stands.
    pub fn pause(&self) {
        signal(self.id(), "STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal(self.id(), "CONT");
    }

    /// Sends it a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Whether it hasn't ended yet.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// It can't be waited for.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Sends a signal to a process, by its name without `SIG`.
///
/// # Panics
///
/// There is no such process, or no such signal.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "process {process} may be sent {name}");
}
