//! Tests of concurrency control with many clients and runners, on each backend. The tests count the running tasks in
//! this process, outside of every store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use pynenc::prelude::*;
use pynenc::{InvocationId, PynencBuilder, RunnerHandle};
use pynenc_testkit::RedisServer;
use tempfile::TempDir;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

const SUBMITTERS: u32 = 8;
const ACCOUNTS: u32 = 4;
/// A task with this argument waits inside until two others are inside too.
const MEETS: u32 = 10_000;

/// The running tasks of each account.
struct Monitor {
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
    monitor: &'a Monitor,
    account: u32,
}

impl Monitor {
    fn new() -> Self {
        let (accounts, order) = Default::default();
        Self { accounts, order, crossing: Barrier::new(2), meeting: Barrier::new(3) }
    }

    /// Enters, yields so that other tasks may enter too, and leaves, even if the task is dropped.
    async fn visit(&self, account: u32) {
        let seen = |seen: &mut Seen| {
            *seen = Seen { inside: seen.inside + 1, most: seen.most.max(seen.inside + 1), visits: seen.visits + 1 };
        };
        seen(self.accounts.lock().unwrap().entry(account).or_default());
        let _visit = Visit { monitor: self, account };
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
        self.monitor.accounts.lock().unwrap().get_mut(&self.account).unwrap().inside -= 1;
    }
}

type SharedMonitor = State<Arc<Monitor>>;

#[task(running_concurrency = keys(account), running_limit = 3, reroute_on_concurrency_control, max_retries = 1, backoff = constant("1ms"))]
async fn three_at_once(
    account: u32,
    n: u32,
    #[inject] monitor: SharedMonitor,
    #[inject] run: TaskContext,
) -> Result<u32, String> {
    if n == MEETS {
        monitor.meeting.wait().await;
    }
    monitor.visit(account).await;
    if n.is_multiple_of(7) && run.attempt_number() == 1 { Err("not yet".into()) } else { Ok(n) }
}

#[task(registration_concurrency = keys(account))]
async fn one_waits(account: u32, n: u32, #[inject] monitor: SharedMonitor) -> u32 {
    monitor.visit(account).await;
    n
}

#[task(running_concurrency = keys(account), max_retries = 1, backoff = constant("1ms"))]
async fn one_or_none(
    account: u32,
    #[inject] monitor: SharedMonitor,
    #[inject] run: TaskContext,
) -> Result<u32, String> {
    monitor.visit(account).await;
    if run.attempt_number() == 1 { Err("not yet".into()) } else { Ok(run.attempt_number()) }
}

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn in_turn(n: u32, #[inject] monitor: SharedMonitor) {
    monitor.visit(0).await;
    monitor.order.lock().unwrap().push(n);
}

#[task(running_concurrency = task, reroute_on_concurrency_control)]
async fn waits_for_its_own_kind(depth: u32) -> Result<u32> {
    if depth == 0 { Ok(0) } else { waits_for_its_own_kind(depth - 1).await }
}

#[task(running_concurrency = keys(mine), reroute_on_concurrency_control)]
async fn crosses(mine: u32, other: u32, is_nested: bool, #[inject] monitor: SharedMonitor) -> Result<()> {
    if is_nested {
        return Ok(());
    }
    monitor.crossing.wait().await;
    crosses(other, mine, true).await
}

/// Clients and runners of one app. Over Redis and SQLite they are separate apps.
struct Apps {
    /// Is removed after the apps.
    _folder: Option<TempDir>,
    clients: Vec<Pynenc>,
    runners: Vec<RunnerHandle>,
    monitor: Arc<Monitor>,
}

fn builder(monitor: &Arc<Monitor>) -> PynencBuilder {
    let tasks = tasks![three_at_once, one_waits, one_or_none, in_turn, waits_for_its_own_kind, crosses];
    let builder = Pynenc::builder().without_config_file().environment([]).without_linked_tasks().tasks(tasks);
    builder.state(monitor.clone()).set("runner.concurrency", 16)
}

