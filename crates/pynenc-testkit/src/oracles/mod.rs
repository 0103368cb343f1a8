//! What must hold once a scenario has come to rest, whatever went wrong in it.
//!
//! An [`Evidence`] is gathered from the stores, the ledger and the logs, and [`Evidence::breaches`] tells which promises
//! it shows to be broken:
//!
//! | | promise |
//! |---|---|
//! | I1 | what was acknowledged has ended |
//! | I2 | a history has one final line, and an outcome never changes |
//! | I3 | each run of a body is explained by the history |
//! | I4 | who committed had the last claim, and had run the body under it |
//! | I5 | a running key never has more holders than its limit |
//! | I6 | one invocation at a time waits with a registration key |
//! | I7 | nothing is left of what has ended but its record |
//! | I8 | after its retention nothing is left at all |
//! | I9 | a slot of a trigger has one invocation |
//! | I10 | an operation of a workflow has one value |
//! | I11 | work goes on soon after a store is back |
//! | I12 | nothing panics, and no error floods the log |

mod ends;
mod gather;
mod leftovers;
mod logs;
mod repeats;
mod runs;
mod slots;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use pynenc_core::InvocationId;
use pynenc_core::broker::QueueLen;
use pynenc_core::orchestrator::{Counts, HistoryEntry, Inspected, RunnerInfo, Tracked};
use pynenc_core::record::Outcome;
use pynenc_core::state_backend::Journal;
use pynenc_core::trigger_store::FiredRun;

pub use leftovers::Leftover;

use crate::ledger::Note;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Its number, such as `I3`.
    pub oracle: &'static str,
    /// The promise.
    pub promise: &'static str,
    /// What was found instead.
    pub found: String,
}

impl Breach {
    fn new(oracle: &'static str, promise: &'static str, found: String) -> Self {
        Self { oracle, promise, found }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: not {}: {}", self.oracle, self.promise, self.found)
    }
}

/// An invocation, as the stores know it.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Its record.
    pub tracked: Tracked,
    /// Its history.
    pub history: Vec<HistoryEntry>,
    /// With what it was registered, and what keeps it.
    pub inspected: Option<Inspected>,
    /// The outcome of the epoch that committed.
    pub outcome: Option<Outcome>,
    /// Whether what was called is there.
    pub has_record: bool,
    /// Its journal, where it has one.
    pub journal: Option<Journal>,
}

/// How long it took until work went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// After what.
    pub after: String,
    /// How long.
    pub took: Duration,
    /// How long it may have taken.
    pub bound: Duration,
}

/// The log of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Whose.
    pub name: String,
    /// Its text, as `tracing` writes it without colours.
    pub text: String,
    /// How often something was done to the process, its links or its server that it may tell of.
    pub disturbances: usize,
}

/// What is known of a scenario that has come to rest.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The submits that were acknowledged.
    pub accepted: Vec<InvocationId>,
    /// The values that were given to somebody, as JSON.
    pub seen: Vec<(InvocationId, String)>,
    /// Every invocation.
    pub witnesses: BTreeMap<InvocationId, Witness>,
    /// What bodies wrote down.
    pub notes: Vec<Note>,
    /// The runners.
    pub runners: Vec<RunnerInfo>,
    /// What the orchestrator counts.
    pub counts: Counts,
    /// What the queues hold.
    pub queues: BTreeMap<String, QueueLen>,
    /// Records that belong to no invocation.
    pub strays: Vec<InvocationId>,
    /// What triggers have fired.
    pub fired: Vec<FiredRun>,
    /// How long it took until work went on.
    pub recoveries: Vec<Recovery>,
    /// What processes have logged.
    pub logs: Vec<Log>,
    /// What is left after every retention.
    pub leftovers: Vec<Leftover>,
}

impl Evidence {
    /// Every promise that was broken, in the order of the promises.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for oracle in [ends::check, runs::check, slots::check, leftovers::check, repeats::check, logs::check] {
            oracle(self, &mut breaches);
        }
        breaches
    }

    /// Fails a test with every promise that was broken.
    ///
    /// # Panics
    ///
    /// One was.
    pub fn assert_holds(&self) {
        let breaches: Vec<String> = self.breaches().iter().map(Breach::to_string).collect();
        assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }
}

/// A history as a person reads it.
fn shown(history: &[HistoryEntry]) -> String {
    let line = |entry: &HistoryEntry| {
        let HistoryEntry { status, version, epoch, reason, at, .. } = entry;
        format!("\n    v{version} e{epoch} {status} ({reason}) at {}", at.as_millis() % 100_000_000)
    };
    history.iter().map(line).collect()
}
