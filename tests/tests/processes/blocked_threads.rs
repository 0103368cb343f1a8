//! Tests with task functions that block the threads that others need.

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::{blocks, id_of, ignores_its_limit, noted};

use crate::fleet::{Fleet, LEASE, finished_once, record, result_of, times, until};

/// Blocks this many of a worker's threads for three leases, and checks that the worker keeps its lease.
async fn keeps_its_lease(tasks: usize) {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker_where(&[("TOKIO_WORKER_THREADS", "2")]);
    let group = app.submit_all((0..tasks).map(|_| blocks("a".into()))).await.unwrap();
    fleet.ledger().reaches(tasks.min(2), "begin a").await;
    let blocked_at = last_beat(&app).await;
    let beats = async || last_beat(&app).await > blocked_at + LEASE * 3;
    until("heartbeats continue", beats).await;
    let why = app.why(group.invocations()[0].id()).await.unwrap().to_string();
    assert!(why.contains("the task function has been running for"), "{why}");
    let log = &fleet.logs()[0].1;
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("every thread is blocked")).collect();
    assert_eq!(warnings.len(), usize::from(tasks > 1), "{warnings:?}");
    assert!(warnings.iter().all(|line| line.contains(id_of::<blocks>().as_str())), "{warnings:?}");
    let _other = fleet.worker();
    let beside = app.submit(noted("beside".into())).await.unwrap();
    result_of(&beside).await.unwrap();
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 0);
        assert_eq!(record(&app, invocation.id()).await.record.starts, 1);
    }
    drop(worker);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_worker_with_one_blocked_thread_keeps_its_lease() {
    keeps_its_lease(1).await;
}

#[tokio::test]
async fn a_worker_whose_threads_are_all_blocked_keeps_its_lease_and_logs_a_warning() {
    keeps_its_lease(2).await;
}

async fn last_beat(app: &Pynenc) -> pynenc::core::Timestamp {
    let runners = app.parts().orchestrator.runners().await.unwrap();
    runners.iter().map(|runner| runner.last_heartbeat).min().unwrap()
}

#[tokio::test]
async fn a_worker_with_too_many_abandoned_threads_exits_and_another_runs_its_work() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let mut worn_out = fleet.worker_with(&[("RUNNER__MAX_ABANDONED_THREADS", "2")]);
    let ignoring = app.submit_all((0..2).map(|_| ignores_its_limit("never".into()))).await.unwrap();
    for invocation in ignoring.invocations() {
        let error = result_of(invocation).await.unwrap_err().to_string();
        assert!(error.ends_with("Timeout: ran longer than 200ms"), "{error}");
    }
    let runners = async || app.parts().orchestrator.runners().await.unwrap();
    until("the description counts the abandoned threads", async || {
        runners().await[0].description.ends_with("with 2 abandoned threads")
    })
    .await;
    result_of(&app.submit(noted("as before".into())).await.unwrap()).await.unwrap();
    let one_more = app.submit(ignores_its_limit("never".into())).await.unwrap();
    result_of(&one_more).await.unwrap_err();
    assert_eq!(worn_out.wait().unwrap().code(), Some(1), "the worker exits without its blocked threads");
    let log = &fleet.logs()[0].1;
    assert!(log.contains("claims nothing more") && log.contains("runner.max_abandoned_threads"), "{log}");
    let later = app.submit(noted("later".into())).await.unwrap();
    let _other = fleet.worker();
    result_of(&later).await.unwrap();
    fleet.holds(&app).await;
}
