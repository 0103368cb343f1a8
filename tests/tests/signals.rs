//! Tests that signal worker processes.

#![cfg(unix)]
use std::process::Command;

use pynenc_testkit::TestProcess;

/// Starts a worker and waits until its task sleeps.
fn sleeping_worker(seconds: u64, grace: &str) -> TestProcess {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sleeping-worker"));
    let mut worker = TestProcess::start(command.arg(seconds.to_string()).env("PYNENC__RUNNER__SHUTDOWN_GRACE", grace));
    worker.wait_for_stdout("sleeping\n");
    worker
}

/// Checks that a worker exits with success after it has printed this status.
fn check_status(mut worker: TestProcess, status: &str) {
    worker.wait_for_success();
    assert_eq!(worker.stdout().lines().last(), Some(status));
}

#[test]
fn the_first_signal_lets_a_task_finish() {
    for signal in ["TERM", "INT"] {
        let worker = sleeping_worker(1, "1h");
        worker.signal(signal);
        check_status(worker, "success (returned), 0 charged");
    }
}

#[test]
fn a_task_beyond_the_grace_time_is_given_back_uncharged() {
    let worker = sleeping_worker(3600, "100ms");
    worker.signal("TERM");
    check_status(worker, "rerouted (shutdown), 0 charged");
}

#[test]
fn a_second_signal_skips_the_grace_time() {
    let worker = sleeping_worker(3600, "1h");
    worker.signal("TERM");
    worker.signal("INT");
    check_status(worker, "rerouted (shutdown), 0 charged");
}
