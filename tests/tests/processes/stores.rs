//! Servers that forget what they acknowledged, take no writes, are full, or take nobody in.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use pynenc::Reason;
use pynenc::core::ErrorKind;
use pynenc::prelude::*;
use pynenc_testkit::{Proxy, RedisServer, RedisServerOptions};
use pynenc_tests::work::{awaits_gated, gated, gated_for, noted};

use crate::fleet::{Fleet, LEASE, ended_once, record, result_of, times, until};

/// Work goes on so soon after a server is back.
const BOUND: Duration = Duration::from_secs(5);

/// A submit that fails at once, and how.
async fn refusal(app: &Pynenc) -> Error {
    let asked = Instant::now();
    let error = app.submit(noted("refused".into())).await.unwrap_err();
    assert!(asked.elapsed() < secs(2), "a producer fails fast: {:?}", asked.elapsed());
    assert!(error.is_retryable(), "{error}");
    error
}

/// Waits until a worker has run something new.
async fn goes_on(app: &Pynenc) {
    let begun = Instant::now();
    let probe = app.submit(noted("probe".into())).await.unwrap();
    result_of(&probe).await.unwrap();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn claims_that_a_server_has_forgotten_are_made_again_and_hold_no_slots() {
    let mut fleet = Fleet::new();
    let app = fleet.client().await;
    let first = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    let second = app.submit(gated("b".into())).await.unwrap();
    let mark = fleet.server.written_down();
    let mut lost = fleet.worker();
    fleet.ledger().reaches(2, "begin").await;
    fleet.server.kill9();
    lost.kill9();
    fleet.server.forget_since(mark);
    fleet.server.restart();
    for invocation in [first.id(), second.id()] {
        assert_eq!(app.status(invocation).await.unwrap().status, Status::Registered, "nobody ever claimed it");
    }
    let _worker = fleet.worker();
    fleet.ledger().reaches(4, "begin").await;
    fleet.stage.open("a").unwrap();
    fleet.stage.open("b").unwrap();
    result_of(&first).await.unwrap();
    result_of(&second).await.unwrap();
    ended_once(&first).await;
    ended_once(&second).await;
    let third = app.submit(gated_for("account".into(), "a".into())).await.unwrap();
    result_of(&third).await.unwrap();
}

#[tokio::test]
async fn a_body_whose_claim_was_forgotten_commits_nothing_beside_the_one_that_has_it_now() {
    let mut fleet = Fleet::new();
    let app = fleet.client().await;
    let invocation = app.submit(gated("a".into())).await.unwrap();
    let mark = fleet.server.written_down();
    let forgotten = fleet.worker();
    fleet.ledger().reaches(1, "begin a").await;
    forgotten.pause();
    fleet.server.kill9();
    fleet.server.forget_since(mark);
    fleet.server.restart();
    let _other = fleet.worker();
    fleet.ledger().reaches(2, "begin a").await;
    forgotten.resume();
    fleet.stage.open("a").unwrap();
    assert_eq!(result_of(&invocation).await.unwrap(), "a");
    let history = ended_once(&invocation).await;
    let claimed = history.iter().find(|entry| entry.reason == Reason::Claimed).unwrap();
    assert_eq!(history.last().unwrap().runner, claimed.runner, "{history:#?}");
    goes_on(&app).await;
}

#[tokio::test]
async fn a_server_that_is_emptied_leaves_nobody_waiting_and_no_body_running() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker_with(&[("RUNNER__CONCURRENCY", "2"), ("RUNNER__MAX_PAUSED", "1")]);
    let paused = app.submit(awaits_gated("child".into())).await.unwrap();
    let running = app.submit(gated("other".into())).await.unwrap();
    fleet.ledger().reaches(2, "begin").await;
    until("it waits", async || app.status(paused.id()).await.unwrap().status == Status::Paused).await;
    let waiting = [loses(paused), loses(running)].map(tokio::spawn);
    let listeners = async || fleet.server.command(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().count();
    until("the worker and the client listen", async || listeners().await == 2).await;
    fleet.server.command(&["FLUSHALL"]);
    for waiting in waiting {
        waiting.await.unwrap();
    }
    // Both slots are free again, and so is the place of the body that waited.
    let both = [app.submit(gated("a".into())).await.unwrap(), app.submit(gated("b".into())).await.unwrap()];
    fleet.ledger().reaches(1, "begin a").await;
    fleet.ledger().reaches(1, "begin b").await;
    fleet.stage.open("a").unwrap();
    fleet.stage.open("b").unwrap();
    for invocation in &both {
        result_of(invocation).await.unwrap();
    }
    fleet.stage.open("again").unwrap();
    let again = app.submit(awaits_gated("again".into())).await.unwrap();
    assert_eq!(result_of(&again).await.unwrap(), "again");
    assert_eq!(fleet.ledger().count("end other") + fleet.ledger().count("end child"), 0);
}

/// Waits for a result, and is told that there is no such invocation.
fn loses<T: Task>(invocation: Invocation<T>) -> BoxFuture<'static, ()>
where
    T::Output: std::fmt::Debug,
{
    Box::pin(async move {
        let error = result_of(&invocation).await.unwrap_err();
        assert!(matches!(error, Error::InvocationNotFound(lost) if lost == invocation.id()), "{error}");
    })
}

#[tokio::test]
async fn a_server_that_becomes_a_replica_takes_work_again_when_it_is_a_primary() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let running = app.submit(gated("a".into())).await.unwrap();
    fleet.ledger().reaches(1, "begin a").await;
    fleet.server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    fleet.stage.open("a").unwrap();
    fleet.ledger().reaches(1, "end a").await;
    let told = refusal(&app).await.to_string();
    assert!(told.contains("read only replica"), "{told}");
    fleet.server.promote();
    assert_eq!(result_of(&running).await.unwrap(), "a");
    goes_on(&app).await;
    assert_eq!(fleet.ledger().count("begin a"), 1);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_server_that_wants_a_replica_acknowledges_nothing_without_one() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker();
    goes_on(&app).await;
    fleet.server.config_set("min-replicas-to-write", "1");
    assert!(refusal(&app).await.to_string().contains("NOREPLICAS"));
    fleet.server.config_set("min-replicas-to-write", "0");
    goes_on(&app).await;
    assert_eq!(app.count(Status::Success).await.unwrap(), 2);
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_server_that_loads_for_long_is_waited_for() {
    let mut fleet = Fleet::new();
    let app = fleet.client().await;
    let worker = fleet.worker();
    goes_on(&app).await;
    worker.pause();
    let waiting = app.submit_all((0..50).map(|n| noted(n.to_string()))).await.unwrap();
    fleet.server.command(&["EVAL", "for n = 1, 8000 do redis.call('SET', 'key-' .. n, n) end", "0"]);
    fleet.server.kill9();
    fleet.server.restart_slowly(Duration::from_micros(200));
    worker.resume();
    let told = refusal(&app).await.to_string();
    assert!(told.contains("loading"), "{told}");
    until("the server has loaded", async || fleet.server.try_command(&["PING"]).is_ok()).await;
    goes_on(&app).await;
    for invocation in waiting.invocations() {
        result_of(invocation).await.unwrap();
    }
    fleet.holds(&app).await;
}

#[tokio::test]
async fn a_full_server_lets_what_runs_end_and_nobody_takes_the_workers_for_dead() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    let next = app.submit(noted("next".into())).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    fleet.server.config_set("maxmemory", "1mb");
    let error = refusal(&app).await;
    assert!(matches!(&error, Error::Unavailable { source, .. } if source.kind() == ErrorKind::StoreFull), "{error}");
    let full_at = beats(&app).await;
    until("heartbeats go on for two leases", async || beats(&app).await > full_at + LEASE * 2).await;
    fleet.stage.open("a").unwrap();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
        assert_eq!(times(&ended_once(invocation).await, Reason::OwnerLost), 0);
    }
    assert_eq!(result_of(&next).await.unwrap(), "next", "what was accepted is run");
    refusal(&app).await;
    fleet.server.config_set("maxmemory", "0");
    goes_on(&app).await;
    fleet.holds(&app).await;
}

