//! Concurrency control while many submit and many run at once, over each backend. Who is inside is counted in this
//! process, outside of every store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use pynenc::prelude::*;
use pynenc::{InvocationId, PynencBuilder, RunnerHandle};
use pynenc_testkit::RedisServer;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

const SUBMITTERS: u32 = 8;
const ACCOUNTS: u32 = 4;
/// Bodies called with this meet two others, inside.
const MEETS: u32 = 10_000;

/// Who was inside, by account.
struct Ledger {
    accounts: Mutex<BTreeMap<u32, Seen>>,
    order: Mutex<Vec<u32>>,
    crossing: Barrier,
    meeting: Barrier,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    inside: usize,
    most: usize,
    visits: usize,
}

struct Visit<'a> {
    ledger: &'a Ledger,
    account: u32,
}

impl Ledger {
    fn new() -> Self {
        let (accounts, order) = Default::default();
        Self { accounts, order, crossing: Barrier::new(2), meeting: Barrier::new(3) }
    }

    /// Goes in, lets others try the same, and comes out, even if it is dropped.
    async fn visit(&self, account: u32) {
        let seen = |seen: &mut Seen| {
            *seen = Seen { inside: seen.inside + 1, most: seen.most.max(seen.inside + 1), visits: seen.visits + 1 };
        };
        seen(self.accounts.lock().unwrap().entry(account).or_default());
        let _visit = Visit { ledger: self, account };
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn seen(&self) -> BTreeMap<u32, Seen> {
        self.accounts.lock().unwrap().clone()
    }

    fn visits(&self) -> usize {
        self.seen().values().map(|seen| seen.visits).sum()
    }

    fn assert_never_more_than(&self, limit: usize) {
        let seen = self.seen();
        assert!(!seen.is_empty() && seen.values().all(|seen| seen.most <= limit && seen.inside == 0), "{seen:?}");
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.ledger.accounts.lock().unwrap().get_mut(&self.account).unwrap().inside -= 1;
    }
}

type Doors = State<Arc<Ledger>>;

#[task(running_concurrency = keys(account), running_limit = 3, reroute_on_concurrency_control, max_retries = 1, backoff = constant("1ms"))]
async fn three_at_once(
    account: u32,
    n: u32,
    #[inject] doors: Doors,
    #[inject] run: TaskContext,
) -> Result<u32, String> {
    if n == MEETS {
        doors.meeting.wait().await;
    }
    doors.visit(account).await;
    if n.is_multiple_of(7) && run.attempt_number() == 1 { Err("not yet".into()) } else { Ok(n) }
}

#[task(registration_concurrency = keys(account))]
async fn one_waits(account: u32, n: u32, #[inject] doors: Doors) -> u32 {
    doors.visit(account).await;
    n
}

#[task(running_concurrency = keys(account), max_retries = 1, backoff = constant("1ms"))]
async fn one_or_none(account: u32, #[inject] doors: Doors, #[inject] run: TaskContext) -> Result<u32, String> {
    doors.visit(account).await;
    if run.attempt_number() == 1 { Err("not yet".into()) } else { Ok(run.attempt_number()) }
}

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn in_turn(n: u32, #[inject] doors: Doors) {
    doors.visit(0).await;
    doors.order.lock().unwrap().push(n);
}

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn waits_for_its_own_kind(depth: u32) -> Result<u32> {
    if depth == 0 { Ok(0) } else { waits_for_its_own_kind(depth - 1).await }
}

#[task(running_concurrency = keys(mine), reroute_on_concurrency_control)]
async fn crosses(mine: u32, other: u32, is_nested: bool, #[inject] doors: Doors) -> Result<()> {
    if is_nested {
        return Ok(());
    }
    doors.crossing.wait().await;
    crosses(other, mine, true).await
}

/// Clients and runners of one app; over Redis they share nothing else.
struct Fleet {
    clients: Vec<Pynenc>,
    runners: Vec<RunnerHandle>,
    ledger: Arc<Ledger>,
}

fn builder(ledger: &Arc<Ledger>) -> PynencBuilder {
    let tasks = tasks![three_at_once, one_waits, one_or_none, in_turn, waits_for_its_own_kind, crosses];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    builder.state(ledger.clone()).set("runner.concurrency", 16)
}

impl Fleet {
    async fn in_memory(_name: &str, runners: usize) -> Self {
        let ledger = Arc::new(Ledger::new());
        let app = builder(&ledger).memory().build().await.unwrap();
        let mut fleet = Self { clients: vec![app.clone()], runners: Vec::new(), ledger };
        for _ in 0..runners {
            fleet.runners.push(app.start_runner().await.unwrap());
        }
        fleet
    }

