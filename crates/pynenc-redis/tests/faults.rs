//! The stores on a server that fails, fills up, forgets its scripts, or holds corrupt values.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pynenc_core::broker::Pop;
use pynenc_core::lane::Called;
use pynenc_core::orchestrator::{
    Block, Claim, ClaimReply, Find, Heartbeat, OutboxInterest, OutboxTake, Registered, Signal, Tracked, Transition,
    TransitionReply,
};
use pynenc_core::record::Registration;
use pynenc_core::status::{By, Change};
use pynenc_core::trigger_store::{EventListener, EventsTake, NewEvent};
use pynenc_core::{
    Broker, ErrorKind, InvocationId, Lane, Orchestrator, Reason, Result, RunnerId, StateBackend, Status, TriggerStore,
};
use pynenc_redis::{
    RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, RedisTriggerStore, StartCheck,
};
use pynenc_testkit::conformance::sample::{registration, settlement, submission, submission_of, task, transition};
use pynenc_testkit::{RedisServer, RedisServerOptions};

const APP: &str = "faults";

/// The stores of one app on a server of their own.
struct Stores {
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
    lane: Arc<dyn Lane>,
    store: RedisStore,
}

impl Stores {
    async fn on(server: &RedisServer) -> Self {
        let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
        let store = RedisStore::connect(&config, APP).await.expect("the server runs");
        let broker: Arc<dyn Broker> = Arc::new(RedisBroker::new(store.clone()));
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(RedisOrchestrator::new(store.clone()));
        let state: Arc<dyn StateBackend> = Arc::new(RedisStateBackend::new(store.clone()));
        let lane = orchestrator.lane(&broker, &state).expect("all components are in one store");
        Self { broker, orchestrator, state, lane, store }
    }

    async fn submit(&self) -> Result<InvocationId> {
        let registration = registration();
        self.submit_all(std::slice::from_ref(&registration)).await.remove(0)?;
        Ok(registration.id)
    }

    async fn submit_all(&self, registrations: &[Registration]) -> Vec<Result<Registered>> {
        let submissions = registrations.iter().cloned().map(submission_of).collect();
        match self.lane.submit(submissions).await {
            Ok(replies) => replies,
            Err(error) => registrations.iter().map(|_| Err(error.duplicate())).collect(),
        }
    }