impl Apps {
    async fn in_memory(_name: &str, runners: usize) -> Self {
        let monitor = Arc::new(Monitor::new());
        let app = builder(&monitor).memory().build().await.unwrap();
        let mut apps = Self { _folder: None, clients: vec![app.clone()], runners: Vec::new(), monitor };
        for _ in 0..runners {
            apps.runners.push(app.start_runner().await.unwrap());
        }
        apps
    }

    async fn over_redis(name: &str, runners: usize) -> Self {
        let monitor = Arc::new(Monitor::new());
        let app = async || builder(&monitor).app_id(name).redis(&SERVER.url()).build().await.unwrap();
        let clients = vec![app().await, app().await, app().await];
        let mut started = Vec::new();
        for _ in 0..runners {
            started.push(app().await.start_runner().await.unwrap());
        }
        Self { _folder: None, clients, runners: started, monitor }
    }

    /// The connections of the clients and those of the runners are separate ones, as in two processes.
    async fn over_sqlite(_name: &str, runners: usize) -> Self {
        let monitor = Arc::new(Monitor::new());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let app = async |checkpoint: &str| {
            builder(&monitor).sqlite(&path).set("sqlite.checkpoint", checkpoint).build().await.unwrap()
        };
        let clients = vec![app("off").await];
        let mut started = Vec::new();
        for _ in 0..runners {
            started.push(app("auto").await.start_runner().await.unwrap());
        }
        Self { _folder: Some(folder), clients, runners: started, monitor }
    }

    fn client(&self, number: u32) -> Pynenc {
        self.clients[number as usize % self.clients.len()].clone()
    }

    /// All invocations of submitters that submit concurrently.
    async fn submitted<F, O, T>(&self, submit: F) -> Vec<Invocation<T>>
    where
        T: Task,
        F: Fn(Pynenc, u32) -> O,
        O: Future<Output = Vec<Invocation<T>>> + Send + 'static,
    {
        let submitters: JoinSet<_> = (0..SUBMITTERS).map(|number| submit(self.client(number), number)).collect();
        submitters.join_all().await.into_iter().flatten().collect()
    }

    /// Checks that no invocation is parked, and stops the runners.
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
                super::$check(super::Apps::in_memory(stringify!($check), $runners).await).await;
            })+
        }

        mod redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::Apps::over_redis(stringify!($check), $runners).await).await;
            })+
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                super::$check(super::Apps::over_sqlite(stringify!($check), $runners).await).await;
            })+
        }
    };
}

over_each_backend! {
    limits_hold_with_many_clients_and_runners by 4,
    one_invocation_waits_for_each_key_with_many_clients by 4,
    invocations_without_a_slot_are_dropped_and_retries_are_not by 4,
    slots_are_handed_over_in_order_of_submission by 1,
    a_slot_holder_that_awaits_its_own_key_fails_with_its_path by 2,
    slot_holders_that_await_each_other_fail_with_their_path by 2,
}