    async fn over_redis(name: &str, runners: usize) -> Self {
        let ledger = Arc::new(Ledger::new());
        let app = async || builder(&ledger).app_id(name).redis(&SERVER.url()).build().await.unwrap();
        let clients = vec![app().await, app().await, app().await];
        let mut started = Vec::new();
        for _ in 0..runners {
            started.push(app().await.start_runner().await.unwrap());
        }
        Self { clients, runners: started, ledger }
    }

    fn client(&self, number: u32) -> Pynenc {
        self.clients[number as usize % self.clients.len()].clone()
    }

    /// What every submitter got, all of them submitting at once.
    async fn submitted<F, O, T>(&self, submit: F) -> Vec<Invocation<T>>
    where
        T: Task,
        F: Fn(Pynenc, u32) -> O,
        O: Future<Output = Vec<Invocation<T>>> + Send + 'static,
    {
        let submitters: JoinSet<_> = (0..SUBMITTERS).map(|number| submit(self.client(number), number)).collect();
        submitters.join_all().await.into_iter().flatten().collect()
    }

    /// Nothing is left behind: no one is parked, and every account has as many free slots as at first.
    async fn stop(self) {
        assert_eq!(self.client(0).count(Status::ConcurrencyControlled).await.unwrap(), 0);
        for runner in self.runners {
            runner.shutdown().await.unwrap();
        }
    }
}

macro_rules! over_each_backend {
    ($($check:ident by $runners:literal,)+) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::Fleet::in_memory(stringify!($check), $runners).await).await;
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::Fleet::over_redis(stringify!($check), $runners).await).await;
            })+
        }
    };
}

over_each_backend! {
    limits_hold_whoever_submits_and_runs by 4,
    one_waits_for_each_key_whoever_submits by 4,
    what_finds_no_slot_is_dropped_and_what_has_run_is_not by 4,
    slots_go_to_who_came_first by 1,
    a_slot_that_waits_for_itself_ends_with_its_path by 2,
    slots_that_wait_for_each_other_end_with_their_path by 2,
}

