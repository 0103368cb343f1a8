//! A server that remembers the steps it made does the same as one that makes each anew.

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Settlement, Submission};
use pynenc_core::orchestrator::{
    Block, Claim, ClaimReply, Find, OutboxInterest, Registered, Tracked, Transition, TransitionReply,
};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Priority, Registration};
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change, Due, Expect};
use pynenc_core::{Broker, InvocationId, Lane, Orchestrator, Reason, RunnerId, StateBackend, Status, Timestamp};
use pynenc_redis::{RedisBroker, RedisConfig, RedisOrchestrator, RedisStateBackend, RedisStore, StartCheck};
use pynenc_testkit::RedisServer;

const SEEDS: u64 = 12;
const STEPS: usize = 60;

/// Every key of an app, without ids: what it is for, its type, and how much is in it.
const KEYS: &str = "local seen = {}
    local sizes = {string = 'STRLEN', set = 'SCARD', zset = 'ZCARD', list = 'LLEN', hash = 'HLEN'}
    for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
      local kind = redis.call('TYPE', key).ok
      local size = redis.call(sizes[kind], key)
      seen[#seen + 1] = string.sub(key, #ARGV[1] + 1, #ARGV[1] + 3) .. ' ' .. kind .. ' ' .. size
    end
    table.sort(seen)
    return table.concat(seen, ', ')";

/// One app, and what a walk through it has seen, with ids and runners as numbers and without times.
struct Walk<'a> {
    server: &'a RedisServer,
    forgets: bool,
    app: String,
    orchestrator: Arc<dyn Orchestrator>,
    lane: Arc<dyn Lane>,
    chance: fastrand::Rng,
    runners: [RunnerId; 2],
    ids: Vec<InvocationId>,
    running: Vec<Tracked>,
    paused: Vec<Tracked>,
    seen: Vec<String>,
}

