//! Those who recover the work of others, killed while they do.

use pynenc::Reason;
use pynenc_testkit::{Fault, Proxy};
use pynenc_tests::work::{WITHOUT_LEG, gated, leg};

use crate::fleet::{Fleet, ended_once, record, result_of, times, until};

/// Kills who recovers an invocation once the recovery met this, and checks that a third one brings it to its end.
async fn is_recovered_once(fault: Fault) {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let mut lost = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    let proxy = Proxy::before(&fleet.server);
    let mut reaper = fleet.warm_worker_behind(&proxy, &app).await;
    proxy.once(invocation.id().as_bytes(), fault.clone());
    lost.kill9();
    until("somebody recovers it", async || proxy.pending() == 0).await;
    if fault == Fault::StallReply {
        until("it is recovered", async || record(&app, invocation.id()).await.record.losses == 1).await;
    }
    reaper.kill9();
    let _third = fleet.worker();
    fleet.stage.open("a").unwrap();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = ended_once(&invocation).await;
    assert_eq!(times(&history, Reason::OwnerLost), 1, "{history:#?}");
    assert_eq!(fleet.ledger().count("begin a"), 2);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn who_is_killed_before_its_recovery_takes_effect_leaves_it_to_another() {
    is_recovered_once(Fault::Answer("-BUSY Redis is busy running a script.")).await;
}

#[tokio::test]
async fn who_is_killed_after_its_recovery_took_effect_leaves_nothing_to_be_done_twice() {
    is_recovered_once(Fault::StallReply).await;
}

#[tokio::test]
async fn of_many_who_would_recover_it_one_does() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    let mut lost = fleet.worker();
    fleet.ledger().reaches(8, "begin a").await;
    let _reapers = [(); 4].map(|()| fleet.worker());
    lost.kill9();
    fleet.ledger().reaches(16, "begin a").await;
    fleet.stage.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&ended_once(invocation).await, Reason::OwnerLost), 1);
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_runner_names_its_host_where_the_shell_exports_no_name() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker_where(&[("HOSTNAME", "")]);
    let runners = async || app.parts().orchestrator.runners().await.unwrap();
    until("it is there", async || !runners().await.is_empty()).await;
    let host = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
    let expected = format!("{} process {}", String::from_utf8(host).unwrap().trim(), worker.id());
    assert_eq!(&*runners().await[0].description, expected);
}

#[tokio::test]
async fn calls_of_a_task_that_most_workers_dont_have_yet_find_the_one_that_has_it() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let earlier: Vec<_> = (0..4).map(|_| fleet.worker_where(&[(WITHOUT_LEG, "yes")])).collect();
    until("they are there", async || app.parts().orchestrator.runners().await.unwrap().len() == 4).await;
    let calls = app.submit_all((0..20).map(leg)).await.unwrap();
    until("each has met the task", async || {
        fleet.logs().iter().all(|(_, log)| log.contains("another runner may have the task"))
    })
    .await;
    let _later = fleet.worker();
    for (n, call) in calls.invocations().iter().enumerate() {
        assert_eq!(result_of(call).await.unwrap(), 10 * n as u64);
        let given_back = times(&ended_once(call).await, Reason::UnknownTask);
        assert!(given_back <= 8, "once in 30 s by each worker without the task: {given_back}");
    }
    for (name, log) in fleet.logs() {
        let told = log.lines().filter(|line| line.contains("another runner may have the task")).count();
        assert!(told <= 2, "{name} tells of it once in 30 s: {log}");
    }
    drop(earlier);
    fleet.holds(&app).await;
}
