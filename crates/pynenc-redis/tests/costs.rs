//! The costs of an invocation: round trips, server time, and bytes in the store.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pynenc_core::broker::Pop;
use pynenc_core::lane::{Settlement, Submission};
use pynenc_core::orchestrator::{Claim, ClaimReply, Tracked, Transition};
use pynenc_core::record::{Argument, InvocationRecord, Outcome, Payload, Priority, Registration};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change};
use pynenc_core::{Broker, InvocationId, Lane, Orchestrator, Reason, RunnerId, StateBackend, Status, Timestamp};
use pynenc_redis::{RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, StartCheck};
use pynenc_testkit::{RedisServer, RedisServerOptions};

const COUNT: usize = 20_000;
const BATCH: usize = 500;

fn submission() -> Submission {
    let registration = Registration::new(InvocationId::new(), "shop::orders::confirm".into(), "default".into());
    let argument =
        |name: &'static str| Argument { name: name.into(), value: Payload::Inline(b"1234".as_slice().into()) };
    let record = InvocationRecord {
        id: registration.id,
        task: registration.task.clone(),
        arguments: vec![argument("x"), argument("y")],
        serializer: "JsonSerializer".into(),
        queue: registration.queue.clone(),
        priority: Priority::default(),
        timeout: None,
        max_retries: None,
        parent: None,
        workflow: None,
        retry_of: None,
        trace: None,
        created_at: Timestamp::from_millis(1_800_000_000_000),
        due: None,
    };
    Submission { record: Arc::new(record), registration }
}

fn transition(tracked: &Tracked, to: Status, reason: Reason) -> Transition {
    let by = By::Owner(tracked.record.owner.expect("a runner owns it"));
    Transition { id: tracked.id, seen: tracked.record.clone(), change: Change::new(to, by, reason) }
}

fn settlement(running: &Tracked) -> Settlement {
    let value = Payload::Inline(b"1234".as_slice().into());
    let outcome = Outcome::Value { value, serializer: "JsonSerializer".into() };
    let outcome = OutcomeWrite { id: running.id, epoch: running.record.epoch, outcome };
    let transition = transition(running, Status::Success, Reason::Returned);
    Settlement { outcome: Some(outcome), transition, requeue: None }
}

/// A number from the server's `INFO`.
fn reported(server: &RedisServer, section: &str, name: &str) -> u64 {
    let report = server.command(&["INFO", section]);
    let value = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).expect("the server reports the number")
}

/// Measures items per second, and the server's CPU time and the time in scripts per item, in microseconds.
struct Meter {
    start: Instant,
    server_time: f64,
    script_time: u64,
}

impl Meter {
    fn start(server: &RedisServer) -> Self {
        Self { start: Instant::now(), server_time: server_time(server), script_time: script_time(server) }
    }

    fn print(&self, what: &str, server: &RedisServer) {
        let each = (server_time(server) - self.server_time) * 1e6 / COUNT as f64;
        let in_scripts = (script_time(server) - self.script_time) as f64 / COUNT as f64;
        println!(
            "{what}: {:.0}/s, {each:.1} µs of server time each, {in_scripts:.1} µs of them in scripts",
            COUNT as f64 / self.start.elapsed().as_secs_f64()
        );
    }
}

/// The CPU seconds of the server. Unlike elapsed time, they don't depend on other processes of the machine.
fn server_time(server: &RedisServer) -> f64 {
    let report = server.command(&["INFO", "cpu"]);
    let value = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse::<f64>().ok()).expect("the server reports the number")
    };
    value("used_cpu_user_main_thread") + value("used_cpu_sys_main_thread")
}

/// The microseconds that the server spent in scripts and functions.
fn script_time(server: &RedisServer) -> u64 {
    let report = server.command(&["INFO", "commandstats"]);
    let runs = |line: &&str| line.starts_with("cmdstat_evalsha:") || line.starts_with("cmdstat_fcall:");
    let micros = |line: &str| line.split(['=', ',']).nth(3).and_then(|micros| micros.parse().ok()).unwrap_or(0);
    report.lines().filter(runs).map(micros).sum()
}

