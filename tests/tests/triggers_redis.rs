//! Tests of triggers over Redis, with producers and runners that share only the server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use pynenc::core::orchestrator::Find;
use pynenc::engine::task::ArgumentSource;
use pynenc::prelude::*;
use pynenc::{PynencBuilder, RunnerHandle};
use pynenc_testkit::oracles::Evidence;
use pynenc_testkit::{Fault, Proxy, RedisServer, TestProcess};
use pynenc_tests::variables::on_redis;
use serde_json::{Value, json};

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

#[task]
async fn double(n: u64) -> u64 {
    n * 2
}

#[task]
async fn seen(n: u64) -> u64 {
    n
}

#[task]
async fn swept() {}

fn builder(app_id: &str) -> PynencBuilder {
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks();
    builder.app_id(app_id).redis(&SERVER.url()).tasks(tasks![double, seen, swept])
}

/// A producer without triggers and runner, and a runner with triggers.
async fn producer_and_runner(app_id: &str) -> (Pynenc, RunnerHandle) {
    let with_triggers = builder(app_id)
        .trigger(on_event::<u64>("n").call(|cx| double(*cx.payload())).id("event"))
        .trigger(on_success::<double>().call(|cx| seen(*cx.result())).id("end"))
        .trigger(
            all((on_event::<u64>("left"), on_event::<u64>("right")))
                .within(minutes(1))
                .call(|(left, right)| seen(1000 * left.payload() + right.payload()))
                .id("pair"),
        );
    let runner = with_triggers.build().await.unwrap().start_runner().await.unwrap();
    (builder(app_id).build().await.unwrap(), runner)
}

/// The arguments of all successful invocations of a task with one argument.
async fn values_of(app: &Pynenc, task: &str) -> Vec<u64> {
    let mut find = Find { task: Some(task.into()), limit: 500, ..Find::default() };
    let mut values = Vec::new();
    loop {
        let page = app.parts().orchestrator.find(&find).await.unwrap();
        let done = page.items.iter().filter(|item| item.record.status == Status::Success);
        let ids: Vec<_> = done.map(|item| item.id).collect();
        for record in app.parts().state.invocations(&ids).await.unwrap().into_iter().flatten() {
            let mut source: ArgumentSource = app.arguments(&record).await.unwrap();
            let name = if task == "tick" { "slot" } else { "n" };
            values.push(source.take(name).unwrap());
        }
        find.after = page.next;
        if find.after.is_none() {
            values.sort_unstable();
            return values;
        }
    }
}

