//! A server with a transition cache gives the same results as a server without one.

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Settlement, Submission};
use pynenc_core::orchestrator::{
    Block, Claim, ClaimReply, Find, OutboxInterest, Registered, Tracked, Transition, TransitionReply,
};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Priority, Registration};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{Broker, InvocationId, Lane, Orchestrator, Reason, RunnerId, StateBackend, Status, Timestamp};
use pynenc_redis::{RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, StartCheck};
use pynenc_testkit::RedisServer;

const SEEDS: u64 = 12;
const STEPS: usize = 60;

/// Lists every key of an app without ids: the letters of the key, its type and its size.
const KEYS: &str = "local seen = {}
    local sizes = {string = 'STRLEN', set = 'SCARD', zset = 'ZCARD', list = 'LLEN', hash = 'HLEN'}
    for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
      local kind = redis.call('TYPE', key).ok
      local size = redis.call(sizes[kind], key)
      seen[#seen + 1] = string.sub(key, #ARGV[1] + 1, #ARGV[1] + 3) .. ' ' .. kind .. ' ' .. size
    end
    table.sort(seen)
    return table.concat(seen, ', ')";

/// A random walk through the states of one app, and its log: with numbers for ids and runners, and without times.
struct Walk<'a> {
    server: &'a RedisServer,
    clears_cache: bool,
    app: String,
    orchestrator: Arc<dyn Orchestrator>,
    lane: Arc<dyn Lane>,
    random: fastrand::Rng,
    runners: [RunnerId; 2],
    ids: Vec<InvocationId>,
    running: Vec<Tracked>,
    paused: Vec<Tracked>,
    log: Vec<String>,
}

