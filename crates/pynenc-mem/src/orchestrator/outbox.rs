//! Final transitions that somebody has to react to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pynenc_core::orchestrator::{OutboxEntry, OutboxInterest, Tracked};
use pynenc_core::{Status, TaskId, Timestamp};
use rustc_hash::FxHashMap;

/// What is wanted, and what waits to be seen to.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    wanted: FxHashMap<TaskId, BTreeMap<Status, Timestamp>>,
    last: u64,
    entries: FxHashMap<u64, Kept>,
    fresh: BTreeSet<u64>,
    offered: BTreeSet<(Timestamp, u64)>,
}

#[derive(Debug)]
struct Kept {
    entry: OutboxEntry,
    offered: Option<Timestamp>,
}

impl Outbox {
    pub(super) fn want(&mut self, interests: &[OutboxInterest], until: Timestamp) {
        for interest in interests {
            let statuses = self.wanted.entry(interest.task.clone()).or_default();
            for status in &interest.statuses {
                let end = statuses.entry(*status).or_default();
                *end = until.max(*end);
            }
        }
    }

    /// Keeps the end of an invocation, if it is wanted; tells whether it is.
    pub(super) fn ended(&mut self, tracked: &Tracked, now: Timestamp) -> bool {
        let statuses = if self.wanted.is_empty() { None } else { self.wanted.get(&tracked.task) };
        let until = statuses.and_then(|statuses| statuses.get(&tracked.record.status));
        let is_wanted = until.is_some_and(|until| *until > now);
        if is_wanted {
            self.add(tracked);
        }
        is_wanted
    }

    /// Takes entries that nobody was offered within `again_after`, in the order of their making.
    pub(super) fn take(&mut self, limit: usize, again_after: Duration, now: Timestamp) -> Vec<OutboxEntry> {
        let late = self.offered.iter().take_while(|(at, _)| now >= *at + again_after).map(|(_, sequence)| *sequence);
        let mut sequences: Vec<u64> = late.chain(self.fresh.iter().copied()).take(limit).collect();
        sequences.sort_unstable();
        sequences.iter().filter_map(|sequence| self.offer(*sequence, now)).collect()
    }

    pub(super) fn done(&mut self, sequence: u64) {
        let Some(kept) = self.entries.remove(&sequence) else { return };
        self.fresh.remove(&sequence);
        if let Some(at) = kept.offered {
            self.offered.remove(&(at, sequence));
        }
    }

    fn add(&mut self, tracked: &Tracked) {
        self.last += 1;
        let (sequence, id, task, record) = (self.last, tracked.id, tracked.task.clone(), tracked.record.clone());
        self.entries.insert(sequence, Kept { entry: OutboxEntry { sequence, id, task, record }, offered: None });
        self.fresh.insert(sequence);
    }

    fn offer(&mut self, sequence: u64, now: Timestamp) -> Option<OutboxEntry> {
        let kept = self.entries.get_mut(&sequence)?;
        self.fresh.remove(&sequence);
        if let Some(before) = kept.offered.replace(now) {
            self.offered.remove(&(before, sequence));
        }
        self.offered.insert((now, sequence));
        Some(kept.entry.clone())
    }
}
