//! Workers whose link to the server is cut, stalled or slow.

use std::collections::BTreeSet;

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_testkit::{Fault, Flow, Proxy, Way};
use pynenc_tests::work::{gated, gated_for, noted};

use crate::fleet::{Fleet, ended_once, record, result_of, times, until};

#[tokio::test]
async fn a_worker_that_is_cut_off_ends_what_must_run_alone_and_comes_back_under_a_new_identity() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::before(&fleet.server);
    let _cut_off = fleet.worker_behind(&proxy);
    let alone = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    let beside = app.submit(gated("b".into())).await.unwrap();
    fleet.ledger().reaches(2, "begin").await;
    proxy.set_both(Flow::Stall);
    let mut other = fleet.worker();
    fleet.ledger().reaches(2, "begin account").await;
    fleet.ledger().reaches(2, "begin b").await;
    fleet.stage.open("a").unwrap();
    fleet.stage.open("b").unwrap();
    result_of(&alone).await.unwrap();
    result_of(&beside).await.unwrap();
    assert_eq!(fleet.ledger().count("end account"), 1, "the one that was cut off had ended by itself");
    let before = app.parts().orchestrator.runners().await.unwrap();
    proxy.set_both(Flow::Pass);
    other.kill9();
    let later = app.submit(noted("later".into())).await.unwrap();
    result_of(&later).await.unwrap();
    let runner = ended_once(&later).await.last().unwrap().runner.unwrap();
    assert!(before.iter().all(|known| known.id != runner), "a retired runner has a new identity");
    ended_once(&alone).await;
    ended_once(&beside).await;
    fleet.holds(&app).await;
}

/// Settings under which a lease is long against the machine's delays: an answer may take 2 s, and a heartbeat's 1 s.
const SURE_LEASE: [(&str, &str); 2] = [("RUNNER__LEASE", "6s"), ("REDIS__RESPONSE_TIMEOUT", "2s")];