    async fn claim(&self, id: InvocationId) -> Tracked {
        let claim = Claim::new(vec![id], RunnerId::new());
        match self.lane.claim(&claim, None).await.expect("claim").remove(0).reply {
            ClaimReply::Granted(tracked) => tracked,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn start(&self, id: InvocationId) -> Tracked {
        let pending = self.claim(id).await;
        let start = transition(&pending, Status::Running, Reason::Started);
        self.orchestrator.transition(&[start]).await.expect("transition");
        self.orchestrator.records(&[id]).await.expect("records").remove(0).expect("the invocation exists")
    }

    async fn settle(&self, running: &Tracked) -> Result<TransitionReply> {
        self.lane.settle(vec![settlement(running)]).await?.remove(0)
    }

    async fn status(&self, id: InvocationId) -> Option<Status> {
        let record = self.orchestrator.records(&[id]).await.expect("records").remove(0);
        record.map(|tracked| tracked.record.status)
    }

    async fn pop(&self, wait: Duration) -> Result<Vec<InvocationId>> {
        self.broker.pop(&Pop { queues: vec!["default".into()], max: 10, wait }).await
    }
}

fn succeeded(reply: Result<TransitionReply>) -> bool {
    matches!(reply, Ok(TransitionReply::Done { record, .. }) if record.status == Status::Success)
}

#[tokio::test]
async fn work_continues_after_the_server_is_killed_and_restarted() {
    let mut server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let running = stores.start(stores.submit().await.expect("submit")).await;
    stores.pop(Duration::ZERO).await.expect("pop");
    let mut completions = stores.orchestrator.watch(&[running.id]).await.expect("watch");
    let mut signals = stores.orchestrator.signals(RunnerId::new()).await.expect("signals");
    server.config_set("appendfsync", "always");
    let queued = stores.submit().await.expect("submit");
    server.kill9();
    assert_eq!(stores.submit().await.expect_err("the server is down").kind(), ErrorKind::Unavailable);
    server.restart();
    assert_eq!(stores.pop(Duration::from_secs(5)).await.expect("pop"), [queued]);
    assert!(succeeded(stores.settle(&running).await));
    let completion = tokio::time::timeout(Duration::from_secs(5), completions.next()).await.expect("a completion");
    assert_eq!(completion.and_then(|(_, record)| record).map(|record| record.status), Some(Status::Success));
    let signal = tokio::time::timeout(Duration::from_secs(5), signals.next()).await.expect("a signal");
    assert_eq!(signal, Some(Signal::Outbox), "a signal may have been lost, so the outbox is read again");
}

#[tokio::test]
async fn a_blocked_pop_returns_a_pushed_hint_after_its_connection_was_cut() {
    let server = RedisServer::start();
    let stores = Arc::new(Stores::on(&server).await);
    let popping = tokio::spawn({
        let stores = stores.clone();
        async move { stores.pop(Duration::from_secs(20)).await }
    });
    tokio::task::yield_now().await;
    server.kill_clients();
    server.script_flush();
    server.function_flush();
    let id = stores.submit().await.expect("submit");
    assert_eq!(popping.await.expect("no panic").expect("pop"), [id]);
}

#[tokio::test]
async fn a_user_without_functions_runs_scripts() {
    let server = RedisServer::start();
    // A server before version 7 has no functions, and its ACL doesn't know the command.
    if server.has_command("FCALL") {
        server.command(&["ACL", "SETUSER", "default", "-fcall"]);
    }
    let stores = Stores::on(&server).await;
    let running = stores.start(stores.submit().await.expect("submit")).await;
    assert!(succeeded(stores.settle(&running).await));
    let refused = server.command(&["INFO", "commandstats"]);
    assert!(refused.contains("cmdstat_evalsha:") && !refused.contains("cmdstat_function|load:"), "{refused}");
}

#[tokio::test]
async fn a_full_server_refuses_new_work_and_lets_running_work_finish() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let running = stores.start(stores.submit().await.expect("submit")).await;
    let waiting = stores.submit().await.expect("submit");
    // In some builds an empty server uses less than a megabyte.
    server.config_set("maxmemory", "1");
    server.function_flush();
    assert_eq!(stores.submit().await.expect_err("the server is full").kind(), ErrorKind::StoreFull);
    let register = stores.orchestrator.register(&[registration()]).await;
    assert_eq!(register.expect_err("the server is full").kind(), ErrorKind::StoreFull);
    assert!(succeeded(stores.settle(&running).await));
    assert!(stores.pop(Duration::ZERO).await.expect("pop").contains(&waiting));
    let last = stores.start(waiting).await;
    assert!(succeeded(stores.settle(&last).await));
    let heartbeat = Heartbeat {
        runner: RunnerId::new(),
        lease: Duration::from_secs(15),
        interval: Duration::from_secs(5),
        description: "faults".into(),
        introduction: None,
    };
    stores.orchestrator.heartbeat(&heartbeat).await.expect("heartbeat");
    server.config_set("maxmemory", "0");
    stores.submit().await.expect("the server has memory again");
}

#[tokio::test]
async fn a_clock_that_goes_back_an_hour_delays_no_recovery() {
    const LEASE: Duration = Duration::from_secs(15);
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let running = stores.start(stores.submit().await.expect("submit")).await;
    let (dead, alive) = (running.record.owner.expect("it runs"), RunnerId::new());
    let beat = async |runner| {
        let interval = LEASE / 3;
        let description = "faults".into();
        let heartbeat = Heartbeat { runner, lease: LEASE, interval, description, introduction: None };
        stores.orchestrator.heartbeat(&heartbeat).await.expect("heartbeat");
    };
    beat(dead).await;
    beat(alive).await;
    assert!(stores.orchestrator.acquire_lease("services", dead, LEASE).await.expect("lease"));
    let move_clock = |seconds: i64| {
        server.command(&["INCRBY", &format!("{{{APP}}}:clock"), &(seconds * 1000).to_string()]);
    };
    move_clock(-3600);
    assert!(stores.orchestrator.retire_expired(10).await.expect("retire_expired").is_empty(), "no lease has expired");
    beat(alive).await;
    assert!(
        stores.orchestrator.acquire_lease("services", alive, LEASE).await.expect("lease"),
        "the old lease on the service is gone"
    );
    for _ in 0..4 {
        assert!(
            stores.orchestrator.retire_expired(10).await.expect("retire_expired").is_empty(),
            "every lease began anew"
        );
        move_clock(4);
        beat(alive).await;
    }
    let expired = stores.orchestrator.retire_expired(10).await.expect("retire_expired");
    assert_eq!(expired.iter().map(|(runner, tracked)| (*runner, tracked.id)).collect::<Vec<_>>(), [(dead, running.id)]);
}

#[tokio::test]
async fn offers_from_before_the_clock_went_back_are_made_again() {
    const AGAIN: Duration = Duration::from_secs(5);
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let triggers = RedisTriggerStore::new(stores.store.clone());
    let interest = OutboxInterest { listener: "me".into(), task: task(), statuses: vec![Status::Success] };
    stores.orchestrator.subscribe(&[interest], Duration::from_secs(60)).await.expect("subscribe");
    let running = stores.start(stores.submit().await.expect("submit")).await;
    stores.settle(&running).await.expect("settle");
    let take = OutboxTake { listeners: vec!["me".into()], limit: 10, again_after: AGAIN, ..OutboxTake::default() };
    let outbox = async || stores.orchestrator.take_outbox(&take).await.expect("take_outbox").len();
    let listener = EventListener { id: "me".into(), name: "happened".into() };
    let take = EventsTake { listeners: vec![listener], limit: 10, again_after: AGAIN, ..EventsTake::default() };
    let events = async || triggers.take_events(&take).await.expect("take_events").len();
    assert_eq!(events().await, 0, "the listener is new");
    let event = NewEvent {
        name: "happened".into(),
        key: None,
        serializer: "JsonSerializer".into(),
        payload: b"7".as_slice().into(),
    };
    triggers.append_events(&[event]).await.expect("append");
    assert_eq!((outbox().await, events().await), (1, 1));
    assert_eq!((outbox().await, events().await), (0, 0), "both were offered just now");
    server.command(&["INCRBY", &format!("{{{APP}}}:clock"), "-3600000"]);
    assert_eq!((outbox().await, events().await), (1, 1), "both are offered without waiting for the hour to pass again");
    assert_eq!((outbox().await, events().await), (0, 0), "both were offered again just now");
}

/// A key as a Lua string: the app, the letters of the key, and the bytes of an id.
fn key(letters: &str, id: InvocationId) -> String {
    let bytes: Vec<String> = id.as_bytes().iter().map(|byte| format!("\\{byte:03}")).collect();
    format!("'{{{APP}}}:{letters}{}'", bytes.concat())
}

/// Stores a list under a key of another type.
fn overwrite(server: &RedisServer, letters: &str, id: InvocationId) {
    let key = key(letters, id);
    server.command(&["EVAL", &format!("redis.call('DEL', {key}) redis.call('RPUSH', {key}, 'x')"), "0"]);
}

#[tokio::test]
async fn a_failed_item_stops_and_the_other_items_of_its_batch_continue() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let (bad, good) = (registration(), registration());
    overwrite(&server, "o:i", bad.id);
    let replies = stores.submit_all(&[bad.clone(), good.clone()]).await;
    assert_eq!(replies[0].as_ref().expect_err("its entry is a list").kind(), ErrorKind::Corrupt);
    assert!(matches!(replies[1], Ok(Registered::New(_))));
    assert!(
        stores.state.invocations(&[bad.id]).await.expect("invocations")[0].is_none(),
        "a failed submission leaves no record"
    );
    assert_eq!(stores.pop(Duration::ZERO).await.expect("pop"), [good.id]);
    let claim = Claim::new(vec![bad.id, good.id], RunnerId::new());
    let replies = stores.orchestrator.claim(&claim).await.expect("claim");
    assert!(matches!(replies[..], [ClaimReply::Gone, ClaimReply::Granted(_)]));
}

