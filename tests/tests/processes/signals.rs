//! Workers that are told to stop while their server is away.

use std::time::{Duration, Instant};

use pynenc_testkit::TestProcess;
use pynenc_tests::work::{gated, noted};

use crate::fleet::{Fleet, result_of};

const GRACE: &[(&str, &str)] = &[("RUNNER__SHUTDOWN_GRACE", "500ms")];
/// The grace time, and what a worker that can't reach its server has for its last words.
const BOUND: Duration = Duration::from_secs(14);

/// Waits for the end of a process, which must come by itself.
async fn ends(mut process: TestProcess, what: &str) -> TestProcess {
    let told = Instant::now();
    let what = what.to_owned();
    let waited = tokio::task::spawn_blocking(move || {
        while process.is_running() {
            assert!(told.elapsed() < BOUND, "{what}: it still runs");
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    });
    waited.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ends_when_it_is_told_to_though_its_server_is_away() {
    let mut fleets = [Fleet::new(), Fleet::new(), Fleet::new()];
    let mut endings = Vec::new();
    for (fleet, case) in fleets.iter_mut().zip(["idle", "busy", "with an outcome"]) {
        let app = fleet.client().await;
        let worker = fleet.worker_with(GRACE);
        result_of(&app.submit(noted("warm".into())).await.unwrap()).await.unwrap();
        if case != "idle" {
            app.submit(gated("a".into())).await.unwrap();
            fleet.ledger().reaches(1, "begin a").await;
        }
        fleet.server.kill9();
        if case == "with an outcome" {
            fleet.stage.open("a").unwrap();
            fleet.ledger().reaches(1, "end a").await;
        }
        worker.signal("TERM");
        endings.push(ends(worker, case));
    }
    for mut process in futures_util::future::join_all(endings).await {
        assert!(process.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_worker_whose_server_stands_still() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker_with(&[("RUNNER__SHUTDOWN_GRACE", "1h")]);
    let invocation = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    fleet.server.pause();
    worker.signal("TERM");
    worker.signal("INT");
    let mut process = ends(worker, "a stalled server").await;
    assert!(process.wait().unwrap().success());
    fleet.server.resume();
    let _other = fleet.worker();
    fleet.stage.open("a").unwrap();
    result_of(&invocation).await.unwrap();
    fleet.holds(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_had_is_run_again_whatever_the_signal() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker();
    let invocation = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    worker.signal("QUIT");
    let mut process = ends(worker, "SIGQUIT").await;
    assert!(!process.wait().unwrap().success(), "nobody catches it");
    let _other = fleet.worker();
    fleet.stage.open("a").unwrap();
    result_of(&invocation).await.unwrap();
    fleet.holds(&app).await;
}
