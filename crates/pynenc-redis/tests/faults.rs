//! What the stores do when the server fails, fills up, forgets its scripts or holds what nobody put there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Settlement, Submission};
use pynenc_core::orchestrator::{
    Claim, ClaimReply, Heartbeat, OutboxInterest, Registered, Signal, Tracked, Transition, TransitionReply,
};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Priority, Registration};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change, Expect};
use pynenc_core::trigger_store::{EventListener, NewEvent};
use pynenc_core::{
    Broker, ErrorKind, InvocationId, Lane, Orchestrator, Reason, Result, RunnerId, StateBackend, Status, Timestamp,
    TriggerStore,
};
use pynenc_redis::{
    RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, RedisTriggerStore, StartCheck,
};
use pynenc_testkit::{RedisServer, RedisServerOptions};

const APP: &str = "faults";

/// The stores of one app over a server of their own.
struct Given {
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
    lane: Arc<dyn Lane>,
    store: RedisStore,
}

impl Given {
    async fn on(server: &RedisServer) -> Self {
        let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
        let store = RedisStore::connect(&config, APP).await.expect("the server runs");
        let broker: Arc<dyn Broker> = Arc::new(RedisBroker::new(store.clone()));
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(RedisOrchestrator::new(store.clone()));
        let state: Arc<dyn StateBackend> = Arc::new(RedisStateBackend::new(store.clone()));
        let lane = orchestrator.lane(&broker, &state).expect("all are on one server");
        Self { broker, orchestrator, state, lane, store }
    }

    async fn submit(&self) -> Result<InvocationId> {
        let registration = registration();
        self.submitted(std::slice::from_ref(&registration)).await.remove(0)?;
        Ok(registration.id)
    }

    async fn submitted(&self, registrations: &[Registration]) -> Vec<Result<Registered>> {
        let submissions = registrations.iter().map(submission).collect();
        match self.lane.submit(submissions).await {
            Ok(replies) => replies,
            Err(error) => registrations.iter().map(|_| Err(error.duplicate())).collect(),
        }
    }