impl<'a> Walk<'a> {
    async fn new(server: &'a RedisServer, seed: u64, clears_cache: bool) -> Self {
        let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
        let app = InvocationId::new().to_string();
        let store = RedisStore::connect(&config, &app).await.expect("the server runs");
        let broker: Arc<dyn Broker> = Arc::new(RedisBroker::new(store.clone()));
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(RedisOrchestrator::new(store.clone()));
        let state: Arc<dyn StateBackend> = Arc::new(RedisStateBackend::new(store));
        let lane = orchestrator.lane(&broker, &state).expect("all components are in one store");
        let (runners, random) = ([RunnerId::new(), RunnerId::new()], fastrand::Rng::with_seed(seed));
        Self {
            server,
            clears_cache,
            app,
            orchestrator,
            lane,
            random,
            runners,
            ids: Vec::new(),
            running: Vec::new(),
            paused: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Makes the walk, and returns its log.
    async fn run(mut self) -> Vec<String> {
        for _ in 0..STEPS {
            if self.clears_cache {
                self.server.function_flush();
            }
            match self.random.u8(..10) {
                0..=1 => self.submit().await,
                2..=3 => self.claim().await,
                4..=6 => self.settle().await,
                7 => self.call().await,
                8 => self.resume().await,
                _ => self.disturb().await,
            }
        }
        self.log_final_state().await;
        self.log
    }

    fn submission(&mut self, parent: Option<InvocationId>) -> Submission {
        let task = *self.random.choice(&["shop::confirm", "shop::ship"]).expect("there are two");
        let mut registration = Registration::new(InvocationId::new(), task.into(), "default".into());
        registration.priority = Priority::new(self.random.u8(4..6));
        self.ids.push(registration.id);
        let record = InvocationRecord {
            id: registration.id,
            task: registration.task.clone(),
            arguments: Vec::new(),
            serializer: "JsonSerializer".into(),
            queue: registration.queue.clone(),
            priority: registration.priority,
            timeout: None,
            max_retries: None,
            parent,
            workflow: None,
            retry_of: None,
            trace: None,
            created_at: Timestamp::from_millis(1_800_000_000_000),
        };
        Submission { record: Arc::new(record), registration }
    }

    async fn submit(&mut self) {
        let submissions = (0..self.random.usize(1..4)).map(|_| self.submission(None)).collect();
        for reply in self.lane.submit(submissions).await.expect("submit") {
            let Registered::New(tracked) = reply.expect("registered") else { panic!("not a new invocation") };
            self.log_tracked("submitted", &tracked);
        }
    }

    fn claim_request(&mut self) -> Claim {
        let runner = *self.random.choice(&self.runners).expect("there are two");
        Claim::new(Vec::new(), runner).running_below(2)
    }

    async fn claim(&mut self) {
        let pop = Pop { queues: vec!["default".into()], max: self.random.usize(1..4), wait: Duration::ZERO };
        let claim = self.claim_request();
        for Claimed { id, reply, record } in self.lane.claim(&claim, Some(&pop)).await.expect("claim") {
            self.log.push(format!("claimed {} with a record: {}", self.number(id), record.is_some()));
            if let ClaimReply::Granted(tracked) = reply {
                self.log_tracked("granted", &tracked);
                self.running.push(tracked);
            }
        }
    }

    async fn settle(&mut self) {
        let count = self.random.usize(1..4).min(self.running.len());
        let settlements: Vec<_> = (0..count).map(|_| self.settlement()).collect();
        self.settled(settlements).await;
    }

    fn settlement(&mut self) -> Settlement {
        let tracked = self.running.swap_remove(self.random.usize(..self.running.len()));
        let by = By::Owner(tracked.record.owner.expect("a runner owns it"));
        let change = match self.random.u8(..6) {
            0 => Change { due: Some(Due::In(Duration::ZERO)), ..Change::new(Status::Retry, by, Reason::Raised) },
            1 => Change::new(Status::Rerouted, by, Reason::Shutdown),
            2 => Change { detail: Some("why".into()), ..Change::new(Status::Failed, by, Reason::Raised) },
            3 => Change::new(Status::Failed, by, Reason::TimedOut),
            _ => Change::new(Status::Success, by, Reason::Returned),
        };
        let value = Payload::Inline(b"1".as_slice().into());
        let outcome = Outcome::Value { value, serializer: "JsonSerializer".into() };
        let write = OutcomeWrite { id: tracked.id, epoch: tracked.record.epoch, outcome };
        let transition = Transition { id: tracked.id, seen: tracked.record.clone(), change };
        Settlement { outcome: Some(write), transition, requeue: Some(tracked.message()) }
    }

    async fn settled(&mut self, settlements: Vec<Settlement>) {
        for reply in self.lane.settle(settlements).await.expect("settle") {
            match reply.expect("a reply") {
                TransitionReply::Done { record, .. } => self.log.push(format!("done {:?}", record.status)),
                other => self.log.push(format!("{:?}", std::mem::discriminant(&other))),
            }
        }
    }

    /// An invocation calls another, which its runner may claim.
    async fn call(&mut self) {
        let Some(mut caller) = self.running.pop() else { return };
        let submission = self.submission(Some(caller.id));
        let runner = caller.record.owner.expect("a runner owns it");
        let block = Block { waiter: caller.id, seen: caller.record.clone(), runner, on: Vec::new() };
        let claim = Claim::new(Vec::new(), runner).running_below(2);
        match self.lane.call(submission, &block, Some(&claim).filter(|_| self.random.bool())).await.expect("call") {
            Called::Waiting { child, waiter, claimed, .. } => {
                self.log_tracked("called", &child);
                caller.record = waiter;
                self.log_tracked("its caller", &caller);
                self.paused.push(caller);
                self.running.extend(claimed.inspect(|claimed| self.log.push(format!("{:?}", claimed.record.starts))));
            }
            other => {
                self.log.push(format!("{:?}", std::mem::discriminant(&other)));
                self.ids.pop();
            }
        }
    }

    async fn resume(&mut self) {
        let Some(mut tracked) = self.paused.pop() else { return };
        let by = By::Owner(tracked.record.owner.expect("a runner owns it"));
        let change = Change::new(Status::Running, by, Reason::Resumed);
        let transition = Transition { id: tracked.id, seen: tracked.record.clone(), change };
        let settlement = Settlement { outcome: None, transition, requeue: None };
        if let Ok(TransitionReply::Done { record, .. }) =
            self.lane.settle(vec![settlement]).await.expect("settle").remove(0)
        {
            tracked.record = record;
            self.log_tracked("resumed", &tracked);
            self.running.push(tracked);
        }
    }

    /// Cancels, watches or loses an invocation, or subscribes to completions.
    async fn disturb(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let id = self.ids[self.random.usize(..self.ids.len())];
        match self.random.u8(..4) {
            0 => drop(self.orchestrator.cancel(&[id]).await.expect("cancel")),
            1 => drop(self.orchestrator.watch(&[id]).await.expect("watch")),
            2 => self.subscribe().await,
            _ => {
                let tracked =
                    self.orchestrator.records(&[id]).await.expect("records").remove(0).expect("the invocation exists");
                let change = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
                let transition = Transition { id, seen: tracked.record.clone(), change };
                let settlement = Settlement { outcome: None, transition, requeue: Some(tracked.message()) };
                self.settled(vec![settlement]).await;
            }
        }
    }

    async fn subscribe(&mut self) {
        let interest = OutboxInterest {
            listener: "listener".into(),
            task: "shop::confirm".into(),
            statuses: vec![Status::Success],
        };
        self.orchestrator.subscribe(&[interest], Duration::from_secs(3600)).await.expect("subscribe");
    }

    async fn log_final_state(&mut self) {
        for id in self.ids.clone() {
            let tracked =
                self.orchestrator.records(&[id]).await.expect("records").remove(0).expect("the invocation exists");
            self.log_tracked("at the end", &tracked);
            let inspection =
                self.orchestrator.inspect(&[id]).await.expect("inspect").remove(0).expect("the invocation exists");
            for entry in inspection.history {
                let (runner, version, epoch) = (self.runner(entry.runner), entry.version, entry.epoch);
                let what = format!("{version} {epoch} {:?} {:?} {:?}", entry.status, entry.reason, entry.detail);
                self.log.push(format!("  {what} by {runner}"));
            }
        }
        self.log.push(format!("{:?}", self.orchestrator.count().await.expect("count")));
        let all = Find { limit: 1000, ..Find::default() };
        let queued = self.found(Find { queued_for: Some(Duration::ZERO), ..all.clone() }).await;
        let mut owned = Vec::new();
        for runner in self.runners {
            owned.extend(self.found(Find { owner: Some(runner), ..all.clone() }).await);
        }
        let found = self.found(all).await;
        for (what, items) in [("queued", queued), ("found", found), ("owned", owned)] {
            let mut numbers: Vec<_> = items.iter().map(|item| self.number(item.id)).collect();
            numbers.sort_unstable();
            self.log.push(format!("{what}: {numbers:?}"));
        }
        self.log.push(self.server.command(&["EVAL", KEYS, "0", &format!("{{{}}}:", self.app)]));
    }

    async fn found(&self, find: Find) -> Vec<Tracked> {
        self.orchestrator.find(&find).await.expect("find").items
    }

    fn log_tracked(&mut self, what: &str, tracked: &Tracked) {
        let Tracked { task, queue, priority, record, .. } = tracked;
        let (number, owner, due) = (self.number(tracked.id), self.runner(record.owner), record.due.is_some());
        let counts = [record.deliveries, record.starts, record.losses, record.retries];
        let version = (record.version, record.epoch, record.cancel_requested);
        let is = format!("{:?} {:?} {version:?} {counts:?} due: {due}", record.status, record.reason);
        self.log.push(format!("{what} {number}: {task} {queue} {priority:?} {is} of {owner}"));
    }

    fn number(&self, id: InvocationId) -> usize {
        self.ids.iter().position(|known| *known == id).expect("the invocation was submitted")
    }

    fn runner(&self, runner: Option<RunnerId>) -> String {
        let number = runner
            .map(|runner| self.runners.iter().position(|known| *known == runner).expect("one of the two runners"));
        number.map_or_else(|| "nobody".to_owned(), |number| number.to_string())
    }
}

#[tokio::test]
async fn cached_transitions_equal_uncached_ones() {
    let (without_cache, with_cache) = (RedisServer::start(), RedisServer::start());
    for seed in 0..SEEDS {
        let uncached = Walk::new(&without_cache, seed, true).await.run().await;
        for _ in 0..2 {
            let cached = Walk::new(&with_cache, seed, false).await.run().await;
            for (uncached, cached) in uncached.iter().zip(&cached) {
                assert_eq!(uncached, cached, "seed {seed}");
            }
            assert_eq!(uncached.len(), cached.len(), "seed {seed}");
        }
    }
}
