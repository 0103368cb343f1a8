//! Tests that kill workers at every step of an invocation.

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_testkit::{Direction, Fault, Flow, Proxy};
use pynenc_tests::worker_tasks::{aborts, fails_first, gated, noted};

use crate::fleet::{Fleet, Store, finished_once, on_each_store, record, result_of, times, until};

on_each_store! {
    the_invocation_of_a_killed_worker_is_run_by_another,
    a_new_fleet_runs_the_invocations_of_a_killed_fleet,
    a_retry_survives_its_worker_and_runs_once_and_not_early,
    a_task_that_kills_its_process_charges_no_attempt_to_the_others,
}

async fn the_invocation_of_a_killed_worker_is_run_by_another(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let mut killed = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    killed.kill9();
    let _other = fleet.worker();
    fleet.ledger().reaches(2, "begin a").await;
    fleet.shared.open("a").unwrap();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = finished_once(&invocation).await;
    assert_eq!((times(&history, Reason::Claimed), times(&history, Reason::OwnerLost)), (2, 1));
    assert_eq!((fleet.ledger().count("begin a"), fleet.ledger().count("end a")), (2, 1));
    let record = record(&app, invocation.id()).await.record;
    assert_eq!((record.deliveries, record.losses, record.retries), (2, 1, 0));
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_claim_with_a_lost_reply_is_repeated_and_runs_once() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::in_front_of(fleet.server());
    let _worker = fleet.warm_worker_behind(&proxy, &app).await;
    let invocation = app.submit(noted("a".into()).delay(millis(300))).await.unwrap();
    proxy.once(invocation.id().as_bytes(), Fault::LoseReply);
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    assert_eq!(proxy.pending(), 0, "the claim's reply is lost");
    finished_once(&invocation).await;
    let record = record(&app, invocation.id()).await.record;
    assert_eq!((record.deliveries, record.losses, record.retries), (1, 0, 0));
    assert_eq!(fleet.ledger().count("begin a"), 1);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_worker_killed_between_claim_and_start_charges_no_attempt() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::in_front_of(fleet.server());
    let mut killed = fleet.warm_worker_behind(&proxy, &app).await;
    let invocation = app.submit(noted("a".into()).delay(millis(300))).await.unwrap();
    proxy.once(invocation.id().as_bytes(), Fault::StallReply);
    until("the claim is made", async || record(&app, invocation.id()).await.record.deliveries == 1).await;
    killed.kill9();
    let _other = fleet.worker();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    finished_once(&invocation).await;
    assert_eq!(record(&app, invocation.id()).await.record.retries, 0);
    assert_eq!(fleet.ledger().count("begin a"), 1, "the task function had not started");
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_worker_killed_before_its_commit_leaves_one_result_of_two_runs() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::in_front_of(fleet.server());
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let mut killed = fleet.worker_behind(&proxy);
    fleet.ledger().reaches(1, "begin a").await;
    proxy.set(Direction::ToServer, Flow::Stall);
    fleet.shared.open("a").unwrap();
    fleet.ledger().reaches(1, "end a").await;
    killed.kill9();
    let _other = fleet.worker();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = finished_once(&invocation).await;
    assert_eq!((times(&history, Reason::OwnerLost), fleet.ledger().count("end a")), (1, 2));
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_commit_with_a_lost_reply_takes_effect() {
    for is_killed in [true, false] {
        let fleet = Fleet::new();
        let app = fleet.client().await;
        let proxy = Proxy::in_front_of(fleet.server());
        let mut worker = fleet.warm_worker_behind(&proxy, &app).await;
        let invocation = app.submit(gated("a".into())).await.unwrap();
        fleet.ledger().reaches(1, "begin a").await;
        proxy.once(invocation.id().as_bytes(), Fault::LoseReply);
        fleet.shared.open("a").unwrap();
        assert_eq!(result_of(&invocation).await.unwrap(), "a");
        assert_eq!(proxy.pending(), 0, "the commit's reply is lost");
        if is_killed {
            worker.kill9();
        }
        let _other = fleet.worker();
        let later = app.submit(noted("later".into())).await.unwrap();
        result_of(&later).await.unwrap();
        finished_once(&invocation).await;
        assert_eq!(fleet.ledger().count("begin a"), 1, "killed: {is_killed}");
        fleet.holds(&app).await;
    }
}

async fn a_new_fleet_runs_the_invocations_of_a_killed_fleet(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let group = app.submit_all((0..24).map(|_| gated("a".into()))).await.unwrap();
    let mut killed = [fleet.worker(), fleet.worker()];
    fleet.ledger().reaches(16, "begin a").await;
    killed.iter_mut().for_each(pynenc_testkit::TestProcess::kill9);
    fleet.shared.open("a").unwrap();
    let _next = fleet.worker();
    for invocation in group.invocations() {
        assert_eq!(result_of(invocation).await.unwrap(), "a");
        finished_once(invocation).await;
    }
    assert_eq!(fleet.ledger().count("begin a"), 16 + 24);
    fleet.holds(&app).await;
}

async fn a_retry_survives_its_worker_and_runs_once_and_not_early(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let invocation = app.submit(fails_first("a".into())).await.unwrap();
    let mut killed = fleet.worker();
    until("the first attempt has failed", async || record(&app, invocation.id()).await.record.status == Status::Retry)
        .await;
    killed.kill9();
    let _next = [fleet.worker(), fleet.worker()];
    assert_eq!(result_of(&invocation).await.unwrap(), 2);
    let history = finished_once(&invocation).await;
    assert_eq!(fleet.ledger().count("begin a"), 2);
    let at = |status: Status| history.iter().rfind(|entry| entry.status == status).unwrap().at;
    assert!(at(Status::Pending).since(at(Status::Retry)) >= millis(1500), "{history:#?}");
    fleet.holds(&app).await;
}

async fn a_task_that_kills_its_process_charges_no_attempt_to_the_others(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let (gate, settings) =
        ("a", [("RUNNER_CLS", "ProcessRunner"), ("RUNNER__NUM_PROCESSES", "1"), ("RUNNER__CONCURRENCY", "64")]);
    let others = app.submit_all((0..63).map(|_| gated(gate.into()))).await.unwrap();
    let killer = app.submit(aborts()).await.unwrap();
    let _worker = fleet.worker_with(&settings);
    fleet.ledger().reaches(2, "begin aborts").await;
    fleet.shared.open(gate).unwrap();
    let error = result_of(&killer).await.unwrap_err();
    assert!(matches!(&error, Error::PoisonPill { .. }), "{error}");
    for invocation in others.invocations() {
        assert_eq!(result_of(invocation).await.unwrap(), gate);
        finished_once(invocation).await;
        assert_eq!(record(&app, invocation.id()).await.record.retries, 0);
    }
    fleet.holds(&app).await;
}
