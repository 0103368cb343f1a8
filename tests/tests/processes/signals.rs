//! Tests that signal workers while their server is down.

use std::time::{Duration, Instant};

use pynenc_testkit::TestProcess;
use pynenc_tests::worker_tasks::{gated, noted};

use crate::fleet::{Fleet, result_of};

const GRACE: &[(&str, &str)] = &[("RUNNER__SHUTDOWN_GRACE", "500ms")];
/// The grace time, and the longest time for a worker to give up on its server.
const BOUND: Duration = Duration::from_secs(14);

/// Waits until a process exits by itself.
async fn exits(mut process: TestProcess, what: &str) -> TestProcess {
    let signaled = Instant::now();
    let what = what.to_owned();
    let waited = tokio::task::spawn_blocking(move || {
        while process.is_running() {
            assert!(signaled.elapsed() < BOUND, "{what}: the process still runs after {BOUND:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    });
    waited.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signaled_worker_exits_while_its_server_is_down() {
    let mut fleets = [Fleet::new(), Fleet::new(), Fleet::new()];
    let mut exiting = Vec::new();
    for (fleet, case) in fleets.iter_mut().zip(["idle", "busy", "with an outcome"]) {
        let app = fleet.client().await;
        let worker = fleet.worker_with(GRACE);
        result_of(&app.submit(noted("warm".into())).await.unwrap()).await.unwrap();
        if case != "idle" {
            app.submit(gated("a".into())).await.unwrap();
            fleet.ledger().reaches(1, "begin a").await;
        }
        fleet.server_mut().kill9();
        if case == "with an outcome" {
            fleet.shared.open("a").unwrap();
            fleet.ledger().reaches(1, "end a").await;
        }
        worker.signal("TERM");
        exiting.push(exits(worker, case));
    }
    for mut process in futures_util::future::join_all(exiting).await {
        assert!(process.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_a_worker_whose_server_is_paused() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker_with(&[("RUNNER__SHUTDOWN_GRACE", "1h")]);
    let invocation = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    fleet.server().pause();
    worker.signal("TERM");
    worker.signal("INT");
    let mut process = exits(worker, "a stalled server").await;
    assert!(process.wait().unwrap().success());
    fleet.server().resume();
    let _other = fleet.worker();
    fleet.shared.open("a").unwrap();
    result_of(&invocation).await.unwrap();
    fleet.holds(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_runs_again_after_sigquit_killed_its_worker() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker();
    let invocation = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    worker.signal("QUIT");
    let mut process = exits(worker, "SIGQUIT").await;
    assert!(!process.wait().unwrap().success(), "the worker doesn't handle SIGQUIT");
    let _other = fleet.worker();
    fleet.shared.open("a").unwrap();
    result_of(&invocation).await.unwrap();
    fleet.holds(&app).await;
}
