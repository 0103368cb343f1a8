//! Bodies that block the threads on which others run.

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_tests::work::{blocks, id_of, ignores_its_limit, noted};

use crate::fleet::{Fleet, LEASE, ended_once, record, result_of, times, until};

/// Blocks so many of a worker's threads for three leases, and checks that nobody takes it for dead.
async fn keeps_its_lease(bodies: usize) {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker_where(&[("TOKIO_WORKER_THREADS", "2")]);
    let group = app.submit_all((0..bodies).map(|_| blocks("a".into()))).await.unwrap();
    fleet.ledger().reaches(bodies.min(2), "begin a").await;
    let blocked_at = last_beat(&app).await;
    let beats = async || last_beat(&app).await > blocked_at + LEASE * 3;
    until("heartbeats go on", beats).await;
    let why = app.why(group.invocations()[0].id()).await.unwrap().to_string();
    assert!(why.contains("its body has been running for"), "{why}");
    let log = &fleet.logs()[0].1;
    let told: Vec<_> = log.lines().filter(|line| line.contains("every thread is blocked")).collect();
    assert_eq!(told.len(), usize::from(bodies > 1), "{told:?}");
    assert!(told.iter().all(|line| line.contains(id_of::<blocks>().as_str())), "{told:?}");
    let _other = fleet.worker();
    let beside = app.submit(noted("beside".into())).await.unwrap();
    result_of(&beside).await.unwrap();
    fleet.stage.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&ended_once(invocation).await, Reason::OwnerLost), 0);
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
async fn a_worker_whose_threads_are_all_blocked_keeps_its_lease_and_says_so() {
    keeps_its_lease(2).await;
}

async fn last_beat(app: &Pynenc) -> pynenc::core::Timestamp {
    let runners = app.parts().orchestrator.runners().await.unwrap();
    runners.iter().map(|runner| runner.last_heartbeat).min().unwrap()
}

#[tokio::test]
async fn a_worker_whose_plain_bodies_keep_their_threads_ends_and_its_work_goes_on_elsewhere() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let mut worn_out = fleet.worker_with(&[("RUNNER__MAX_ABANDONED_THREADS", "2")]);
    let ignoring = app.submit_all((0..2).map(|_| ignores_its_limit("never".into()))).await.unwrap();
    for invocation in ignoring.invocations() {
        let error = result_of(invocation).await.unwrap_err().to_string();
        assert!(error.ends_with("Timeout: ran longer than 200ms"), "{error}");
    }
    let runners = async || app.parts().orchestrator.runners().await.unwrap();
    until("it tells of them", async || runners().await[0].description.ends_with("with 2 abandoned threads")).await;
    result_of(&app.submit(noted("as before".into())).await.unwrap()).await.unwrap();
    let one_more = app.submit(ignores_its_limit("never".into())).await.unwrap();
    result_of(&one_more).await.unwrap_err();
    assert_eq!(worn_out.wait().unwrap().code(), Some(1), "it doesn't wait for threads that never end");
    let log = &fleet.logs()[0].1;
    assert!(log.contains("nothing more is claimed") && log.contains("runner.max_abandoned_threads"), "{log}");
    let later = app.submit(noted("later".into())).await.unwrap();
    let _other = fleet.worker();
    result_of(&later).await.unwrap();
    fleet.holds(&app).await;
}
