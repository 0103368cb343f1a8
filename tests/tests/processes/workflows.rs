//! Tests of workflows whose workers are killed at every step, paused, or replaced by another version.

use std::collections::BTreeSet;

use pynenc::Reason;
use pynenc::core::orchestrator::Find;
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::{VERSION, id_of, journey, leg, versioned};

use crate::fleet::{Fleet, LEASE, Store, finished_once, on_each_store, result_of, times, until};

on_each_store! {
    a_workflow_gives_the_same_result_when_workers_are_killed_at_every_step,
    workers_killed_at_any_time_dont_change_results,
    a_paused_worker_appends_nothing_when_resumed,
    a_changed_version_reports_the_mismatch_and_the_old_version_continues,
}

/// The number of gates in `journey`.
const STOPS: u64 = 9;

async fn legs(app: &Pynenc) -> usize {
    let find = Find { task: Some(id_of::<leg>()), limit: 100, ..Find::default() };
    app.parts().orchestrator.find(&find).await.unwrap().items.len()
}

/// Emits the event of `journey` when the run is suspended for it.
async fn emits_event(app: &Pynenc, invocation: &Invocation<journey>, fleet: &Fleet) {
    until("the journey waits for its event", async || {
        let record = app.status(invocation.id()).await.unwrap();
        fleet.ledger().count("at 7") > 0 && record.reason == Reason::Suspended
    })
    .await;
    app.emit_event("go on", &42).await.unwrap();
}

async fn check_result(app: &Pynenc, invocation: &Invocation<journey>) {
    let value = result_of(invocation).await.unwrap();
    let steps = app.workflows().journal(invocation.id()).await.unwrap();
    let chance = steps[0].value.as_f64().unwrap() * 1000.0;
    assert_eq!(value, [chance as u64, 10, 7, 20, 30, 42, 10]);
    let positions: BTreeSet<_> = steps.iter().map(|step| step.position.as_str()).collect();
    assert_eq!((positions.len(), steps.len()), (8, 8), "{steps:#?}");
    assert_eq!(legs(app).await, 3, "no child is submitted twice");
    finished_once(invocation).await;
}

async fn a_workflow_gives_the_same_result_when_workers_are_killed_at_every_step(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let invocation = app.submit(journey()).await.unwrap();
    for stop in 1..=STOPS {
        let mut killed = fleet.worker_with(&[("RUNNER__POISON_LOSSES", "100")]);
        if stop == 8 {
            emits_event(&app, &invocation, &fleet).await;
        }
        fleet.ledger().reaches(1, &format!("at {stop} ")).await;
        killed.kill9();
        fleet.shared.open(&stop.to_string()).unwrap();
    }
    let _last = fleet.worker_with(&[("RUNNER__POISON_LOSSES", "100")]);
    check_result(&app, &invocation).await;
    let history = invocation.history().await.unwrap();
    let (lost, retries) = (times(&history, Reason::OwnerLost), app.status(invocation.id()).await.unwrap().retries);
    assert!(lost >= 7 && retries == 0, "{history:#?}");
    assert_eq!(fleet.ledger().count("step noted"), 1);
    assert!((1..=3).all(|n| fleet.ledger().count(&format!("leg {n} ")) == 1), "{:#?}", fleet.ledger().lines());
    fleet.holds(&app).await;
}

async fn workers_killed_at_any_time_dont_change_results(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    fleet.shared.open("all").unwrap();
    let journeys = app.submit_all((0..20).map(|_| journey())).await.unwrap();
    for round in 0..6_u64 {
        let mut workers = [(); 2].map(|()| fleet.worker_with(&[("RUNNER__POISON_LOSSES", "100")]));
        tokio::time::sleep(millis(150 + 80 * round)).await;
        if round == 4 {
            app.emit_event("go on", &42).await.unwrap();
        }
        workers.iter_mut().for_each(pynenc_testkit::TestProcess::kill9);
    }
    let _last = fleet.worker_with(&[("RUNNER__POISON_LOSSES", "100")]);
    for invocation in journeys.invocations() {
        let value = result_of(invocation).await.unwrap();
        assert_eq!(value[1..], [10, 7, 20, 30, 42, 10]);
        finished_once(invocation).await;
    }
    assert_eq!(legs(&app).await, 60, "no child is submitted twice");
    fleet.holds(&app).await;
}

async fn a_paused_worker_appends_nothing_when_resumed(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let invocation = app.submit(journey()).await.unwrap();
    let stopped = fleet.worker();
    fleet.shared.open("1").unwrap();
    fleet.ledger().reaches(1, "at 2 ").await;
    fleet.pause(&stopped).await;
    let other = fleet.worker();
    tokio::time::sleep(LEASE).await;
    fleet.ledger().reaches(2, "at 2 ").await;
    fleet.pause(&other).await;
    // Both workers are before the second operation. The replaced one continues alone.
    stopped.resume();
    fleet.shared.open("2").unwrap();
    tokio::time::sleep(millis(500)).await;
    assert_eq!(app.workflows().journal(invocation.id()).await.unwrap().len(), 1);
    other.resume();
    fleet.shared.open("all").unwrap();
    emits_event(&app, &invocation, &fleet).await;
    check_result(&app, &invocation).await;
    fleet.holds(&app).await;
}

async fn a_changed_version_reports_the_mismatch_and_the_old_version_continues(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let invocation = app.submit(versioned()).await.unwrap();
    let mut earlier = fleet.worker();
    until("two operations are recorded", async || {
        app.workflows().journal(invocation.id()).await.is_ok_and(|steps| steps.len() == 2)
    })
    .await;
    earlier.kill9();
    let mut later = fleet.worker_where(&[(VERSION, "2")]);
    let error = result_of(&invocation).await.unwrap_err();
    let Error::NonDeterminism { mismatch, .. } = error else { panic!("{error}") };
    assert_eq!((mismatch.position.as_str(), mismatch.found.as_str()), ("2", "step `added`"));
    later.kill9();
    let _earlier = fleet.worker();
    fleet.shared.open("versioned").unwrap();
    let retried = app.invocation::<versioned>(app.retry(invocation.id()).await.unwrap());
    assert_eq!(result_of(&retried).await.unwrap(), 30);
    assert_eq!(legs(&app).await, 2);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_workflow_leaves_no_keys_after_its_retention() {
    let fleet = Fleet::new();
    let settings = [
        ("RETENTION__RESULTS", "1s"),
        ("RETENTION__FAILURES", "1s"),
        ("RETENTION__INTERVAL", "200ms"),
        ("TRIGGERS__RETENTION", "1s"),
    ];
    let app = fleet.client_with(&settings).await;
    fleet.shared.open("all").unwrap();
    let _worker = fleet.worker_with(&settings);
    let keys = || fleet.server().command(&["DBSIZE"]).trim().parse::<usize>().unwrap();
    result_of(&app.submit(leg(1)).await.unwrap()).await.unwrap();
    let successes = async || app.count(Status::Success).await.unwrap();
    until("the first invocation is forgotten", async || successes().await == 0).await;
    let before = keys();
    let journeys = app.submit_all((0..5).map(|_| journey())).await.unwrap();
    emits_event(&app, &journeys.invocations()[0], &fleet).await;
    until("all workflows are finished and forgotten", async || {
        successes().await == 0 && app.count(Status::Scheduled).await.unwrap() == 0
    })
    .await;
    // Counters of events and heaps remain, whatever the number of workflows.
    until("no other key is left", async || keys() <= before + 5).await;
}
