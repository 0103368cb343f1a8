//! Four ways to treat calls for one account, and a bank that counts the collisions.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pynenc::prelude::*;

const ACCOUNTS: u32 = 4;
const CALLS_FOR_EACH: u32 = 6;

/// A service that can't take two at once for the same account, and counts when it is asked to.
#[derive(Debug, Default)]
pub struct Bank(Mutex<HashMap<&'static str, Books>>);

#[derive(Debug, Default, Clone)]
struct Books {
    inside: BTreeMap<u32, u32>,
    visits: u32,
    collisions: u32,
}

impl Bank {
    async fn book(&self, way: &'static str, account: u32) {
        self.change(way, |books| {
            let inside = books.inside.entry(account).or_default();
            books.collisions += u32::from(*inside > 0);
            *inside += 1;
            books.visits += 1;
        });
        tokio::time::sleep(millis(5)).await;
        self.change(way, |books| *books.inside.entry(account).or_default() -= 1);
    }

    fn change<R>(&self, way: &'static str, change: impl FnOnce(&mut Books) -> R) -> R {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(way).or_default())
    }
}

// ANCHOR: ways
/// Every call runs, as soon as there is a place for it.
#[task]
pub async fn uncontrolled(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.book("uncontrolled", account).await;
}

/// While a call for an account waits, another one is the same.
#[task(registration_concurrency = keys(account))]
pub async fn one_waits(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.book("one_waits", account).await;
}

/// One runs for each account, and the others wait for their turn.
#[task(running_concurrency = keys(account), reroute_on_concurrency_control)]
pub async fn one_runs(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.book("one_runs", account).await;
}

/// One runs for each account, and what would have to wait is dropped.
#[task(running_concurrency = keys(account))]
pub async fn one_runs_or_none(account: u32, #[inject] bank: State<Arc<Bank>>) {
    bank.book("one_runs_or_none", account).await;
}
// ANCHOR_END: ways

/// What became of the calls of one way.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of its task.
    pub way: &'static str,
    /// Calls that were given another's invocation.
    pub same_as_another: usize,
    /// Invocations that ended without having run.
    pub dropped: usize,
    /// Visits at the bank.
    pub ran: u32,
    /// Visits that found another one inside.
    pub collisions: u32,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, same_as_another, dropped, ran, collisions } = self;
        write!(f, "{way:<18} {same_as_another:>16} {dropped:>8} {ran:>5} {collisions:>11}")
    }
}

/// Submits the same calls in each of the four ways, one way after the other.
pub async fn compare(app: &Pynenc, bank: &Bank) -> Result<Vec<Row>> {
    Ok(vec![
        row(app, bank, "uncontrolled", uncontrolled).await?,
        row(app, bank, "one_waits", one_waits).await?,
        row(app, bank, "one_runs", one_runs).await?,
        row(app, bank, "one_runs_or_none", one_runs_or_none).await?,
    ])
}

async fn row<T: Task>(app: &Pynenc, bank: &Bank, way: &'static str, call: fn(u32) -> Call<T>) -> Result<Row> {
    let calls = app.submit_all((0..ACCOUNTS * CALLS_FOR_EACH).map(|n| call(n % ACCOUNTS))).await?;
    let mut dropped = 0;
    for invocation in calls.invocations() {
        match invocation.result().await {
            Err(Error::DroppedByConcurrencyControl(_)) => dropped += 1,
            ended => drop(ended?),
        }
    }
    let same_as_another = calls.invocations().iter().filter(|invocation| invocation.is_reused()).count();
    let Books { visits, collisions, .. } = bank.change(way, |books| books.clone());
    Ok(Row { way, same_as_another, dropped, ran: visits, collisions })
}