impl<'a> Walk<'a> {
    async fn new(server: &'a RedisServer, seed: u64, forgets: bool) -> Self {
        let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(server.url()) };
        let app = InvocationId::new().to_string();
        let store = RedisStore::connect(&config, &app).await.expect("the server runs");
        let broker: Arc<dyn Broker> = Arc::new(RedisBroker::new(store.clone()));
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(RedisOrchestrator::new(store.clone()));
        let state: Arc<dyn StateBackend> = Arc::new(RedisStateBackend::new(store));
        let lane = orchestrator.lane(&broker, &state).expect("all are on one server");
        let (runners, chance) = ([RunnerId::new(), RunnerId::new()], fastrand::Rng::with_seed(seed));
        Self {
            server,
            forgets,
            app,
            orchestrator,
            lane,
            chance,
            runners,
            ids: Vec::new(),
            running: Vec::new(),
            paused: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Everything that was seen on a walk, and what is there at its end.
    async fn made(mut self) -> Vec<String> {
        for _ in 0..STEPS {
            if self.forgets {
                self.server.function_flush();
            }
            match self.chance.u8(..10) {
                0..=1 => self.submit().await,
                2..=3 => self.take().await,
                4..=6 => self.settle().await,
                7 => self.call().await,
                8 => self.resume().await,
                _ => self.disturb().await,
            }
        }
        self.look().await;
        self.seen
    }

    fn submission(&mut self, parent: Option<InvocationId>) -> Submission {
        let task = *self.chance.choice(&["shop::confirm", "shop::ship"]).expect("there are two");
        let mut registration = Registration::new(InvocationId::new(), task.into(), "default".into());
        registration.priority = Priority::new(self.chance.u8(4..6));
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
        let submissions = (0..self.chance.usize(1..4)).map(|_| self.submission(None)).collect();
        for reply in self.lane.submit(submissions).await.expect("submit") {
            let Registered::New(tracked) = reply.expect("registered") else { panic!("it is new") };
            self.note("submitted", &tracked);
        }
    }

    fn claim(&mut self) -> Claim {
        let runner = *self.chance.choice(&self.runners).expect("there are two");
        Claim::new(Vec::new(), runner).running_below(2)
    }

    async fn take(&mut self) {
        let pop = Pop { queues: vec!["default".into()], max: self.chance.usize(1..4), wait: Duration::ZERO };
        let claim = self.claim();
        for Claimed { id, reply, record } in self.lane.take(&pop, &claim).await.expect("take") {
            self.seen.push(format!("took {} with a record: {}", self.number(id), record.is_some()));
            if let ClaimReply::Granted(tracked) = reply {
                self.note("granted", &tracked);
                self.running.push(tracked);
            }
        }
    }

    async fn settle(&mut self) {
        let count = self.chance.usize(1..4).min(self.running.len());
        let settlements: Vec<_> = (0..count).map(|_| self.settlement()).collect();
        self.settled(settlements).await;
    }

    fn settlement(&mut self) -> Settlement {
        let tracked = self.running.swap_remove(self.chance.usize(..self.running.len()));
        let by = By::Owner(tracked.record.owner.expect("somebody owns it"));
        let change = match self.chance.u8(..6) {
            0 => Change { due: Some(Due::In(Duration::ZERO)), ..Change::new(Status::Retry, by, Reason::Raised) },
            1 => Change::new(Status::Rerouted, by, Reason::Shutdown),
            2 => Change { detail: Some("why".into()), ..Change::new(Status::Failed, by, Reason::Raised) },
            3 => Change::new(Status::Failed, by, Reason::TimedOut),
            _ => Change::new(Status::Success, by, Reason::Returned),
        };
        let value = Payload::Inline(b"1".as_slice().into());
        let outcome = Outcome::Value { value, serializer: "JsonSerializer".into() };
        let write = OutcomeWrite { id: tracked.id, epoch: tracked.record.epoch, outcome };
        let transition = Transition { id: tracked.id, expect: Expect::from(&tracked.record), change };
        Settlement { outcome: Some(write), transition, requeue: Some(tracked.message()) }
    }

    async fn settled(&mut self, settlements: Vec<Settlement>) {
        for reply in self.lane.settle(settlements).await.expect("settle") {
            match reply.expect("judged") {
                TransitionReply::Done { record, .. } => self.seen.push(format!("done {:?}", record.status)),
                other => self.seen.push(format!("{:?}", std::mem::discriminant(&other))),
            }
        }
    }

    /// A body calls another, which its runner claims.
    async fn call(&mut self) {
        let Some(mut caller) = self.running.pop() else { return };
        let submission = self.submission(Some(caller.id));
        let runner = caller.record.owner.expect("somebody owns it");
        let block = Block { waiter: caller.id, expect: Expect::from(&caller.record), runner, on: Vec::new() };
        let claim = Claim::new(Vec::new(), runner).running_below(2);
        match self.lane.call(submission, &block, Some(&claim).filter(|_| self.chance.bool())).await.expect("call") {
            Called::Waiting { child, waiter, claimed, .. } => {
                self.note("called", &child);
                caller.record = waiter;
                self.note("its caller", &caller);
                self.paused.push(caller);
                self.running.extend(claimed.inspect(|claimed| self.seen.push(format!("{:?}", claimed.record.starts))));
            }
            other => {
                self.seen.push(format!("{:?}", std::mem::discriminant(&other)));
                self.ids.pop();
            }
        }
    }

    async fn resume(&mut self) {
        let Some(mut tracked) = self.paused.pop() else { return };
        let by = By::Owner(tracked.record.owner.expect("somebody owns it"));
        let change = Change::new(Status::Running, by, Reason::Resumed);
        let transition = Transition { id: tracked.id, expect: Expect::from(&tracked.record), change };
        let settlement = Settlement { outcome: None, transition, requeue: None };
        if let Ok(TransitionReply::Done { record, .. }) =
            self.lane.settle(vec![settlement]).await.expect("settle").remove(0)
        {
            tracked.record = record;
            self.note("resumed", &tracked);
            self.running.push(tracked);
        }
    }

    /// A cancel, a watch or a loss, of any of them.
    async fn disturb(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let id = self.ids[self.chance.usize(..self.ids.len())];
        match self.chance.u8(..4) {
            0 => drop(self.orchestrator.cancel(&[id]).await.expect("cancel")),
            1 => drop(self.orchestrator.watch(&[id]).await.expect("watch")),
            2 => self.want().await,
            _ => {
                let tracked = self.orchestrator.records(&[id]).await.expect("records").remove(0).expect("it is there");
                let change = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
                let transition = Transition { id, expect: Expect::from(&tracked.record), change };
                let settlement = Settlement { outcome: None, transition, requeue: Some(tracked.message()) };
                self.settled(vec![settlement]).await;
            }
        }
    }

    /// Somebody wants to be told of some of the ends that come.
    async fn want(&mut self) {
        let interest = OutboxInterest {
            listener: "listener".into(),
            task: "shop::confirm".into(),
            statuses: vec![Status::Success],
        };
        self.orchestrator.want(&[interest], Duration::from_secs(3600)).await.expect("want");
    }

    async fn look(&mut self) {
        for id in self.ids.clone() {
            let tracked = self.orchestrator.records(&[id]).await.expect("records").remove(0).expect("it is there");
            self.note("at the end", &tracked);
            for entry in self.orchestrator.history(id).await.expect("history") {
                let (runner, version, epoch) = (self.runner(entry.runner), entry.version, entry.epoch);
                let what = format!("{version} {epoch} {:?} {:?} {:?}", entry.status, entry.reason, entry.detail);
                self.seen.push(format!("  {what} by {runner}"));
            }
        }
        self.seen.push(format!("{:?}", self.orchestrator.count().await.expect("count")));
        let queued = self.orchestrator.queued(None, Duration::ZERO, 1000).await.expect("queued").items;
        let found = self.orchestrator.find(&Find { limit: 1000, ..Find::default() }).await.expect("find").items;
        let mut owned = Vec::new();
        for runner in self.runners {
            owned.extend(self.orchestrator.owned(runner).await.expect("owned"));
        }
        for (what, items) in [("queued", queued), ("found", found), ("owned", owned)] {
            let mut numbers: Vec<_> = items.iter().map(|item| self.number(item.id)).collect();
            numbers.sort_unstable();
            self.seen.push(format!("{what}: {numbers:?}"));
        }
        self.seen.push(self.server.command(&["EVAL", KEYS, "0", &format!("{{{}}}:", self.app)]));
    }

    fn note(&mut self, what: &str, tracked: &Tracked) {
        let Tracked { task, queue, priority, record, .. } = tracked;
        let (number, owner, due) = (self.number(tracked.id), self.runner(record.owner), record.due.is_some());
        let counts = [record.deliveries, record.starts, record.losses, record.retries];
        let place = (record.version, record.epoch, record.cancel_requested);
        let is = format!("{:?} {:?} {place:?} {counts:?} due: {due}", record.status, record.reason);
        self.seen.push(format!("{what} {number}: {task} {queue} {priority:?} {is} of {owner}"));
    }

    fn number(&self, id: InvocationId) -> usize {
        self.ids.iter().position(|known| *known == id).expect("it was submitted")
    }

    fn runner(&self, runner: Option<RunnerId>) -> String {
        let place = runner.map(|runner| self.runners.iter().position(|known| *known == runner).expect("it is known"));
        place.map_or_else(|| "nobody".to_owned(), |place| place.to_string())
    }
}

#[tokio::test]
async fn remembered_steps_are_those_that_are_made_anew() {
    let (forgetful, other) = (RedisServer::start(), RedisServer::start());
    for seed in 0..SEEDS {
        let anew = Walk::new(&forgetful, seed, true).await.made().await;
        for _ in 0..2 {
            let remembered = Walk::new(&other, seed, false).await.made().await;
            for (anew, remembered) in anew.iter().zip(&remembered) {
                assert_eq!(anew, remembered, "seed {seed}");
            }
            assert_eq!(anew.len(), remembered.len(), "seed {seed}");
        }
    }
}
