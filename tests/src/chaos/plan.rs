//! The parameters of a chaos run.

use std::time::Duration;

/// The maximum rate of calls per second, of all clients together.
const MOST_CALLS: u32 = 60;
/// The maximum number of calls in a long run, so that the oracles can check all of them.
const MOST_IN_ALL: u32 = 60_000;

/// The kind of store under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreKind {
    /// A Redis server.
    Redis,
    /// A SQLite file that the processes share.
    Sqlite,
}

/// The parameters of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The store.
    pub store: StoreKind,
    /// The seed of all random choices.
    pub seed: u64,
    /// The duration of the faults.
    pub length: Duration,
    /// The number of worker processes.
    pub workers: usize,
    /// The number of client processes.
    pub clients: usize,
}

impl Plan {
    /// A client's pause between two calls.
    pub(super) fn pause(&self) -> Duration {
        let seconds = self.length.as_secs_f64().max(1.0);
        let calls = f64::from(MOST_CALLS).min(f64::from(MOST_IN_ALL) / seconds);
        Duration::from_secs_f64(self.clients as f64 / calls)
    }
}
