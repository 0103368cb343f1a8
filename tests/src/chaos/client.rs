//! What a client process does until it is told to stop: it submits calls of all kinds, some of which it waits for, and
//! writes down what was acknowledged and what it was given.

use std::fmt::Debug;
use std::time::Duration;

use fastrand::Rng;
use pynenc::prelude::*;
use tokio::task::JoinSet;

use super::load::{self, blocking, flaky, flow, limited, of_flow, of_parent, parent, plain, single, slow};
use crate::work::Stage;

/// The gate at which clients stop.
pub(super) const STOP: &str = "stop";
/// What a client writes down of an event whose emission was acknowledged.
pub(super) const EMITTED: &str = "emitted";
/// What a client writes down of a value that isn't what it should be.
pub(super) const WRONG: &str = "wrong";
/// The variables that tell a client its seed and how long it pauses between calls.
pub(super) const SEED: &str = "PYNENC_CHAOS_SEED";
pub(super) const PAUSE: &str = "PYNENC_CHAOS_PAUSE_MS";

/// More than so many aren't waited for at once.
const MOST_WAITS: usize = 200;
/// What isn't there then is looked at by the oracles alone.
const WAIT: Duration = Duration::from_secs(60);

fn variable(name: &str) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

pub(super) async fn run() -> Result<()> {
    let stage = Stage::of_environment();
    let app = load::built(&stage).await?;
    let mut client = Client { app, stage, random: Rng::with_seed(variable(SEED)), waits: JoinSet::new() };
    let pause = millis(variable(PAUSE));
    while !client.stage.is_open(STOP) {
        client.act().await;
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

struct Client {
    app: Pynenc,
    stage: Stage,
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
            _ => self.found(n).await,
        }
    }

    /// Submits until it is acknowledged, and has somebody wait for the value.
    async fn submit<T>(&mut self, call: impl Fn() -> Call<T>, value: T::Output)
    where
        T: Task<Output: PartialEq + Debug>,
    {
        if let Some(invocation) = self.accepted(call).await {
            self.wait_for(invocation, value);
        }
    }

    /// Submits until it is acknowledged: under its key a repeat means the same call.
    async fn accepted<T: Task>(&mut self, call: impl Fn() -> Call<T>) -> Option<Invocation<T>> {
        let key = self.key();
        let invocation = self.acknowledged(async |app| app.submit(call().idempotency_key(&key)).await).await?;
        self.accept(&invocation);
        Some(invocation)
    }

    fn key(&mut self) -> String {
        format!("{:016x}", self.random.u64(..))
    }

    /// Tries until a store answers, or everything stops.
    async fn acknowledged<R>(&self, call: impl AsyncFn(&Pynenc) -> Result<R>) -> Option<R> {
        while !self.stage.is_open(STOP) {
            match call(&self.app).await {
                Ok(reply) => return Some(reply),
                Err(Error::Unavailable { .. }) => tokio::time::sleep(millis(50)).await,
                Err(error) => return self.wrong(&format!("a submit gave {error:?}")),
            }
        }
        None
    }

    fn wrong<R>(&self, what: &str) -> Option<R> {
        self.write(&format!("{WRONG} {}", what.replace('\n', " ")));
        None
    }

    fn write(&self, line: &str) {
        self.stage.ledger.write(line).expect("the stage is there as long as the client");
    }

    fn accept<T: Task>(&self, invocation: &Invocation<T>) {
        self.stage.ledger.accept(invocation.id()).expect("the stage is there as long as the client");
    }

    fn wait_for<T>(&mut self, invocation: Invocation<T>, value: T::Output)
    where
        T: Task<Output: PartialEq + Debug>,
    {
        while self.waits.try_join_next().is_some() {}
        if self.waits.len() < MOST_WAITS {
            self.waits.spawn(see(self.stage.clone(), invocation, value));
        }
    }

    async fn submit_batch(&mut self, n: u64) {
        let keys: Vec<String> = (0..20).map(|_| self.key()).collect();
        let calls = || keys.iter().map(|key| plain(n).idempotency_key(key));
        let Some(group) = self.acknowledged(async |app| app.submit_all(calls()).await).await else { return };
        group.invocations().iter().for_each(|invocation| self.accept(invocation));
    }

    /// One for which another one may stand, which is acknowledged in its place.
    async fn submit_single(&mut self, account: u64) {
        let call = || single(account).delay(millis(100));
        if let Some(invocation) = self.acknowledged(async |app| app.submit(call()).await).await {
            self.accept(&invocation);
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

    /// Founds a workflow, and emits what it waits for; if this process doesn't come to that, whoever started it does.
    async fn found(&mut self, n: u64) {
        if let Some(invocation) = self.accepted(|| flow(n)).await {
            self.acknowledged(async |app| load::tell_flow(app, n).await).await;
            self.wait_for(invocation, of_flow(n));
        }
    }
}

/// Waits for a value, and writes it down.
async fn see<T>(stage: Stage, invocation: Invocation<T>, value: T::Output)
where
    T: Task<Output: PartialEq + Debug>,
{
    let id = invocation.id();
    let line = match tokio::time::timeout(WAIT, given(&invocation)).await {
        Ok(Ok(given)) if given == value => {
            let given = serde_json::to_string(&given).expect("a number has a text");
            format!("saw {id} {given}")
        }
        Ok(given) => format!("{WRONG} {id} gave {given:?}, and not {value:?}").replace('\n', " "),
        Err(_) => return,
    };
    stage.ledger.write(&line).expect("the stage is there as long as the client");
}

async fn given<T: Task>(invocation: &Invocation<T>) -> Result<T::Output> {
    loop {
        match invocation.result().await {
            Err(Error::Unavailable { .. }) => tokio::time::sleep(millis(100)).await,
            given => return given,
        }
    }
}
