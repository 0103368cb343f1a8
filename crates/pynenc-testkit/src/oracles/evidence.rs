//! The observations of a finished scenario.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::InvocationId;
use pynenc_core::broker::QueueState;
use pynenc_core::orchestrator::{Counts, HistoryEntry, Inspection, RunnerInfo, Tracked};
use pynenc_core::record::Outcome;
use pynenc_core::state_backend::Journal;
use pynenc_core::trigger_store::FiredRun;

use crate::ledger::Note;

/// The stored state of one invocation.
#[derive(Debug, Clone)]
pub struct InvocationEvidence {
    /// The orchestrator's record.
    pub tracked: Tracked,
    /// The history.
    pub history: Vec<HistoryEntry>,
    /// The registration, and everything that holds the invocation up.
    pub inspected: Option<Inspection>,
    /// The outcome of the epoch that committed.
    pub outcome: Option<Outcome>,
    /// Whether the state backend has the record of the call.
    pub has_record: bool,
    /// The journal, if the invocation has one.
    pub journal: Option<Journal>,
}

/// The time until work resumed after a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The fault.
    pub after: String,
    /// The measured time.
    pub took: Duration,
    /// The longest allowed time.
    pub bound: Duration,
}

/// The log of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The process' name.
    pub name: String,
    /// The text as `tracing` writes it without colors.
    pub text: String,
    /// The number of faults of the process, its links or its server that the log may mention.
    pub disturbances: usize,
}

/// All observations of a finished scenario.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The acknowledged submits.
    pub accepted: Vec<InvocationId>,
    /// The results that clients received, as JSON.
    pub results: Vec<(InvocationId, String)>,
    /// Every invocation.
    pub invocations: BTreeMap<InvocationId, InvocationEvidence>,
    /// The actions that task functions recorded.
    pub notes: Vec<Note>,
    /// The runners.
    pub runners: Vec<RunnerInfo>,
    /// The orchestrator's counts.
    pub counts: Counts,
    /// The number of hints in each queue.
    pub queues: BTreeMap<String, QueueState>,
    /// Records without a registered invocation.
    pub orphaned_records: Vec<InvocationId>,
    /// The fired runs of triggers.
    pub fired: Vec<FiredRun>,
    /// The measured recovery times.
    pub recoveries: Vec<Recovery>,
    /// The logs of the processes.
    pub logs: Vec<Log>,
    /// Everything left after every retention.
    pub leftovers: Vec<Leftover>,
}

/// A key of a store that still names a forgotten invocation or a dead runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The key.
    pub key: String,
    /// The invocation or runner that the key holds or names.
    pub of: String,
}

/// Formats a history for people.
pub(super) fn format_history(history: &[HistoryEntry]) -> String {
    let line = |entry: &HistoryEntry| {
        let HistoryEntry { status, version, epoch, reason, at, .. } = entry;
        format!("\n    v{version} e{epoch} {status} ({reason}) at {}", at.as_millis() % 100_000_000)
    };
    history.iter().map(line).collect()
}
