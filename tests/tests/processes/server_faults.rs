//! Tests with servers that lose acknowledged writes, refuse writes, are full, or refuse connections.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use pynenc::Reason;
use pynenc::core::ErrorKind;
use pynenc::prelude::*;
use pynenc_testkit::{Proxy, RedisServer, RedisServerOptions};
use pynenc_tests::worker_tasks::{awaits_gated, gated, gated_for, noted};

use crate::fleet::{Fleet, LEASE, finished_once, record, result_of, times, until};

/// The longest time until work resumes after the server is back.
const BOUND: Duration = Duration::from_secs(5);

/// Submits a call that must fail fast, and returns the error.
async fn refusal(app: &Pynenc) -> Error {
    let asked = Instant::now();
    let error = app.submit(noted("refused".into())).await.unwrap_err();
    assert!(asked.elapsed() < secs(2), "a producer fails fast: {:?}", asked.elapsed());
    assert!(error.is_retryable(), "{error}");
    error
}

/// Waits until a worker has run a new call.
async fn resumes(app: &Pynenc) {
    let begun = Instant::now();
    let probe = app.submit(noted("probe".into())).await.unwrap();
    result_of(&probe).await.unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn claims_lost_by_the_server_are_made_again_and_hold_no_slots() {
    let mut fleet = Fleet::new();
    let app = fleet.client().await;
    let first = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    let second = app.submit(gated("b".into())).await.unwrap();
    let size = fleet.server().aof_size();
    let mut lost = fleet.worker();
    fleet.ledger().reaches(2, "begin").await;
    fleet.server_mut().kill9();
    lost.kill9();
    fleet.server().truncate_aof_to(size);
    fleet.server_mut().restart();
    for invocation in [first.id(), second.id()] {
        assert_eq!(app.status(invocation).await.unwrap().status, Status::Registered, "the claim is lost");
    }
    let _worker = fleet.worker();
    fleet.ledger().reaches(4, "begin").await;
    fleet.shared.open("a").unwrap();
    fleet.shared.open("b").unwrap();
    result_of(&first).await.unwrap();
    result_of(&second).await.unwrap();
    finished_once(&first).await;
    finished_once(&second).await;
    let third = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    result_of(&third).await.unwrap();
}

#[tokio::test]
async fn a_run_whose_claim_the_server_lost_doesnt_commit() {
    let mut fleet = Fleet::new();
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let size = fleet.server().aof_size();
    let paused_worker = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    paused_worker.pause();
    fleet.server_mut().kill9();
    fleet.server().truncate_aof_to(size);
    fleet.server_mut().restart();
    let _other = fleet.worker();
    fleet.ledger().reaches(2, "begin a").await;
    paused_worker.resume();
    fleet.shared.open("a").unwrap();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = finished_once(&invocation).await;
    let claimed = history.iter().find(|entry| entry.reason == Reason::Claimed).unwrap();
    assert_eq!(history.last().unwrap().runner, claimed.runner, "{history:#?}");
    resumes(&app).await;
}

#[tokio::test]
async fn an_emptied_server_stops_every_wait_and_every_run() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker_with(&[("RUNNER__CONCURRENCY", "2"), ("RUNNER__MAX_PAUSED", "1")]);
    let paused = app.submit(awaits_gated("child".into())).await.unwrap();
    let running = app.submit(gated("other".into())).await.unwrap();
    fleet.ledger().reaches(2, "begin").await;
    until("the parent is paused", async || app.status(paused.id()).await.unwrap().status == Status::Paused).await;
    let waiting = [not_found(paused), not_found(running)].map(tokio::spawn);
    let listeners = async || fleet.server().command(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    until("the worker and the client listen", async || listeners().await == 2).await;
    fleet.server().command(&["FLUSHALL"]);
    for waiting in waiting {
        waiting.await.unwrap();
    }
    // Both slots are free again, and the number of paused tasks is 0 again.
    let both = [app.submit(gated("a".into())).await.unwrap(), app.submit(gated("b".into())).await.unwrap()];
    fleet.ledger().reaches(1, "begin a").await;
    fleet.ledger().reaches(1, "begin b").await;
    fleet.shared.open("a").unwrap();
    fleet.shared.open("b").unwrap();
    for invocation in &both {
        result_of(invocation).await.unwrap();
    }
    fleet.shared.open("again").unwrap();
    let again = app.submit(awaits_gated("again".into())).await.unwrap();
    assert_eq!(result_of(&again).await.unwrap(), "again");
    assert_eq!(fleet.ledger().count("end other") + fleet.ledger().count("end child"), 0);
}

/// Waits for a result, and checks that the invocation isn't found.
fn not_found<T: Task>(invocation: Invocation<T>) -> BoxFuture<'static, ()>
where
    T::Output: std::fmt::Debug,
{
    Box::pin(async move {
        let error = result_of(&invocation).await.unwrap_err();
        assert!(matches!(error, Error::InvocationNotFound(lost) if lost == invocation.id()), "{error}");
    })
}

#[tokio::test]
async fn a_demoted_server_accepts_work_again_after_its_promotion() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let running = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    fleet.server().command(&["REPLICAOF", "127.0.0.1", "1"]);
    fleet.shared.open("a").unwrap();
    fleet.ledger().reaches(1, "end a").await;
    let message = refusal(&app).await.to_string();
    assert!(message.contains("read only replica"), "{message}");
    fleet.server().promote();
    assert_eq!(result_of(&running).await.unwrap(), "a");
    resumes(&app).await;
    assert_eq!(fleet.ledger().count("begin a"), 1);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_server_that_requires_a_replica_acknowledges_nothing_without_one() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker();
    resumes(&app).await;
    fleet.server().config_set("min-replicas-to-write", "1");
    assert!(refusal(&app).await.to_string().contains("NOREPLICAS"));
    fleet.server().config_set("min-replicas-to-write", "0");
    resumes(&app).await;
    assert_eq!(app.count(Status::Success).await.unwrap(), 2);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn workers_wait_for_a_server_that_loads_its_data() {
    let mut fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker();
    resumes(&app).await;
    worker.pause();
    let waiting = app.submit_all((0..50).map(|n| noted(n.to_string()))).await.unwrap();
    fleet.server().command(&["EVAL", "for n = 1, 8000 do redis.call('SET', 'key-' .. n, n) end", "0"]);
    fleet.server_mut().kill9();
    fleet.server_mut().restart_slowly(Duration::from_micros(200));
    worker.resume();
    let message = refusal(&app).await.to_string();
    assert!(message.contains("loading"), "{message}");
    until("the server has loaded", async || fleet.server().try_command(&["PING"]).is_ok()).await;
    resumes(&app).await;
    for invocation in waiting.invocations() {
        result_of(invocation).await.unwrap();
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn running_tasks_finish_and_leases_are_kept_while_the_server_is_full() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    let next = app.submit(noted("next".into())).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    fleet.server().config_set("maxmemory", "1mb");
    let error = refusal(&app).await;
    assert!(matches!(&error, Error::Unavailable { source, .. } if source.kind() == ErrorKind::StoreFull), "{error}");
    let full_at = last_heartbeat(&app).await;
    until("heartbeats continue for two leases", async || last_heartbeat(&app).await > full_at + LEASE * 2).await;
    fleet.shared.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 0);
    }
    assert_eq!(result_of(&next).await.unwrap(), "next", "an accepted call runs");
    refusal(&app).await;
    fleet.server().config_set("maxmemory", "0");
    resumes(&app).await;
    fleet.holds(&app).await;
}

