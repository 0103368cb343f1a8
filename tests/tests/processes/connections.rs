//! Tests with links to the server that are cut, stalled or slow.

use std::collections::BTreeSet;

use pynenc::Reason;
use pynenc::prelude::*;
use pynenc_testkit::{Direction, Fault, Flow, Proxy};
use pynenc_tests::worker_tasks::{gated, gated_for, noted};

use crate::fleet::{Fleet, finished_once, record, result_of, times, until};

#[tokio::test]
async fn a_disconnected_worker_stops_limited_tasks_and_returns_under_a_new_identity() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::in_front_of(fleet.server());
    let _cut_off = fleet.worker_behind(&proxy);
    let alone = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    let beside = app.submit(gated("b".into())).await.unwrap();
    fleet.ledger().reaches(2, "begin").await;
    proxy.set_both(Flow::Stall);
    let mut other = fleet.worker();
    fleet.ledger().reaches(2, "begin account").await;
    fleet.ledger().reaches(2, "begin b").await;
    fleet.shared.open("a").unwrap();
    fleet.shared.open("b").unwrap();
    result_of(&alone).await.unwrap();
    result_of(&beside).await.unwrap();
    assert_eq!(fleet.ledger().count("end account"), 1, "the disconnected worker stopped its task");
    let before = app.parts().orchestrator.runners().await.unwrap();
    proxy.set_both(Flow::Pass);
    other.kill9();
    let later = app.submit(noted("later".into())).await.unwrap();
    result_of(&later).await.unwrap();
    let runner = finished_once(&later).await.last().unwrap().runner.unwrap();
    assert!(before.iter().all(|known| known.id != runner), "a retired runner has a new identity");
    finished_once(&alone).await;
    finished_once(&beside).await;
    fleet.holds(&app).await;
}

/// Settings with a lease that is long compared with the machine's delays. Replies may take 2 s, and those of heartbeats
/// 1 s.
const SURE_LEASE: [(&str, &str); 2] = [("RUNNER__LEASE", "6s"), ("REDIS__RESPONSE_TIMEOUT", "2s")];