struct Worker {
    lane: Arc<dyn Lane>,
    runner: RunnerId,
}

impl Worker {
    async fn on(server: &RedisServer) -> Self {
        let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
        let store = RedisStore::connect(&config, "shop").await.expect("the server runs");
        let broker: Arc<dyn Broker> = Arc::new(RedisBroker::new(store.clone()));
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(RedisOrchestrator::new(store.clone()));
        let state: Arc<dyn StateBackend> = Arc::new(RedisStateBackend::new(store));
        let lane = orchestrator.lane(&broker, &state).expect("all components are in one store");
        Self { lane, runner: RunnerId::new() }
    }

    async fn submit(&self, count: usize) {
        let replies = self.lane.submit((0..count).map(|_| submission()).collect()).await.expect("submit");
        assert!(replies.iter().all(Result::is_ok));
    }

    async fn claim(&self, max: usize) -> Vec<Tracked> {
        let pop = Pop { queues: vec!["default".into()], max, wait: Duration::ZERO };
        let claim = Claim::new(Vec::new(), self.runner).running_below(1);
        let claimed = self.lane.claim(&claim, Some(&pop)).await.expect("claim").into_iter();
        let granted =
            claimed.filter_map(|it| if let ClaimReply::Granted(tracked) = it.reply { Some(tracked) } else { None });
        granted.collect()
    }

    async fn settle(&self, claimed: &[Tracked]) {
        let replies = self.lane.settle(claimed.iter().map(settlement).collect()).await.expect("settle");
        assert!(replies.iter().all(Result::is_ok));
    }
}

/// The round trips of a step. Commands inside a script don't count.
async fn round_trips(server: &RedisServer, step: impl Future) -> u64 {
    let calls = |server: &RedisServer| {
        let report = server.command(&["INFO", "commandstats"]);
        let runs = |line: &&str| line.starts_with("cmdstat_evalsha:") || line.starts_with("cmdstat_fcall:");
        let calls = |line: &str| line.split(['=', ',']).nth(1).and_then(|calls| calls.parse().ok()).unwrap_or(0);
        report.lines().filter(runs).map(calls).sum()
    };
    let before: u64 = calls(server);
    step.await;
    calls(server) - before
}

#[tokio::test]
async fn each_step_is_one_round_trip() {
    let server = RedisServer::start();
    let worker = Worker::on(&server).await;
    worker.submit(1).await;
    let first = worker.claim(1).await;
    worker.settle(&first).await;
    assert_eq!(round_trips(&server, worker.submit(100)).await, 1);
    let mut claimed = Vec::new();
    assert_eq!(round_trips(&server, async { claimed = worker.claim(100).await }).await, 1);
    assert_eq!(claimed.len(), 100);
    assert_eq!(round_trips(&server, worker.settle(&claimed)).await, 1);
}

#[tokio::test]
async fn an_invocation_takes_few_bytes() {
    let arguments = ["--appendonly", "no"].map(str::to_owned).into();
    let server = RedisServer::start_with(RedisServerOptions { arguments, ..RedisServerOptions::default() });
    let worker = Worker::on(&server).await;
    worker.submit(1).await;
    let empty = reported(&server, "memory", "used_memory");
    let meter = Meter::start(&server);
    for _ in 0..COUNT / BATCH {
        worker.submit(BATCH).await;
    }
    meter.print("submitted by 500", &server);
    let queued = (reported(&server, "memory", "used_memory") - empty) / COUNT as u64;
    let meter = Meter::start(&server);
    let mut groups = Vec::new();
    while let Some(group) = Some(worker.claim(64).await).filter(|group| !group.is_empty()) {
        groups.push(group);
    }
    meter.print("claimed by 64", &server);
    let meter = Meter::start(&server);
    for group in &groups {
        worker.settle(group).await;
    }
    meter.print("settled by 64", &server);
    let finished = (reported(&server, "memory", "used_memory") - empty) / COUNT as u64;
    println!("bytes: {queued} queued, {finished} finished");
    assert!(queued <= 750 && finished <= 1000, "{queued} queued, {finished} finished");
}