/// Submits single calls and batches, fails first attempts, and cancels at any time.
async fn limits_hold_with_many_clients_and_runners(apps: Apps) {
    let invocations = apps.submitted(|app, submitter| async move {
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
    assert!(apps.monitor.visits() >= succeeded && cancelled <= 8 * 6);
    apps.monitor.assert_never_more_than(3);
    assert_slots_are_free(&apps).await;
    apps.monitor.assert_never_more_than(3);
    apps.stop().await;
}

/// Three tasks of each account must be inside at the same time, which needs every slot.
async fn assert_slots_are_free(apps: &Apps) {
    let app = apps.client(0);
    for account in 0..ACCOUNTS {
        let group = app.submit_all((0..3).map(|_| three_at_once(account, MEETS))).await.unwrap();
        for invocation in group.invocations() {
            invocation.result_timeout(minutes(1)).await.unwrap();
        }
    }
}

/// Checks by the store's clock that each waiting invocation was claimed before the next was accepted.
async fn one_invocation_waits_for_each_key_with_many_clients(apps: Apps) {
    let invocations = apps.submitted(|app, submitter| async move {
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
    assert!(
        invocations.iter().all(|invocation| accepted.contains_key(&invocation.id())),
        "a duplicate has the id of an accepted invocation"
    );
    assert_eq!(apps.monitor.visits(), accepted.len(), "each accepted invocation runs once");
    let mut waits: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for (id, (from, till)) in accepted {
        let account = account_of(&apps, id).await;
        waits.entry(account).or_default().push((from, till));
    }
    for waits in waits.values_mut() {
        waits.sort_unstable();
        assert!(
            waits.windows(2).all(|pair| pair[0].1 <= pair[1].0),
            "two invocations waited at the same time: {waits:?}"
        );
    }
    apps.stop().await;
}

/// The times of the registration and of the claim.
async fn waited<T: Task>(invocation: &Invocation<T>) -> (u64, u64) {
    let history = invocation.history().await.unwrap();
    let at = |status| history.iter().find(|line| line.status == status).unwrap().at.as_millis();
    (at(Status::Registered), at(Status::Pending))
}

async fn account_of(apps: &Apps, id: InvocationId) -> u32 {
    let app = apps.client(0);
    let record = app.parts().state.invocations(&[id]).await.unwrap().remove(0).unwrap();
    app.arguments(&record).await.unwrap().take("account").unwrap()
}

/// Each invocation finishes: with a result after a retry, or dropped without a run.
async fn invocations_without_a_slot_are_dropped_and_retries_are_not(apps: Apps) {
    let invocations = apps.submitted(|app, submitter| async move {
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
    assert_eq!((ran + dropped, apps.monitor.visits()), (8 * 20, 2 * ran));
    assert!(ran >= ACCOUNTS as usize && dropped > 0, "{ran} ran");
    apps.monitor.assert_never_more_than(1);
    apps.stop().await;
}

async fn slots_are_handed_over_in_order_of_submission(apps: Apps) {
    let app = apps.client(0);
    let mut invocations = Vec::new();
    for n in 0..60 {
        invocations.push(app.submit(in_turn(n)).await.unwrap());
    }
    let group = app.submit_all((60..90).map(in_turn)).await.unwrap();
    for invocation in invocations.iter().chain(group.invocations()) {
        invocation.result_timeout(minutes(1)).await.unwrap();
    }
    assert_eq!(*apps.monitor.order.lock().unwrap(), (0..90).collect::<Vec<_>>());
    apps.monitor.assert_never_more_than(1);
    apps.stop().await;
}

async fn a_slot_holder_that_awaits_its_own_key_fails_with_its_path(apps: Apps) {
    let invocation = apps.client(0).submit(waits_for_its_own_kind(1)).await.unwrap();
    let error = invocation.result_timeout(minutes(1)).await.unwrap_err().to_string();
    assert!(error.contains("wait for each other") && error.contains(&invocation.id().to_string()), "{error}");
    apps.client(0).submit(waits_for_its_own_kind(0)).await.unwrap().result_timeout(minutes(1)).await.unwrap();
    apps.stop().await;
}

/// The invocation that closes the wait cycle fails, and frees the slot that the other's child waits for.
async fn slot_holders_that_await_each_other_fail_with_their_path(apps: Apps) {
    let app = apps.client(0);
    let group = app.submit_all([crosses(1, 2, false), crosses(2, 1, false)]).await.unwrap();
    let mut errors = Vec::new();
    for invocation in group.invocations() {
        errors.extend(invocation.result_timeout(minutes(1)).await.err().map(|error| error.to_string()));
    }
    let [error] = &errors[..] else { panic!("expected one error: {errors:?}") };
    let names_both = group.invocations().iter().all(|invocation| error.contains(&invocation.id().to_string()));
    assert!(error.contains("wait for each other") && names_both, "{error}");
    apps.stop().await;
}