/// The last heartbeat of any runner.
async fn beats(app: &Pynenc) -> pynenc::core::Timestamp {
    let runners = app.parts().orchestrator.runners().await.unwrap();
    runners.iter().map(|runner| runner.last_heartbeat).max().unwrap()
}

#[tokio::test]
async fn outcomes_outlive_a_full_disk_in_memory_and_nothing_runs_again() {
    let options = RedisServerOptions { limited_disk: true, ..RedisServerOptions::default() };
    let fleet = Fleet::on(RedisServer::start_with(options));
    let app = fleet.client().await;
    let _worker = fleet.worker();
    let group = app.submit_all((0..8).map(|_| gated("a".into()))).await.unwrap();
    fleet.ledger().reaches(8, "begin a").await;
    if !fleet.server.fill_disk() {
        return println!("this machine can't limit the files of a process");
    }
    until("the server has noticed", async || app.submit(noted("refused".into())).await.is_err()).await;
    assert!(refusal(&app).await.to_string().contains("MISCONF"));
    fleet.stage.open("a").unwrap();
    fleet.ledger().reaches(8, "end a").await;
    tokio::time::sleep(LEASE * 2).await;
    fleet.server.empty_disk();
    let mended = Instant::now();
    for invocation in group.invocations() {
        assert_eq!(result_of(invocation).await.unwrap(), "a");
        assert_eq!(times(&ended_once(invocation).await, Reason::OwnerLost), 0);
    }
    assert!(mended.elapsed() < BOUND, "{:?}", mended.elapsed());
    assert_eq!(fleet.ledger().count("begin a"), 8);
    goes_on(&app).await;
    fleet.holds(&app).await;
}

