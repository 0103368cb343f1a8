//! What a worker process does when it is asked to end.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

struct Worker {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// A worker whose body naps, once it does.
    fn napping(seconds: u64, grace: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_napping-worker"))
            .arg(seconds.to_string())
            .env("PYNENC__RUNNER__SHUTDOWN_GRACE", grace)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut worker = Self { process, lines };
        assert_eq!(worker.line(), "napping");
        worker
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    fn ends_with(mut self, last_line: &str) {
        assert_eq!(self.line(), last_line);
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}

#[test]
fn the_first_signal_lets_a_body_end() {
    for signal in ["TERM", "INT"] {
        let worker = Worker::napping(1, "1h");
        worker.signal(signal);
        worker.ends_with("success (returned), 0 charged");
    }
}

#[test]
fn what_outlasts_the_grace_time_is_given_back_uncharged() {
    let worker = Worker::napping(3600, "100ms");
    worker.signal("TERM");
    worker.ends_with("rerouted (shutdown), 0 charged");
}

#[test]
fn a_second_signal_skips_the_grace_time() {
    let worker = Worker::napping(3600, "1h");
    worker.signal("TERM");
    worker.signal("INT");
    worker.ends_with("rerouted (shutdown), 0 charged");
}
