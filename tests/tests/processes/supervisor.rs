//! Tests of a supervisor of worker processes.

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_tests::worker_tasks::{aborts, gated, id_of, is_killed, noted, overflows};

use crate::fleet::{Fleet, Store, finished_once, on_each_store, record, result_of, times, until};

on_each_store! {
    tasks_that_kill_their_processes_become_poison_pills_and_others_run,
    a_supervisor_recovers_a_dead_worker_before_its_lease_expires,
    workers_drain_when_their_supervisor_is_killed,
}

const SUPERVISED: &[(&str, &str)] =
    &[("RUNNER_CLS", "ProcessRunner"), ("RUNNER__NUM_PROCESSES", "2"), ("RUNNER__CONCURRENCY", "4")];

/// The process ids that task functions ran in.
fn processes(fleet: &Fleet) -> std::collections::BTreeSet<String> {
    fleet.ledger().lines().iter().filter_map(|line| line.split(' ').nth(2).map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_configured_number_of_processes_shares_the_work() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let supervisor = fleet.worker_with(SUPERVISED);
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    let processes = processes(&fleet);
    assert_eq!(processes.len(), 2);
    assert!(!processes.contains(&supervisor.id().to_string()));
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
    }
    fleet.holds(&app).await;
}

async fn tasks_that_kill_their_processes_become_poison_pills_and_others_run(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let _supervisor = fleet.worker_with(SUPERVISED);
    let killers = [
        (id_of::<aborts>(), app.submit(aborts()).await.unwrap().id()),
        (id_of::<overflows>(), app.submit(overflows()).await.unwrap().id()),
        (id_of::<is_killed>(), app.submit(is_killed()).await.unwrap().id()),
    ];
    let others = app.submit_all((0..50).map(|n| noted(n.to_string()))).await.unwrap();
    for invocation in others.invocations() {
        result_of(invocation).await.unwrap();
        finished_once(invocation).await;
        assert_eq!(record(&app, invocation.id()).await.record.retries, 0);
    }
    for (task, id) in &killers {
        let error = result_of(&app.invocation::<aborts>(*id)).await.unwrap_err();
        assert!(
            matches!(&error, Error::PoisonPill { detail, .. } if detail.contains("took down 3 runners")),
            "{error}"
        );
        finished_once(&app.invocation::<aborts>(*id)).await;
        assert_eq!(record(&app, *id).await.record.losses, 3);
        let name = task.as_str().rsplit("::").next().unwrap();
        // Beside another killer, it may be lost before its task function starts.
        assert!((1..=3).contains(&fleet.ledger().count(&format!("begin {name}"))), "{:#?}", fleet.ledger().lines());
        let (_, log) = &fleet.logs()[0];
        let is_named = log.lines().any(|line| line.contains("a worker process died") && line.contains(&id.to_string()));
        assert!(is_named, "{task} {id}: {log}");
    }
    let (_, log) = &fleet.logs()[0];
    let deaths: Vec<_> = log.lines().filter(|line| line.contains("a worker process died")).collect();
    let is_hinted = |line: &&str| line.contains("out of memory");
    assert!(
        deaths.iter().any(is_hinted) && !deaths.iter().all(is_hinted),
        "only a death by SIGKILL hints at a lack of memory: {deaths:#?}"
    );
    let after = app.submit(noted("after".into())).await.unwrap();
    result_of(&after).await.unwrap();
    fleet.holds(&app).await;
}

async fn a_supervisor_recovers_a_dead_worker_before_its_lease_expires(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    // The lease is so long that only the supervisor can recover the invocation in time.
    let patient = [SUPERVISED, &[("RUNNER__LEASE", "1h"), ("RUNNER__HEARTBEAT_INTERVAL", "1s")]].concat();
    let _supervisor = fleet.worker_with(&patient);
    let invocation = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    let process: u32 = processes(&fleet).first().unwrap().parse().unwrap();
    pynenc_testkit::signal(process, "KILL");
    fleet.ledger().reaches(2, "begin a").await;
    fleet.shared.open("a").unwrap();
    result_of(&invocation).await.unwrap();
    assert_eq!(times(&finished_once(&invocation).await, Reason::OwnerLost), 1);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn the_first_signal_drains_every_process_and_nothing_is_charged() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let mut supervisor = fleet.worker_with(SUPERVISED);
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    supervisor.signal("TERM");
    until("both processes drain", async || fleet.logs()[0].1.matches("claims nothing more").count() == 2).await;
    let waiting = app.submit(noted("waiting".into())).await.unwrap();
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
    }
    assert!(supervisor.wait().unwrap().success());
    assert_eq!(waiting.status().await.unwrap(), Status::Registered, "no more invocations are claimed");
    assert_eq!(fleet.ledger().count("begin a"), 8);
}

#[tokio::test]
async fn a_second_signal_gives_back_running_invocations() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let mut supervisor = fleet.worker_with(SUPERVISED);
    let invocation = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    supervisor.signal("TERM");
    supervisor.signal("INT");
    assert!(supervisor.wait().unwrap().success());
    let given_back = record(&app, invocation.id()).await.record;
    assert_eq!((given_back.status, given_back.reason), (Status::Rerouted, Reason::Shutdown));
    assert_eq!((given_back.losses, given_back.retries), (0, 0));
}

async fn workers_drain_when_their_supervisor_is_killed(store: Store) {
    let fleet = Fleet::over(store);
    let app = fleet.client().await;
    let mut supervisor = fleet.worker_with(SUPERVISED);
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    supervisor.kill9();
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
    }
    until("every worker has left", async || {
        app.parts().orchestrator.runners().await.unwrap().iter().all(|runner| runner.retired)
    })
    .await;
    assert_eq!(fleet.ledger().count("begin a"), 8, "the workers finished their tasks");
    fleet.holds(&app).await;
}