/// The connections of everybody but of who asks.
fn connections(fleet: &Fleet) -> usize {
    fleet.server.command(&["CLIENT", "LIST"]).lines().count() - 1
}

#[tokio::test]
async fn a_process_needs_few_connections() {
    let fleet = Fleet::new();
    let app = fleet.client().await;
    let group = app.submit_all((0..40).map(|n| noted(n.to_string()))).await.unwrap();
    let of_client = connections(&fleet);
    assert!(of_client <= 2, "a client has {of_client}:\n{}", fleet.server.command(&["CLIENT", "LIST"]));
    let _worker = fleet.worker();
    for invocation in group.invocations() {
        result_of(invocation).await.unwrap();
    }
    // The client listens for ends now.
    let of_both = connections(&fleet);
    assert!(of_both <= 2 + 4, "both have {of_both}:\n{}", fleet.server.command(&["CLIENT", "LIST"]));
}

#[tokio::test]
async fn a_server_that_takes_nobody_in_says_so_and_is_tried_until_it_does() {
    let fleet = Fleet::new();
    let (app, proxy) = (fleet.client().await, Proxy::before(&fleet.server));
    let _worker = fleet.warm_worker_behind(&proxy, &app).await;
    fleet.server.config_set("maxclients", "40");
    let waiting = app.submit(noted("waiting".into()).delay(LEASE / 3)).await.unwrap();
    let another = || TcpStream::connect(("127.0.0.1", fleet.server.port())).unwrap();
    let mut others = Vec::new();
    // The places of the worker's connections are taken by others, as often as it comes back to one.
    for _ in 0..100 {
        proxy.reset();
        others.push(another());
        tokio::time::sleep(millis(2)).await;
    }
    let told = fleet.late_client().await.unwrap_or_default();
    assert!(told.contains("maxclients"), "{told}");
    tokio::time::sleep(LEASE).await;
    assert_eq!(record(&app, waiting.id()).await.record.deliveries, 0, "nobody could claim it");
    drop(others);
    let freed = Instant::now();
    result_of(&waiting).await.unwrap();
    assert!(freed.elapsed() < BOUND, "{:?}", freed.elapsed());
    fleet.holds(&app).await;
}
