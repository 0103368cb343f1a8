//! Tests that kill workers while they recover the work of others.

use pynenc::Reason;
use pynenc_testkit::{Fault, Proxy};
use pynenc_tests::worker_tasks::{WITHOUT_LEG, gated, leg};

use crate::fleet::{Fleet, Store, finished_once, on_each_store, record, result_of, times, until};

on_each_store! {
    only_one_of_many_workers_recovers_an_invocation,
}

/// Kills the worker that recovers an invocation when the recovery meets this fault. A third worker must finish the
/// invocation.
async fn is_recovered_once(fault: Fault) {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let mut lost = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    let proxy = Proxy::in_front_of(fleet.server());
    let mut recoverer = fleet.warm_worker_behind(&proxy, &app).await;
    proxy.once(invocation.id().as_bytes(), fault.clone());
    lost.kill9();
    until("another worker tries to recover the invocation", async || proxy.pending() == 0).await;
    if fault == Fault::StallReply {
        until("the invocation is recovered", async || record(&app, invocation.id()).await.record.losses == 1).await;
    }
    recoverer.kill9();
    let _third = fleet.worker();
    fleet.shared.open("a").unwrap();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = finished_once(&invocation).await;
    assert_eq!(times(&history, Reason::OwnerLost), 1, "{history:#?}");
    assert_eq!(fleet.ledger().count("begin a"), 2);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_recovery_interrupted_before_its_effect_is_done_by_another_worker() {
    is_recovered_once(Fault::Reply("-BUSY Redis is busy running a script.")).await;
}

#[tokio::test]
async fn a_recovery_interrupted_after_its_effect_isnt_repeated() {
    is_recovered_once(Fault::StallReply).await;
}

async fn only_one_of_many_workers_recovers_an_invocation(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    let mut lost = fleet.worker();
    fleet.ledger().reaches(8, "begin a").await;
    let _recoverers = [(); 4].map(|()| fleet.worker());
    lost.kill9();
    fleet.ledger().reaches(16, "begin a").await;
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 1);
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_runner_finds_its_host_name_without_the_hostname_variable() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker_where(&[("HOSTNAME", "")]);
    let runners = async || app.parts().orchestrator.runners().await.unwrap();
    until("the runner is registered", async || !runners().await.is_empty()).await;
    let host = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
    let expected = format!("{} process {}", String::from_utf8(host).unwrap().trim(), worker.id());
    assert_eq!(&*runners().await[0].description, expected);
}

#[tokio::test]
async fn calls_of_a_new_task_reach_the_only_worker_that_has_it() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let earlier: Vec<_> = (0..4).map(|_| fleet.worker_where(&[(WITHOUT_LEG, "yes")])).collect();
    until("the runners are registered", async || app.parts().orchestrator.runners().await.unwrap().len() == 4).await;
    let calls = app.submit_all((0..20).map(leg)).await.unwrap();
    until("each worker has claimed a call of the unknown task", async || {
        fleet.logs().iter().all(|(_, log)| log.contains("another runner may have the task"))
    })
    .await;
    let _later = fleet.worker();
    for (n, call) in calls.invocations().iter().enumerate() {
        assert_eq!(result_of(call).await.unwrap(), 10 * n as u64);
        let given_back = times(&finished_once(call).await, Reason::UnknownTask);
        assert!(given_back <= 8, "each worker without the task claims a call at most twice a minute: {given_back}");
    }
    for (name, log) in fleet.logs() {
        let warnings = log.lines().filter(|line| line.contains("another runner may have the task")).count();
        assert!(warnings <= 2, "{name} logs the unknown task once in 30 s: {log}");
    }
    drop(earlier);
    fleet.holds(&app).await;
}