#[tokio::test]
async fn a_call_with_a_lost_reply_is_repeated_and_keeps_its_claim() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let caller = stores.start(stores.submit().await.expect("submit")).await;
    let runner = caller.record.owner.expect("a runner owns the caller");
    let (call, claim) = (submission(), Claim::new(Vec::new(), runner).running_below(1));
    let block = Block { waiter: caller.id, seen: caller.record.clone(), runner, on: Vec::new() };
    let mut replies = Vec::new();
    for _ in 0..2 {
        match stores.lane.call(call.clone(), &block, Some(&claim)).await.expect("call") {
            Called::Waiting { claimed, waiter, .. } => replies.push((claimed.expect("the call is claimed"), waiter)),
            other => panic!("the caller doesn't wait: {other:?}"),
        }
    }
    assert_eq!(replies[0], replies[1]);
    assert_eq!(replies[0].0.record.status, Status::Running);
}

/// Recovery makes such a transition. Its process may die before it pushes a hint.
#[tokio::test]
async fn a_transition_back_to_the_queue_pushes_the_hint_in_the_same_step() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let running = stores.start(stores.submit().await.expect("submit")).await;
    stores.pop(Duration::ZERO).await.expect("pop");
    let change = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
    let lost = Transition { id: running.id, seen: running.record.clone(), change };
    stores.orchestrator.transition(&[lost]).await.expect("transition");
    assert_eq!(stores.pop(Duration::ZERO).await.expect("pop"), [running.id]);
}