/// The last heartbeat of any runner.
async fn last_heartbeat(app: &Pynenc) -> pynenc::core::Timestamp {
    let runners = app.parts().orchestrator.runners().await.unwrap();
    runners.iter().map(|runner| runner.last_heartbeat).max().unwrap()
}

#[tokio::test]
async fn workers_keep_outcomes_during_a_full_disk_and_nothing_runs_again() {
    let options = RedisServerOptions { limited_disk: true, ..RedisServerOptions::default() };
    let fleet = Fleet::on(RedisServer::start_with(options));
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    if !fleet.server().fill_disk() {
        return println!("skipped: this machine can't limit a process' file size");
    }
    until("the server refuses writes", async || app.submit(noted("refused".into())).await.is_err()).await;
    assert!(refusal(&app).await.to_string().contains("MISCONF"));
    fleet.shared.open("a").unwrap();
    fleet.ledger().reaches(8, "end a").await;
    tokio::time::sleep(LEASE * 2).await;
    fleet.server().free_disk();
    let repaired = Instant::now();
    for invocation in group.invocations() {
        assert_eq!(result_of(invocation).await.unwrap(), "a");
        assert_eq!(times(&finished_once(invocation).await, Reason::OwnerLost), 0);
    }
    assert!(repaired.elapsed() < BOUND, "{:?}", repaired.elapsed());
    assert_eq!(fleet.ledger().count("begin a"), 8);
    resumes(&app).await;
    fleet.holds(&app).await;
}

/// The number of connections of other clients.
fn connections(fleet: &Fleet) -> usize {
    fleet.server().command(&["CLIENT", "LIST"]).lines().count() - 1
}

#[tokio::test]
async fn a_process_needs_few_connections() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let group = app.submit_all((0..40).map(|n| noted(n.to_string()))).await.unwrap();
    let of_client = connections(&fleet);
    assert!(of_client <= 2, "a client has {of_client}:\n{}", fleet.server().command(&["CLIENT", "LIST"]));
    let _worker = fleet.worker();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
    }
    // The client now subscribes to completions.
    let of_both = connections(&fleet);
    assert!(of_both <= 2 + 4, "both have {of_both}:\n{}", fleet.server().command(&["CLIENT", "LIST"]));
}

#[tokio::test]
async fn workers_retry_a_server_that_refuses_connections_until_it_accepts() {
    let fleet = Fleet::new();
    let (app, proxy) = (fleet.client().await, Proxy::in_front_of(fleet.server()));
    let _worker = fleet.warm_worker_behind(&proxy, &app).await;
    fleet.server().config_set("maxclients", "40");
    let waiting = app.submit(noted("waiting".into()).delay(LEASE / 3)).await.unwrap();
    let another = || TcpStream::connect(("127.0.0.1", fleet.server().port())).unwrap();
    let mut others = Vec::new();
    // Other connections take the worker's places whenever it reconnects.
    for _ in 0..100 {
        proxy.reset();
        others.push(another());
        tokio::time::sleep(millis(2)).await;
    }
    let message = fleet.late_client().await.unwrap_or_default();
    assert!(message.contains("maxclients"), "{message}");
    tokio::time::sleep(LEASE).await;
    assert_eq!(record(&app, waiting.id()).await.record.deliveries, 0, "no worker can claim the call");
    drop(others);
    let freed = Instant::now();
    result_of(&waiting).await.unwrap();
    assert!(freed.elapsed() < BOUND, "{:?}", freed.elapsed());
    fleet.holds(&app).await;
}