/// Blackholes connections of a worker while it runs a task. The worker replaces them before its lease expires, and
/// keeps its identity.
async fn a_worker_survives(dead: impl Fn(&BTreeSet<String>) -> bool + Send + Sync + 'static) {
    let fleet = Fleet::new();
    let app = fleet.client_with(&SURE_LEASE).await;
    let proxy = Proxy::in_front_of(fleet.server());
    let _worker = fleet.worker_behind_with(&proxy, &SURE_LEASE);
    let running = app.submit(gated("gate".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin gate").await;
    let runner = record(&app, running.id()).await.record.owner.unwrap();
    let begun = app.parts().orchestrator.runners().await.unwrap()[0].last_heartbeat;
    proxy.blackhole(dead);
    // Longer than a lease. A worker that doesn't notice the dead connections is fenced by then.
    until("heartbeats continue", async || {
        let known = app.parts().orchestrator.runners().await.unwrap();
        known.iter().any(|known| known.id == runner && known.last_heartbeat.since(begun) > millis(7000))
    })
    .await;
    let later = app.submit(noted("later".into())).await.unwrap();
    result_of(&later).await.unwrap();
    fleet.shared.open("gate").unwrap();
    result_of(&running).await.unwrap();
    for history in [finished_once(&running).await, finished_once(&later).await] {
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
async fn a_worker_replaces_a_dead_connection_of_a_blocking_pop() {
    a_worker_survives(|carried| carried.contains("BLPOP")).await;
}

#[tokio::test]
async fn a_worker_replaces_a_dead_pubsub_connection() {
    a_worker_survives(|carried| carried.contains("SUBSCRIBE")).await;
}

#[tokio::test]
async fn a_worker_replaces_all_of_its_dead_connections() {
    a_worker_survives(|_| true).await;
}

#[tokio::test]
async fn a_client_with_dead_connections_gets_its_result_and_can_submit_again() {
    let fleet = Fleet::new();
    let proxy = Proxy::in_front_of(fleet.server());
    let app = fleet.client_behind_with(&proxy, &SURE_LEASE).await;
    let _worker = fleet.worker_with(&SURE_LEASE);
    let running = app.submit(gated("gate".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin gate").await;
    let waiting = tokio::spawn({
        let running = running.clone();
        async move { result_of(&running).await }
    });
    let listeners = async || fleet.server().command(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    until("the worker and the client listen", async || listeners().await == 2).await;
    proxy.blackhole(|_| true);
    fleet.shared.open("gate").unwrap();
    waiting.await.unwrap().unwrap();
    // A caller with a short timeout isn't stuck with a dead connection.
    proxy.blackhole(|_| true);
    until("a call arrives", async || {
        let call = app.submit(noted("later".into()).idempotency_key("later"));
        matches!(tokio::time::timeout(millis(100), call).await, Ok(Ok(_)))
    })
    .await;
}

#[tokio::test]
async fn corrupted_replies_fail_no_call() {
    let fleet = Fleet::new();
    let [clients, workers] = [Proxy::in_front_of(fleet.server()), Proxy::in_front_of(fleet.server())];
    let app = fleet.client_behind_with(&clients, &[]).await;
    let _worker = fleet.warm_worker_behind(&workers, &app).await;
    // Each fault waits for the one before it on the same command. Repeated requests are left alone.
    for round in 0..60 {
        for command in [&b"FCALL"[..], b"EVALSHA", b"GET"] {
            clients.nth(2 + round % 3, command, Fault::CorruptReply);
            workers.nth(5 + round % 5, command, Fault::CorruptReply);
        }
    }
    let mut calls = 0;
    while clients.pending() > 120 || workers.pending() > 120 {
        let name = format!("call {calls}");
        let invocation = app.submit(noted(name.clone())).await.unwrap();
        assert_eq!(result_of(&invocation).await.unwrap(), name);
        finished_once(&invocation).await;
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
    let proxy = Proxy::in_front_of(fleet.server());
    proxy.set_both(Flow::Delay { by: millis(50), jitter: millis(50) });
    let _worker = fleet.worker_behind(&proxy);
    let group = app.submit_all((0..40).map(|n| noted(n.to_string()))).await.unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 0);
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_link_that_breaks_repeatedly_loses_nothing() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let proxy = Proxy::in_front_of(fleet.server());
    let _worker = fleet.worker_behind(&proxy);
    let group = app.submit_all((0..200).map(|n| noted(n.to_string()))).await.unwrap();
    for (number, flow) in
        [Flow::Trickle, Flow::CutAfter(3000), Flow::Pass, Flow::HalfClose, Flow::CutAfter(900)].into_iter().enumerate()
    {
        proxy.set(Direction::ToClient, flow);
        fleet.ledger().reaches(1 + 30 * number.min(1), "end").await;
        proxy.reset();
        tokio::time::sleep(millis(100)).await;
        proxy.set(Direction::ToClient, Flow::Pass);
    }
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        finished_once(invocation).await;
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_server_that_cuts_every_connection_and_forgets_its_scripts_loses_nothing() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _workers = [fleet.worker(), fleet.worker()];
    // A worker that can't reach its server at start exits with an error.
    until("both runners are registered", async || app.parts().orchestrator.runners().await.unwrap().len() == 2).await;
    let mut submitted = Vec::new();
    for round in 0..20 {
        for n in 0..10 {
            let call = || noted(format!("{round}-{n}")).idempotency_key(format!("{round}-{n}"));
            let mut invocation = app.submit(call()).await;
            until("the client can submit again", async || {
                if invocation.is_err() {
                    invocation = app.submit(call()).await;
                }
                invocation.is_ok()
            })
            .await;
            submitted.push(invocation.unwrap());
        }
        fleet.server().kill_clients();
        fleet.server().script_flush();
        fleet.server().function_flush();
    }
    for invocation in &submitted {
        result_of(invocation).await.unwrap();
        finished_once(invocation).await;
    }
    assert_eq!(app.count(Status::Success).await.unwrap(), 200);
    fleet.holds(&app).await;
}