#[tokio::test]
async fn an_entry_that_cant_be_read_stops_no_listing_and_no_recovery() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let (bad, good) = (stores.submit().await.expect("submit"), stores.submit().await.expect("submit"));
    let running = stores.start(bad).await;
    let runner = running.record.owner.expect("it runs");
    let script = format!("redis.call('SETRANGE', {}, 0, '\\009')", key("o:i", bad));
    server.command(&["EVAL", &script, "0"]);
    let page = stores.orchestrator.find(&Find { limit: 10, ..Find::default() }).await.expect("find");
    assert_eq!(page.items.iter().map(|item| item.id).collect::<Vec<_>>(), [good]);
    let lease = Duration::from_secs(15);
    let heartbeat = |lease| Heartbeat {
        runner,
        lease,
        interval: Duration::from_secs(5),
        description: "faults".into(),
        introduction: None,
    };
    stores.orchestrator.heartbeat(&heartbeat(lease)).await.expect("heartbeat");
    stores.orchestrator.heartbeat(&heartbeat(Duration::ZERO)).await.expect("the last heartbeat");
    assert!(stores.orchestrator.retire_expired(10).await.expect("retire_expired").is_empty());
    assert!(stores.orchestrator.outlived(10, lease).await.expect("outlived").is_empty());
}

/// A consumer that was killed may have taken a wake token with it.
#[tokio::test]
async fn a_consumer_finds_a_hint_whose_token_is_lost() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let pop = Pop { queues: vec!["default".into()], max: 10, wait: Duration::from_secs(3600) };
    let claim = Claim::new(Vec::new(), RunnerId::new());
    assert!(stores.lane.claim(&claim, Some(&pop)).await.expect("claim").is_empty());
    let lane = stores.lane.clone();
    let waiting = tokio::spawn(async move { lane.find(&pop).await });
    server.command(&["ZADD", &format!("{{{APP}}}:b:rdefault"), "0", "hint"]);
    let found = tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the consumer looks for hints");
    found.expect("the consumer doesn't panic").expect("find");
}

#[tokio::test]
async fn a_corrupt_record_counts_as_missing() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let id = stores.submit().await.expect("submit");
    // The record is behind the header, the registration, the invocation's own fields and its own length.
    let script = format!(
        "local raw = redis.call('GET', {key}) \
         local record = 52 + raw:byte(51) * 256 + raw:byte(52) + 32 + 4 \
         redis.call('SETRANGE', {key}, record, '\\255\\255\\255')",
        key = key("o:i", id)
    );
    server.command(&["EVAL", &script, "0"]);
    let claim = Claim::new(vec![id], RunnerId::new());
    let claimed = stores.lane.claim(&claim, None).await.expect("claim").remove(0);
    assert!(matches!(claimed.reply, ClaimReply::Granted(_)) && claimed.record.is_none());
}

/// Simulates a program of a later version.
#[tokio::test]
async fn an_entry_of_a_later_version_is_left_alone() {
    let server = RedisServer::start();
    let stores = Stores::on(&server).await;
    let (later, own) = (stores.submit().await.expect("submit"), stores.submit().await.expect("submit"));
    let script = format!("redis.call('SETRANGE', {}, 0, '\\009')", key("o:i", later));
    server.command(&["EVAL", &script, "0"]);
    let error = stores.orchestrator.records(&[later]).await.expect_err("the layout is unknown");
    assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains("version"), "{error}");
    let claim = Claim::new(vec![later, own], RunnerId::new());
    let replies = stores.orchestrator.claim(&claim).await.expect("claim");
    assert!(matches!(replies[..], [ClaimReply::Gone, ClaimReply::Granted(_)]), "{replies:?}");
    let running = stores.start(stores.submit().await.expect("submit")).await;
    assert!(succeeded(stores.settle(&running).await), "other invocations continue");
}

/// A cluster of two nodes, each with half of the slots.
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
        let stores = Stores::on(node).await;
        stores.broker.purge().await.expect("purge");
        let running = stores.start(stores.submit().await.expect("submit")).await;
        assert_eq!(stores.pop(Duration::from_secs(5)).await.expect("pop"), [running.id]);
        let mut completions = stores.orchestrator.watch(&[running.id]).await.expect("watch");
        assert!(succeeded(stores.settle(&running).await));
        assert_eq!(completions.next().await.map(|(id, _)| id), Some(running.id));
        assert!(stores.pop(Duration::from_millis(10)).await.expect("pop").is_empty());
        stores.orchestrator.purge().await.expect("purge");
        assert_eq!(stores.status(running.id).await, None);
    }
}