    async fn granted(&self, id: InvocationId) -> Tracked {
        let claim = Claim::new(vec![id], RunnerId::new());
        match self.lane.claim(&claim).await.expect("claim").remove(0).reply {
            ClaimReply::Granted(tracked) => tracked,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn started(&self, id: InvocationId) -> Tracked {
        let pending = self.granted(id).await;
        let start = transition(&pending, Status::Running, Reason::Started);
        self.orchestrator.transition(&[start]).await.expect("transition");
        self.orchestrator.records(&[id]).await.expect("records").remove(0).expect("it is known")
    }

    async fn settled(&self, running: &Tracked) -> Result<TransitionReply> {
        self.lane.settle(vec![settlement(running)]).await?.remove(0)
    }

    async fn status(&self, id: InvocationId) -> Option<Status> {
        let record = self.orchestrator.records(&[id]).await.expect("records").remove(0);
        record.map(|tracked| tracked.record.status)
    }

    async fn popped(&self, wait: Duration) -> Result<Vec<InvocationId>> {
        self.broker.pop(&Pop { queues: vec!["default".into()], max: 10, wait }).await
    }
}

fn registration() -> Registration {
    Registration::new(InvocationId::new(), "faults::task".into(), "default".into())
}

fn submission(registration: &Registration) -> Submission {
    let record = InvocationRecord {
        id: registration.id,
        task: registration.task.clone(),
        arguments: Vec::new(),
        serializer: "JsonSerializer".into(),
        queue: registration.queue.clone(),
        priority: Priority::default(),
        timeout: None,
        max_retries: None,
        parent: None,
        workflow: None,
        retry_of: None,
        trace: None,
        created_at: Timestamp::from_millis(7),
    };
    Submission { record: Arc::new(record), registration: registration.clone() }
}

fn transition(tracked: &Tracked, to: Status, reason: Reason) -> Transition {
    let owner = tracked.record.owner.expect("somebody owns it");
    Transition {
        id: tracked.id,
        expect: Expect::from(&tracked.record),
        change: Change::new(to, By::Owner(owner), reason),
    }
}

fn settlement(running: &Tracked) -> Settlement {
    let value = Payload::Inline(b"7".as_slice().into());
    let outcome = Outcome::Value { value, serializer: "JsonSerializer".into() };
    let outcome = OutcomeWrite { id: running.id, epoch: running.record.epoch, outcome };
    let transition = transition(running, Status::Success, Reason::Returned);
    Settlement { outcome: Some(outcome), transition, requeue: None }
}

fn succeeded(reply: Result<TransitionReply>) -> bool {
    matches!(reply, Ok(TransitionReply::Done { record, .. }) if record.status == Status::Success)
}

#[tokio::test]
async fn after_a_kill_and_a_restart_all_goes_on() {
    let mut server = RedisServer::start();
    let given = Given::on(&server).await;
    let running = given.started(given.submit().await.expect("submit")).await;
    given.popped(Duration::ZERO).await.expect("pop");
    let mut ended = given.orchestrator.watch(&[running.id]).await.expect("watch");
    let mut signals = given.orchestrator.signals(RunnerId::new()).await.expect("signals");
    server.config_set("appendfsync", "always");
    let queued = given.submit().await.expect("submit");
    server.kill9();
    assert_eq!(given.submit().await.expect_err("nobody is there").kind(), ErrorKind::Unavailable);
    server.restart();
    assert_eq!(given.popped(Duration::from_secs(5)).await.expect("pop"), [queued]);
    assert!(succeeded(given.settled(&running).await));
    let told = tokio::time::timeout(Duration::from_secs(5), ended.next()).await.expect("ends are told again");
    assert_eq!(told.and_then(|(_, record)| record).map(|record| record.status), Some(Status::Success));
    let signal = tokio::time::timeout(Duration::from_secs(5), signals.next()).await.expect("signals go on");
    assert_eq!(signal, Some(Signal::Outbox), "what came meanwhile was told to nobody, and is looked for");
}

#[tokio::test]
async fn a_blocked_pop_hears_a_push_of_another_process_after_its_connection_was_cut() {
    let server = RedisServer::start();
    let given = Arc::new(Given::on(&server).await);
    let popping = tokio::spawn({
        let given = given.clone();
        async move { given.popped(Duration::from_secs(20)).await }
    });
    tokio::task::yield_now().await;
    server.kill_clients();
    server.script_flush();
    server.function_flush();
    let id = given.submit().await.expect("submit");
    assert_eq!(popping.await.expect("no panic").expect("pop"), [id]);
}

#[tokio::test]
async fn a_user_without_functions_runs_scripts() {
    let server = RedisServer::start();
    // A server before version 7 has none, and its rights don't know them.
    if server.has_command("FCALL") {
        server.command(&["ACL", "SETUSER", "default", "-fcall"]);
    }
    let given = Given::on(&server).await;
    let running = given.started(given.submit().await.expect("submit")).await;
    assert!(succeeded(given.settled(&running).await));
    let refused = server.command(&["INFO", "commandstats"]);
    assert!(refused.contains("cmdstat_evalsha:") && !refused.contains("cmdstat_function|load:"), "{refused}");
}

#[tokio::test]
async fn a_full_server_takes_nothing_new_and_lets_work_end() {
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let running = given.started(given.submit().await.expect("submit")).await;
    let waiting = given.submit().await.expect("submit");
    // An empty server takes less than a megabyte in some builds.
    server.config_set("maxmemory", "1");
    server.function_flush();
    assert_eq!(given.submit().await.expect_err("no room").kind(), ErrorKind::StoreFull);
    let register = given.orchestrator.register(&[registration()]).await;
    assert_eq!(register.expect_err("no room").kind(), ErrorKind::StoreFull);
    assert!(succeeded(given.settled(&running).await));
    assert!(given.popped(Duration::ZERO).await.expect("pop").contains(&waiting));
    let last = given.started(waiting).await;
    assert!(succeeded(given.settled(&last).await));
    let heartbeat = Heartbeat {
        runner: RunnerId::new(),
        lease: Duration::from_secs(15),
        interval: Duration::from_secs(5),
        description: "faults".into(),
    };
    given.orchestrator.heartbeat(&heartbeat).await.expect("heartbeat");
    server.config_set("maxmemory", "0");
    given.submit().await.expect("there is room again");
}

#[tokio::test]
async fn a_clock_that_goes_back_an_hour_delays_no_recovery() {
    const LEASE: Duration = Duration::from_secs(15);
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let running = given.started(given.submit().await.expect("submit")).await;
    let (dead, alive) = (running.record.owner.expect("it runs"), RunnerId::new());
    let beat = async |runner| {
        let interval = LEASE / 3;
        let heartbeat = Heartbeat { runner, lease: LEASE, interval, description: "faults".into() };
        given.orchestrator.heartbeat(&heartbeat).await.expect("heartbeat");
    };
    beat(dead).await;
    beat(alive).await;
    assert!(given.orchestrator.lease("services", dead, LEASE).await.expect("lease"));
    let move_clock = |seconds: i64| {
        server.command(&["INCRBY", &format!("{{{APP}}}:clock"), &(seconds * 1000).to_string()]);
    };
    move_clock(-3600);
    assert!(given.orchestrator.expired(10).await.expect("expired").is_empty(), "nobody has been silent");
    beat(alive).await;
    assert!(given.orchestrator.lease("services", alive, LEASE).await.expect("lease"), "the lease is over");
    for _ in 0..4 {
        assert!(given.orchestrator.expired(10).await.expect("expired").is_empty(), "the leases began anew");
        move_clock(4);
        beat(alive).await;
    }
    let expired = given.orchestrator.expired(10).await.expect("expired");
    assert_eq!(expired.iter().map(|(runner, tracked)| (*runner, tracked.id)).collect::<Vec<_>>(), [(dead, running.id)]);
}

#[tokio::test]
async fn offers_from_before_a_clock_went_back_are_made_again() {
    const AGAIN: Duration = Duration::from_secs(5);
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let triggers = RedisTriggerStore::new(given.store.clone());
    let interest =
        OutboxInterest { listener: "me".into(), task: "faults::task".into(), statuses: vec![Status::Success] };
    given.orchestrator.want(&[interest], Duration::from_secs(60)).await.expect("want");
    let running = given.started(given.submit().await.expect("submit")).await;
    given.settled(&running).await.expect("it ends");
    let outbox = async || given.orchestrator.outbox(&["me".into()], 10, AGAIN).await.expect("outbox").len();
    let listener = EventListener { id: "me".into(), name: "happened".into() };
    let events = async || triggers.take_events(std::slice::from_ref(&listener), 10, AGAIN).await.expect("events").len();
    assert_eq!(events().await, 0, "it is known from now on");
    let event = NewEvent {
        name: "happened".into(),
        key: None,
        serializer: "JsonSerializer".into(),
        payload: b"7".as_slice().into(),
    };
    triggers.append_events(&[event]).await.expect("append");
    assert_eq!((outbox().await, events().await), (1, 1));
    assert_eq!((outbox().await, events().await), (0, 0), "each is offered");
    server.command(&["INCRBY", &format!("{{{APP}}}:clock"), "-3600000"]);
    assert_eq!((outbox().await, events().await), (1, 1), "nobody waits for the hour to pass again");
    assert_eq!((outbox().await, events().await), (0, 0), "each is offered again");
}

/// A key as a script writes it: the app, the letters of what it is for, the bytes of an id.
fn key(letters: &str, id: InvocationId) -> String {
    let bytes: Vec<String> = id.as_bytes().iter().map(|byte| format!("\\{byte:03}")).collect();
    format!("'{{{APP}}}:{letters}{}'", bytes.concat())
}

/// Puts a list where another sort of value belongs.
fn overwrite(server: &RedisServer, letters: &str, id: InvocationId) {
    let key = key(letters, id);
    server.command(&["EVAL", &format!("redis.call('DEL', {key}) redis.call('RPUSH', {key}, 'x')"), "0"]);
}

#[tokio::test]
async fn an_item_stops_at_its_first_failure_and_keeps_no_other_from_its_turn() {
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let (bad, good) = (registration(), registration());
    overwrite(&server, "o:i", bad.id);
    let replies = given.submitted(&[bad.clone(), good.clone()]).await;
    assert_eq!(replies[0].as_ref().expect_err("its entry is none").kind(), ErrorKind::Corrupt);
    assert!(matches!(replies[1], Ok(Registered::New(_))));
    assert!(given.state.invocations(&[bad.id]).await.expect("invocations")[0].is_none(), "nothing is left of it");
    assert_eq!(given.popped(Duration::ZERO).await.expect("pop"), [good.id]);
    let claim = Claim::new(vec![bad.id, good.id], RunnerId::new());
    let replies = given.orchestrator.claim(&claim).await.expect("claim");
    assert!(matches!(replies[..], [ClaimReply::Gone, ClaimReply::Granted(_)]));
}

#[tokio::test]
async fn without_its_outcome_a_settlement_does_not_commit() {
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let bad = given.started(given.submit().await.expect("submit")).await;
    let good = given.started(given.submit().await.expect("submit")).await;
    overwrite(&server, "s:o", bad.id);
    let replies = given.lane.settle(vec![settlement(&bad), settlement(&good)]).await.expect("settle");
    assert!(replies[0].is_err());
    assert_eq!(given.status(bad.id).await, Some(Status::Running));
    assert_eq!(given.status(good.id).await, Some(Status::Success));
}

#[tokio::test]
async fn a_record_that_is_altered_is_a_missing_one() {
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let id = given.submit().await.expect("submit");
    let script = format!("redis.call('SET', {}, 'x')", key("s:r", id));
    server.command(&["EVAL", &script, "0"]);
    let claim = Claim::new(vec![id], RunnerId::new());
    let claimed = given.lane.claim(&claim).await.expect("claim").remove(0);
    assert!(matches!(claimed.reply, ClaimReply::Granted(_)) && claimed.record.is_none());
}

/// As a program of a later version would write it.
#[tokio::test]
async fn what_a_later_version_wrote_is_left_to_that() {
    let server = RedisServer::start();
    let given = Given::on(&server).await;
    let (later, own) = (given.submit().await.expect("submit"), given.submit().await.expect("submit"));
    let script = format!("redis.call('SETRANGE', {}, 0, '\\009')", key("o:i", later));
    server.command(&["EVAL", &script, "0"]);
    let error = given.orchestrator.records(&[later]).await.expect_err("its layout isn't known");
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("version"), "{error}");
    let claim = Claim::new(vec![later, own], RunnerId::new());
    let replies = given.orchestrator.claim(&claim).await.expect("claim");
    assert!(matches!(replies[..], [ClaimReply::Gone, ClaimReply::Granted(_)]), "{replies:?}");
    let running = given.started(given.submit().await.expect("submit")).await;
    assert!(succeeded(given.settled(&running).await), "others go on");
}

/// The lower half of a cluster's slots and the upper one, each with a node of its own.
fn two_nodes() -> [RedisServer; 2] {
    let options = RedisServerOptions { cluster: true, ..RedisServerOptions::default() };
    let nodes = [RedisServer::start_with(options.clone()), RedisServer::start_with(options)];
    for (node, slots) in nodes.iter().zip([0..8192, 8192..16384]) {
        let slots: Vec<String> = slots.map(|slot: u16| slot.to_string()).collect();
        let words = ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str));
        node.command(&words.collect::<Vec<_>>());
    }
    nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &nodes[1].port().to_string()]);
    for node in &nodes {
        while !node.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    nodes
}

#[tokio::test]
async fn an_app_lives_in_one_slot_of_a_cluster() {
    let nodes = tokio::task::spawn_blocking(two_nodes).await.expect("no panic");
    for node in &nodes {
        let given = Given::on(node).await;
        given.broker.purge().await.expect("purge");
        let running = given.started(given.submit().await.expect("submit")).await;
        assert_eq!(given.popped(Duration::from_secs(5)).await.expect("pop"), [running.id]);
        let mut ended = given.orchestrator.watch(&[running.id]).await.expect("watch");
        assert!(succeeded(given.settled(&running).await));
        assert_eq!(ended.next().await.map(|(id, _)| id), Some(running.id));
        assert!(given.popped(Duration::from_millis(10)).await.expect("pop").is_empty());
        given.orchestrator.purge().await.expect("purge");
        assert_eq!(given.status(running.id).await, None);
    }
}