/// Singles and batches, first attempts that fail, and cancels at any time.
async fn limits_hold_whoever_submits_and_runs(fleet: Fleet) {
    let invocations = fleet.submitted(|app, submitter| async move {
        let mut invocations = Vec::new();
        for round in 0..6 {
            let n = submitter * 100 + round * 10;
            let group = app.submit_all((n..n + 8).map(|n| three_at_once(n % ACCOUNTS, n))).await.unwrap();
            invocations.extend(group.invocations().iter().cloned());
            invocations.push(app.submit(three_at_once(round % ACCOUNTS, n + 8)).await.unwrap());
            invocations[invocations.len() - 5].cancel().await.unwrap();
        }
        invocations
    });
    let (mut succeeded, mut cancelled) = (0, 0);
    for invocation in invocations.await {
        match invocation.result_timeout(minutes(1)).await {
            Ok(_) => succeeded += 1,
            Err(Error::Cancelled(_)) => cancelled += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(succeeded + cancelled, 8 * 6 * 9);
    assert!(fleet.ledger.visits() >= succeeded && cancelled <= 8 * 6);
    fleet.ledger.assert_never_more_than(3);
    assert_slots_are_free(&fleet).await;
    fleet.ledger.assert_never_more_than(3);
    fleet.stop().await;
}

/// Three bodies of each account have to meet, which they can't if a slot was lost.
async fn assert_slots_are_free(fleet: &Fleet) {
    let app = fleet.client(0);
    for account in 0..ACCOUNTS {
        let group = app.submit_all((0..3).map(|_| three_at_once(account, MEETS))).await.unwrap();
        for invocation in group.invocations() {
            invocation.result_timeout(minutes(1)).await.unwrap();
        }
    }
}

/// While one waits there is no second: each was claimed before the next was accepted, by the store's own clock.
async fn one_waits_for_each_key_whoever_submits(fleet: Fleet) {
    let invocations = fleet.submitted(|app, submitter| async move {
        let mut invocations = Vec::new();
        for n in 0..40 {
            let account = (submitter + n) % ACCOUNTS;
            if n.is_multiple_of(4) {
                let group = app.submit_all((0..3).map(|n| one_waits(account, n))).await.unwrap();
                invocations.extend(group.invocations().iter().cloned());
            } else {
                invocations.push(app.submit(one_waits(account, n)).await.unwrap());
            }
        }
        invocations
    });
    let invocations = invocations.await;
    let mut accepted = HashMap::new();
    for invocation in &invocations {
        invocation.result_timeout(minutes(1)).await.unwrap();
        if !invocation.is_reused() {
            accepted.insert(invocation.id(), waited(invocation).await);
        }
    }
    assert!(invocations.iter().all(|invocation| accepted.contains_key(&invocation.id())), "a duplicate is another's");
    assert_eq!(fleet.ledger.visits(), accepted.len(), "what was accepted ran once");
    let mut waits: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (id, (from, till)) in accepted {
        let account = account_of(&fleet, id).await;
        waits.entry(account).or_default().push((from, till));
    }
    for waits in waits.values_mut() {
        waits.sort_unstable();
        assert!(waits.windows(2).all(|pair| pair[0].1 <= pair[1].0), "two waited at once: {waits:?}");
    }
    fleet.stop().await;
}

/// When it was accepted and when it was claimed.
async fn waited<T: Task>(invocation: &Invocation<T>) -> (u64, u64) {
    let history = invocation.history().await.unwrap();
    let at = |status| history.iter().find(|line| line.status == status).unwrap().at.as_millis();
    (at(Status::Registered), at(Status::Pending))
}

async fn account_of(fleet: &Fleet, id: InvocationId) -> u32 {
    let app = fleet.client(0);
    let record = app.parts().state.invocations(&[id]).await.unwrap().remove(0).unwrap();
    app.arguments(&record).await.unwrap().take("account").unwrap()
}

/// Everything ends: with a value after a retry, or with the error of what was dropped and never ran.
async fn what_finds_no_slot_is_dropped_and_what_has_run_is_not(fleet: Fleet) {
    let invocations = fleet.submitted(|app, submitter| async move {
        let mut invocations = Vec::new();
        for n in 0..20 {
            invocations.push(app.submit(one_or_none((submitter + n) % ACCOUNTS)).await.unwrap());
        }
        invocations
    });
    let (mut ran, mut dropped) = (0, 0);
    for invocation in invocations.await {
        let outcome = invocation.result_timeout(minutes(1)).await;
        let statuses: Vec<_> = invocation.history().await.unwrap().iter().map(|line| line.status).collect();
        match outcome {
            Ok(attempt) => {
                assert_eq!(attempt, 2);
                ran += 1;
            }
            Err(Error::DroppedByConcurrencyControl(id)) => {
                assert_eq!(id, invocation.id());
                assert_eq!(statuses, [Status::Registered, Status::ConcurrencyControlledFinal]);
                dropped += 1;
            }
            Err(error) => panic!("{error}: {statuses:?}"),
        }
    }
    assert_eq!((ran + dropped, fleet.ledger.visits()), (8 * 20, 2 * ran));
    assert!(ran >= ACCOUNTS as usize && dropped > 0, "{ran} ran");
    fleet.ledger.assert_never_more_than(1);
    fleet.stop().await;
}

async fn slots_go_to_who_came_first(fleet: Fleet) {
    let app = fleet.client(0);
    let mut invocations = Vec::new();
    for n in 0..60 {
        invocations.push(app.submit(in_turn(n)).await.unwrap());
    }
    let group = app.submit_all((60..90).map(in_turn)).await.unwrap();
    for invocation in invocations.iter().chain(group.invocations()) {
        invocation.result_timeout(minutes(1)).await.unwrap();
    }
    assert_eq!(*fleet.ledger.order.lock().unwrap(), (0..90).collect::<Vec<_>>());
    fleet.ledger.assert_never_more_than(1);
    fleet.stop().await;
}

async fn a_slot_that_waits_for_itself_ends_with_its_path(fleet: Fleet) {
    let invocation = fleet.client(0).submit(waits_for_its_own_kind(1)).await.unwrap();
    let error = invocation.result_timeout(minutes(1)).await.unwrap_err().to_string();
    assert!(error.contains("wait for each other") && error.contains(&invocation.id().to_string()), "{error}");
    fleet.client(0).submit(waits_for_its_own_kind(0)).await.unwrap().result_timeout(minutes(1)).await.unwrap();
    fleet.stop().await;
}

/// The one whose wait closes the circle fails, and frees the slot that the other's child waits for.
async fn slots_that_wait_for_each_other_end_with_their_path(fleet: Fleet) {
    let app = fleet.client(0);
    let group = app.submit_all([crosses(1, 2, false), crosses(2, 1, false)]).await.unwrap();
    let mut errors = Vec::new();
    for invocation in group.invocations() {
        errors.extend(invocation.result_timeout(minutes(1)).await.err().map(|error| error.to_string()));
    }
    let [error] = &errors[..] else { panic!("one of them fails: {errors:?}") };
    let names_both = group.invocations().iter().all(|invocation| error.contains(&invocation.id().to_string()));
    assert!(error.contains("wait for each other") && names_both, "{error}");
    fleet.stop().await;
}
