//! Four tasks with different concurrency limits, and a bank that counts their collisions.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pynenc::prelude::*;

const ACCOUNTS: u32 = 4;
const CALLS_FOR_EACH: u32 = 6;

/// A service that can handle one visit at a time for each account. It counts the visits that come during another one.
#[derive(Debug, Default)]
pub struct Bank(Mutex<HashMap<&'static str, Books>>);

#[derive(Debug, Default, Clone)]
struct Books {
    inside: BTreeMap<u32, u32>,
    visits: u32,
    collisions: u32,
}

impl Bank {
    async fn visit(&self, task: &'static str, account: u32) {
        self.change(task, |books| {
            let inside = books.inside.entry(account).or_default();
            books.collisions += u32::from(*inside > 0);
            *inside += 1;
            books.visits += 1;
        });
        tokio::time::sleep(millis(5)).await;
        self.change(task, |books| *books.inside.entry(account).or_default() -= 1);
    }

    fn change<R>(&self, task: &'static str, change: impl FnOnce(&mut Books) -> R) -> R {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(task).or_default())
    }
}

// ANCHOR: ways
/// No limit: every call runs as soon as the runner has a free slot.
#[task]
pub async fn uncontrolled(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.visit("uncontrolled", account).await;
}

/// One call waits for each account: a submit returns the waiting invocation instead of a new one.
#[task(registration_concurrency = keys(account))]
pub async fn one_waits(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.visit("one_waits", account).await;
}

/// One call runs for each account. The other calls wait.
#[task(running_concurrency = keys(account), reroute_on_concurrency_control)]
pub async fn one_runs(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.visit("one_runs", account).await;
}

/// One call runs for each account. A call that would have to wait is dropped.
#[task(running_concurrency = keys(account))]
pub async fn one_runs_or_none(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.visit("one_runs_or_none", account).await;
}
// ANCHOR_END: ways

/// Counts for the calls of one task.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of the task.
    pub task: &'static str,
    /// Calls whose submit returned the invocation of another call.
    pub joined_another: usize,
    /// Invocations that were dropped before they ran.
    pub dropped: usize,
    /// Visits at the bank.
    pub ran: u32,
    /// Visits during another visit for the same account.
    pub collisions: u32,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, joined_another, dropped, ran, collisions } = self;
        write!(f, "{task:<18} {joined_another:>14} {dropped:>8} {ran:>5} {collisions:>11}")
    }
}

/// Submits the same calls with each of the four tasks, one task after the other.
pub async fn compare(app: &Pynenc, bank: &Bank) -> Result<Vec<Row>> {
    Ok(vec![
        row(app, bank, "uncontrolled", uncontrolled).await?,
        row(app, bank, "one_waits", one_waits).await?,
        row(app, bank, "one_runs", one_runs).await?,
        row(app, bank, "one_runs_or_none", one_runs_or_none).await?,
    ])
}

async fn row<T: Task>(app: &Pynenc, bank: &Bank, task: &'static str, call: fn(u32) -> Call<T>) -> Result<Row> {
    let calls = app.submit_all((0..ACCOUNTS * CALLS_FOR_EACH).map(|n| call(n % ACCOUNTS))).await?;
    let mut dropped = 0;
    for invocation in calls.invocations() {
        match invocation.result().await {
            Err(Error::DroppedByConcurrencyControl(_)) => dropped += 1,
            other => drop(other?),
        }
    }
    let joined_another = calls.invocations().iter().filter(|invocation| invocation.is_reused()).count();
    let Books { visits, collisions, .. } = bank.change(task, |books| books.clone());
    Ok(Row { task, joined_another, dropped, ran: visits, collisions })
}
