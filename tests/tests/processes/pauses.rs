//! Tests that pause workers and servers.

use std::collections::BTreeSet;

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::{gated, gated_for, noted};

use crate::fleet::{Fleet, LEASE, Store, finished_once, on_each_store, record, result_of, times, until};

on_each_store! {
    a_paused_worker_loses_its_claim_and_commits_nothing_when_resumed,
    a_store_that_stands_still_for_two_leases_causes_no_second_run,
    a_lost_slot_holder_frees_its_slot,
}

async fn a_paused_worker_loses_its_claim_and_commits_nothing_when_resumed(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let stopped = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    fleet.pause(&stopped).await;
    let mut other = fleet.worker();
    fleet.ledger().reaches(2, "begin a").await;
    fleet.shared.open("a").unwrap();
    result_of(&invocation).await.unwrap();
    let history = finished_once(&invocation).await;
    stopped.resume();
    // The resumed worker gets a new identity, and its commit is refused.
    other.kill9();
    let later = app.submit(noted("later".into())).await.unwrap();
    result_of(&later).await.unwrap();
    assert_eq!(finished_once(&invocation).await, history);
    let runners: BTreeSet<_> = history.iter().filter_map(|entry| entry.runner).collect();
    let now = finished_once(&later).await.last().unwrap().runner;
    assert!(now.is_some_and(|now| !runners.contains(&now)), "{now:?} of {runners:?}");
    fleet.holds(&app).await;
}

async fn a_store_that_stands_still_for_two_leases_causes_no_second_run(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let _workers = [fleet.worker(), fleet.worker()];
    let group = app.submit_all((0..16).map(|_| gated("a".into()))).await.unwrap();
    let alone = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    fleet.ledger().reaches(16, "begin a ").await;
    let stall = fleet.stall();
    tokio::time::sleep(LEASE * 2).await;
    drop(stall);
    let later = app.submit(noted("later".into()).delay(LEASE * 2)).await.unwrap();
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 0);
    }
    result_of(&alone).await.unwrap();
    result_of(&later).await.unwrap();
    assert_eq!(fleet.ledger().count("begin a "), 16, "{:#?}", fleet.ledger().lines());
    fleet.holds(&app).await;
}

#[tokio::test]
async fn workers_continue_after_a_killed_server_restarts() {
    let mut fleet = Fleet::new();
    fleet.server().config_set("appendfsync", "always");
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let before = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    let waiting = app.submit(noted("waiting".into()).delay(secs(1))).await.unwrap();
    fleet.server_mut().kill9();
    fleet.shared.open("a").unwrap();
    let refused = app.submit(noted("refused".into())).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { retryable: true, .. }), "{refused}");
    fleet.server_mut().restart();
    assert_eq!(result_of(&before).await.unwrap(), "a");
    assert_eq!(result_of(&waiting).await.unwrap(), "waiting");
    finished_once(&before).await;
    assert_eq!(fleet.ledger().count("begin a"), 1);
    fleet.holds(&app).await;
}

async fn a_lost_slot_holder_frees_its_slot(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let first = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    let mut killed = fleet.worker();
    fleet.ledger().reaches(1, "begin account").await;
    let second = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    until("the second invocation is parked", async || {
        record(&app, second.id()).await.record.status == Status::ConcurrencyControlled
    })
    .await;
    killed.kill9();
    let _other = fleet.worker();
    fleet.shared.open("a").unwrap();
    result_of(&first).await.unwrap();
    result_of(&second).await.unwrap();
    let lines = fleet.ledger().lines();
    let last_four: Vec<_> = lines.iter().rev().take(4).map(|line| line.starts_with("end")).collect();
    assert_eq!(last_four, [true, false, true, false], "one at a time: {lines:#?}");
    fleet.holds(&app).await;
}