/// Lets connections of a worker die without being closed while it runs a body: it replaces them before its lease is over,
/// and serves on under its identity.
async fn a_worker_survives(dead: impl Fn(&BTreeSet<String>) -> bool + Send + Sync + 'static) {
    let fleet = Fleet::new();
    let app = fleet.client_with(&SURE_LEASE).await;
    let proxy = Proxy::before(&fleet.server);
    let _worker = fleet.worker_behind_with(&proxy, &SURE_LEASE);
    let running = app.submit(gated("gate".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin gate").await;
    let runner = record(&app, running.id()).await.record.owner.unwrap();
    let begun = app.parts().orchestrator.runners().await.unwrap()[0].last_heartbeat;
    proxy.swallow(dead);
    // As long as a lease: a worker that doesn't notice is fenced by then.
    until("heartbeats go on", async || {
        let known = app.parts().orchestrator.runners().await.unwrap();
        known.iter().any(|known| known.id == runner && known.last_heartbeat.since(begun) > millis(7000))
    })
    .await;
    let later = app.submit(noted("later".into())).await.unwrap();
    result_of(&later).await.unwrap();
    fleet.stage.open("gate").unwrap();
    result_of(&running).await.unwrap();
    for history in [ended_once(&running).await, ended_once(&later).await] {
        assert_eq!(times(&history, Reason::OwnerLost), 0, "{history:#?}");
        assert!(history.iter().all(|entry| entry.runner.is_none_or(|by| by == runner)), "{history:#?}");
    }
    let log = fleet.logs().remove(0).1;
    assert!(!log.contains("the lease couldn't be renewed"), "{log}");
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_worker_replaces_a_dead_connection_for_commands() {
    a_worker_survives(|carried| carried.contains("FCALL")).await;
}

#[tokio::test]
async fn a_worker_replaces_a_dead_connection_for_heartbeats() {
    a_worker_survives(|carried| carried.contains("EVALSHA") && !carried.contains("FCALL")).await;
}

#[tokio::test]
async fn a_worker_replaces_a_dead_connection_that_it_waits_on() {
    a_worker_survives(|carried| carried.contains("BLPOP")).await;
}

#[tokio::test]
async fn a_worker_replaces_a_dead_connection_that_it_listens_on() {
    a_worker_survives(|carried| carried.contains("SUBSCRIBE")).await;
}

#[tokio::test]
async fn a_worker_replaces_all_of_its_dead_connections() {
    a_worker_survives(|_| true).await;
}

#[tokio::test]
async fn a_client_whose_connections_die_is_told_of_a_result_and_calls_again() {
    let fleet = Fleet::new();
    let proxy = Proxy::before(&fleet.server);
    let app = fleet.client_behind_with(&proxy, &SURE_LEASE).await;
    let _worker = fleet.worker_with(&SURE_LEASE);
    let running = app.submit(gated("gate".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin gate").await;
    let waiting = tokio::spawn({
        let running = running.clone();
        async move { result_of(&running).await }
    });
    let listeners = async || fleet.server.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    until("the worker and the client listen", async || listeners().await == 2).await;
    proxy.swallow(|_| true);
    fleet.stage.open("gate").unwrap();
    waiting.await.unwrap().unwrap();
    // A caller that gives up sooner than an answer may take isn't stuck with a dead connection.
    proxy.swallow(|_| true);
    until("a call arrives", async || {
        let call = app.submit(noted("later".into()).idempotency_key("later"));
        matches!(tokio::time::timeout(millis(100), call).await, Ok(Ok(_)))
    })
    .await;
}

#[tokio::test]
async fn replies_that_are_garbled_once_fail_no_call() {
    let fleet = Fleet::new();
    let [clients, workers] = [Proxy::before(&fleet.server), Proxy::before(&fleet.server)];
    let app = fleet.client_behind_with(&clients, &[]).await;
    let _worker = fleet.warm_worker_behind(&workers, &app).await;
    // Each waits for the one before it that is about the same command. What is asked again is left alone.
    for round in 0..60 {
        for command in [&b"FCALL"[..], b"EVALSHA", b"GET"] {
            clients.nth(2 + round % 3, command, Fault::GarbleReply);
            workers.nth(5 + round % 5, command, Fault::GarbleReply);
        }
    }
    let mut calls = 0;
    while clients.pending() > 120 || workers.pending() > 120 {
        let name = format!("call {calls}");
        let invocation = app.submit(noted(name.clone())).await.unwrap();
        assert_eq!(result_of(&invocation).await.unwrap(), name);
        ended_once(&invocation).await;
        calls += 1;
    }
    let app = fleet.client().await;
    assert_eq!(app.count(Status::Failed).await.unwrap(), 0);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_slow_link_costs_no_lease() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::before(&fleet.server);
    proxy.set_both(Flow::Delay { by: millis(50), jitter: millis(50) });
    let _worker = fleet.worker_behind(&proxy);
    let group = app.submit_all((0..40).map(|n| noted(n.to_string()))).await.unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&ended_once(invocation).await, Reason::OwnerLost), 0);
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn links_that_break_again_and_again_lose_nothing() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::before(&fleet.server);
    let _worker = fleet.worker_behind(&proxy);
    let group = app.submit_all((0..200).map(|n| noted(n.to_string()))).await.unwrap();
    for (number, flow) in
        [Flow::Trickle, Flow::CutAfter(3000), Flow::Pass, Flow::HalfClose, Flow::CutAfter(900)].into_iter().enumerate()
    {
        proxy.set(Way::ToClient, flow);
        fleet.ledger().reaches(1 + 30 * number.min(1), "end").await;
        proxy.reset();
        tokio::time::sleep(millis(100)).await;
        proxy.set(Way::ToClient, Flow::Pass);
    }
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        ended_once(invocation).await;
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_server_that_cuts_every_connection_and_forgets_its_scripts_loses_nothing() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _workers = [fleet.worker(), fleet.worker()];
    // One that can't reach its server when it starts ends with an error.
    until("both are there", async || app.parts().orchestrator.runners().await.unwrap().len() == 2).await;
    let mut submitted = Vec::new();
    for round in 0..20 {
        for n in 0..10 {
            let call = || noted(format!("{round}-{n}")).idempotency_key(format!("{round}-{n}"));
            let mut invocation = app.submit(call()).await;
            until("a client goes on too", async || {
                if invocation.is_err() {
                    invocation = app.submit(call()).await;
                }
                invocation.is_ok()
            })
            .await;
            submitted.push(invocation.unwrap());
        }
        fleet.server.kill_clients();
        fleet.server.script_flush();
        fleet.server.function_flush();
    }
    for invocation in &submitted {
        result_of(invocation).await.unwrap();
        ended_once(invocation).await;
    }
    assert_eq!(app.count(Status::Success).await.unwrap(), 200);
    fleet.holds(&app).await;
}
