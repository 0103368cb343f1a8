//! A client process. Until it is stopped, it submits calls of all kinds, waits for some of them, and records
//! acknowledged submits and received results.

use std::fmt::Debug;
use std::time::Duration;

use fastrand::Rng;
use pynenc::prelude::*;
use tokio::task::JoinSet;

use super::load::{self, blocking, flaky, flow, limited, of_flow, of_parent, parent, plain, single, slow};
use crate::worker_tasks::SharedFolder;

/// The gate that stops clients.
pub(super) const STOP: &str = "stop";
/// The action that a client records for an acknowledged event.
pub(super) const EMITTED: &str = "emitted";
/// The action that a client records for a wrong result.
pub(super) const WRONG: &str = "wrong";
/// The variables with a client's seed and its pause between two calls.
pub(super) const SEED: &str = "PYNENC_CHAOS_SEED";
pub(super) const PAUSE: &str = "PYNENC_CHAOS_PAUSE_MS";

/// The maximum number of concurrent waits.
const MOST_WAITS: usize = 200;
/// The longest wait. The oracles check later results.
const WAIT: Duration = Duration::from_secs(60);

fn variable(name: &str) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Runs a client process until it is stopped.
///
/// # Errors
///
/// The app can't be built. An unavailable store isn't an error.
pub async fn run() -> Result<()> {
    let shared = SharedFolder::of_environment();
    let app = load::build_app(&shared).await?;
    let mut client = Client { app, shared, random: Rng::with_seed(variable(SEED)), waits: JoinSet::new() };
    let pause = millis(variable(PAUSE));
    while !client.shared.is_open(STOP) {
        client.act().await;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

struct Client {
    app: Pynenc,
    shared: SharedFolder,
    random: Rng,
    waits: JoinSet<()>,
}

impl Client {
    async fn act(&mut self) {
        let (n, account) = (self.random.u64(..1 << 40), self.random.u64(..4));
        match self.random.u32(..100) {
            0..30 => self.submit(|| plain(n), 2 * n).await,
            30..40 => self.submit(|| flaky(n), 2 * n).await,
            40..55 => self.submit(|| limited(account, n), 2 * n).await,
            55..62 => self.submit(|| parent(n), of_parent(n)).await,
            62..68 => self.submit(|| slow(50 + n % 500), 2 * (50 + n % 500)).await,
            68..71 => self.submit(|| blocking(80), 160).await,
            71..77 => self.submit(|| plain(n).delay(millis(100 + n % 3000)), 2 * n).await,
            77..82 => self.submit_batch(n).await,
            82..87 => self.submit_single(account).await,
            87..90 => self.cancel(n).await,
            90..95 => self.emit(n).await,
            _ => self.start_workflow(n).await,
        }
    }

    /// Submits a call until it is acknowledged, and waits for its result in the background.
    async fn submit<T>(&mut self, call: impl Fn() -> Call<T>, value: T::Output)
    where
        T: Task<Output: PartialEq + Debug>,
    {
        if let Some(invocation) = self.accepted(call).await {
            self.wait_for(invocation, value);
        }
    }

    /// Submits a call until it is acknowledged. The idempotency key makes repeats safe.
    async fn accepted<T: Task>(&mut self, call: impl Fn() -> Call<T>) -> Option<Invocation<T>> {
        let key = self.key();
        let invocation = self.acknowledged(async |app| app.submit(call().idempotency_key(&key)).await).await?;
        self.record_accepted(&invocation);
        Some(invocation)
    }

    fn key(&mut self) -> String {
        format!("{:016x}", self.random.u64(..))
    }

    /// Repeats a request until a store answers or the run stops.
    async fn acknowledged<R>(&self, call: impl AsyncFn(&Pynenc) -> Result<R>) -> Option<R> {
        while !self.shared.is_open(STOP) {
            match call(&self.app).await {
                Ok(reply) => return Some(reply),
                Err(Error::Unavailable { .. }) => tokio::time::sleep(millis(50)).await,
                Err(error) => return self.record_wrong(&format!("a submit failed: {error:?}")),
            }
        }
        None
    }

    fn record_wrong<R>(&self, what: &str) -> Option<R> {
        self.write(&format!("{WRONG} {}", what.replace('\n', " ")));
        None
    }

    fn write(&self, line: &str) {
        self.shared.ledger.write(line).expect("the shared folder outlives the client");
    }

    fn record_accepted<T: Task>(&self, invocation: &Invocation<T>) {
        self.shared.ledger.record_accepted(invocation.id()).expect("the shared folder outlives the client");
    }

    fn wait_for<T>(&mut self, invocation: Invocation<T>, value: T::Output)
    where
        T: Task<Output: PartialEq + Debug>,
    {
        while self.waits.try_join_next().is_some() {}
        if self.waits.len() < MOST_WAITS {
            self.waits.spawn(record_result(self.shared.clone(), invocation, value));
        }
    }

    async fn submit_batch(&mut self, n: u64) {
        let keys: Vec<String> = (0..20).map(|_| self.key()).collect();
        let calls = || keys.iter().map(|key| plain(n).idempotency_key(key));
        let Some(group) = self.acknowledged(async |app| app.submit_all(calls()).await).await else { return };
        group.invocations().iter().for_each(|invocation| self.record_accepted(invocation));
    }

    /// Submits a call that may be merged with another waiting one. The other's id is acknowledged then.
    async fn submit_single(&mut self, account: u64) {
        let call = || single(account).delay(millis(100));
        if let Some(invocation) = self.acknowledged(async |app| app.submit(call()).await).await {
            self.record_accepted(&invocation);
        }
    }

    async fn cancel(&mut self, n: u64) {
        if let Some(invocation) = self.accepted(|| slow(300 + n % 2)).await {
            self.acknowledged(async |app| app.cancel(invocation.id()).await).await;
        }
    }

    async fn emit(&mut self, n: u64) {
        if self.acknowledged(async |app| app.emit_event("n", &n).await).await.is_some() {
            self.write(&format!("{EMITTED} {n}"));
        }
    }

    /// Starts a workflow and emits its event. If this client is killed in between, the chaos run emits the event.
    async fn start_workflow(&mut self, n: u64) {
        if let Some(invocation) = self.accepted(|| flow(n)).await {
            self.acknowledged(async |app| load::emit_flow_event(app, n).await).await;
            self.wait_for(invocation, of_flow(n));
        }
    }
}

/// Waits for a result and records it.
async fn record_result<T>(shared: SharedFolder, invocation: Invocation<T>, value: T::Output)
where
    T: Task<Output: PartialEq + Debug>,
{
    let id = invocation.id();
    let line = match tokio::time::timeout(WAIT, result_of(&invocation)).await {
        Ok(Ok(result)) if result == value => {
            let result = serde_json::to_string(&result).expect("a number can be written as JSON");
            format!("saw {id} {result}")
        }
        Ok(result) => format!("{WRONG} {id} returned {result:?} instead of {value:?}").replace('\n', " "),
        Err(_) => return,
    };
    shared.ledger.write(&line).expect("the shared folder outlives the client");
}

async fn result_of<T: Task>(invocation: &Invocation<T>) -> Result<T::Output> {
    loop {
        match invocation.result().await {
            Err(Error::Unavailable { .. }) => tokio::time::sleep(millis(100)).await,
            result => return result,
        }
    }
}