/// Waits until a task has succeeded this often, and returns the arguments.
async fn settled(app: &Pynenc, task: &str, count: usize, patience: Duration) -> Vec<u64> {
    let begun = Instant::now();
    loop {
        let values = values_of(app, task).await;
        if values.len() >= count || begun.elapsed() > patience {
            return values;
        }
        tokio::time::sleep(millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_completions_fire_without_polling() {
    let (app, runner) = producer_and_runner("push").await;
    app.emit_event("n", &1).await.unwrap();
    settled(&app, seen::NAME, 1, secs(10)).await;
    let begun = Instant::now();
    app.emit_event("n", &21).await.unwrap();
    assert_eq!(settled(&app, seen::NAME, 2, secs(10)).await, [2, 42]);
    assert!(begun.elapsed() < secs(2), "the trigger fires without polling: {:?}", begun.elapsed());
    runner.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_ten_thousand_events_fires_each_once() {
    let (app, runner) = producer_and_runner("burst").await;
    let (_, second) = producer_and_runner("burst").await;
    let payloads: Vec<u64> = (0..10_000).collect();
    app.emit_events("n", &payloads).await.unwrap();
    let doubled: Vec<u64> = payloads.iter().map(|n| n * 2).collect();
    let begun = Instant::now();
    while values_of(&app, seen::NAME).await.len() < 10_000 && begun.elapsed() < secs(60) {
        tokio::time::sleep(millis(200)).await;
    }
    assert_eq!(values_of(&app, double::NAME).await, payloads);
    assert_eq!(values_of(&app, seen::NAME).await, doubled);
    runner.shutdown().await.unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_seen_by_several_runners_fire_once() {
    let (app, first) = producer_and_runner("pairs").await;
    let (_, second) = producer_and_runner("pairs").await;
    let (_, third) = producer_and_runner("pairs").await;
    let numbers: Vec<u64> = (0..60).collect();
    let (left, right) = (app.emit_events("left", &numbers), app.emit_events("right", &numbers));
    let (left, right) = tokio::join!(left, right);
    assert_eq!((left.unwrap().len(), right.unwrap().len()), (60, 60));
    let values = settled(&app, seen::NAME, 60, secs(20)).await;
    let (lefts, mut rights): (Vec<u64>, Vec<u64>) = values.iter().map(|value| (value / 1000, value % 1000)).unzip();
    rights.sort_unstable();
    assert_eq!((lefts, rights), (numbers.clone(), numbers));
    for runner in [first, second, third] {
        runner.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_added_at_runtime_survives_restarts() {
    let (app, runner) = producer_and_runner("added").await;
    let id = app.triggers().add(on_event::<Value>("sweep").matching(json!({"all": true})).then(swept())).await.unwrap();
    let swept_count = async |count: usize| {
        let begun = Instant::now();
        loop {
            let find = Find { task: Some(swept::NAME.into()), limit: 100, ..Find::default() };
            let found = app.parts().orchestrator.find(&find).await.unwrap().items.len();
            if found >= count || begun.elapsed() > secs(10) {
                return found;
            }
            tokio::time::sleep(millis(10)).await;
        }
    };
    for all in [true, false] {
        app.emit_event("sweep", &json!({"all": all})).await.unwrap();
    }
    assert_eq!(swept_count(1).await, 1);
    runner.shutdown().await.unwrap();
    app.emit_event("sweep", &json!({"all": true})).await.unwrap();
    let (_, later) = producer_and_runner("added").await;
    assert_eq!(swept_count(2).await, 2);
    app.triggers().remove(&id).await.unwrap();
    later.shutdown().await.unwrap();
}

/// Starts a worker process and waits until it is ready.
fn start_worker(app_id: &str) -> TestProcess {
    start_worker_at(app_id, &SERVER.url())
}

fn start_worker_at(app_id: &str, url: &str) -> TestProcess {
    let settings = [
        ("RUNNER__HEARTBEAT_INTERVAL", "500ms"),
        ("RUNNER__LEASE", "2s"),
        ("RUNNER__SWEEP_INTERVAL", "500ms"),
        ("TRIGGERS__OFFER_TIMEOUT", "1s"),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_trigger-worker"));
    let mut worker = TestProcess::start(command.envs(on_redis(app_id, url, &settings)));
    worker.wait_for_stdout("ready");
    worker
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_fire_each_slot_once() {
    let start = std::time::Instant::now();
    let workers: Vec<_> = (0..8).map(|_| start_worker("cron")).collect();
    let app = builder("cron").build().await.unwrap();
    tokio::time::sleep(secs(20)).await;
    drop(workers);
    let seconds = start.elapsed().as_secs() as usize;
    let fired = app.triggers().runs("each second", 100).await.unwrap();
    let mut slots: Vec<u64> = fired.iter().filter_map(|fired| Some(fired.run.slot.as_ref()?.to.as_millis())).collect();
    slots.sort_unstable();
    assert!((10..=seconds + 2).contains(&slots.len()), "{seconds} s: {slots:?}");
    assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == 1000), "each slot fires once: {slots:?}");
    let ticks = values_of(&app, "tick").await;
    assert!(ticks.len() + 2 >= slots.len() && ticks.iter().all(|tick| slots.contains(tick)), "{ticks:?}");
    assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]), "no slot has two invocations: {ticks:?}");
}

/// Only the command that fires a run has this argument: the kind of a firing with a call.
const FIRES: &[u8] = b"\r\ncall\r\n";

/// Kills a worker that met a fault while it fired a slot. Another worker must continue with one invocation for each
/// slot.
async fn is_fired_once(app_id: &str, fault: Fault) {
    let app = builder(app_id).build().await.unwrap();
    let proxy = Proxy::in_front_of(&SERVER);
    let killed = start_worker_at(app_id, proxy.url());
    settled(&app, "tick", 1, secs(20)).await;
    proxy.once(FIRES, fault);
    let begun = Instant::now();
    while proxy.pending() > 0 {
        assert!(begun.elapsed() < secs(20), "no slot was fired within 20 s");
        tokio::time::sleep(millis(1)).await;
    }
    drop(killed);
    let before = settled(&app, "tick", 1, secs(1)).await.len();
    let other = start_worker(app_id);
    settled(&app, "tick", before + 3, secs(20)).await;
    app.triggers().pause("each second").await.unwrap();
    let fired = async || app.triggers().runs("each second", 100).await.unwrap();
    while fired().await.len() > values_of(&app, "tick").await.len() && begun.elapsed() < secs(30) {
        tokio::time::sleep(millis(20)).await;
    }
    let (slots, ticks) = (fired().await, values_of(&app, "tick").await);
    let mut slots: Vec<u64> = slots.iter().filter_map(|it| Some(it.run.slot.as_ref()?.to.as_millis())).collect();
    slots.sort_unstable();
    assert_eq!(slots, ticks, "each slot has an invocation");
    assert!(slots.windows(2).all(|pair| pair[1] - pair[0] == 1000), "no slot is missing: {slots:?}");
    Evidence::of(app.parts(), &["each second"]).await.unwrap().assert_holds();
    drop(other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_fires_once_when_its_worker_is_killed_before_firing() {
    is_fired_once("killed-before", Fault::Reply("-BUSY Redis is busy running a script.")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_fires_once_when_its_worker_is_killed_before_submitting() {
    is_fired_once("killed-after", Fault::StallReply).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_killed_workers_fire_once_in_others() {
    let app = builder("killed").build().await.unwrap();
    let mut workers: Vec<_> = (0..3).map(|_| start_worker("killed")).collect();
    let (mut emitted, seed) = (Vec::new(), 7);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..6u64 {
        let payloads: Vec<u64> = (0..100).map(|n| round * 100 + n).collect();
        app.emit_events("n", &payloads).await.unwrap();
        emitted.extend(payloads);
        tokio::time::sleep(millis(random.u64(0..60))).await;
        drop(workers.remove(0));
        workers.push(start_worker("killed"));
    }
    let after = settled(&app, "after", emitted.len(), secs(60)).await;
    assert_eq!(counts(&values_of(&app, "seen").await), once(&emitted), "seed {seed}");
    assert_eq!(counts(&after), once(&emitted), "seed {seed}");
}

fn counts(values: &[u64]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    values.iter().for_each(|value| *counts.entry(*value).or_default() += 1);
    counts
}

fn once(values: &[u64]) -> BTreeMap<u64, usize> {
    values.iter().map(|value| (*value, 1)).collect()
}
