//! Final transitions that somebody has to react to.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pynenc_core::orchestrator::{OutboxEntry, OutboxInterest, Tracked};
use pynenc_core::{InvocationId, Status, TaskId, Timestamp};
use rustc_hash::FxHashMap;

/// What is wanted, and what waits to be seen to.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    wanted: FxHashMap<TaskId, Interests>,
    last: u64,
    entries: FxHashMap<u64, Kept>,
    lines: FxHashMap<Box<str>, Line>,
    by_invocation: FxHashMap<InvocationId, Vec<u64>>,
}

/// By status, who wants to be told and until when.
type Interests = FxHashMap<Status, BTreeMap<Box<str>, Timestamp>>;

#[derive(Debug)]
struct Kept {
    entry: OutboxEntry,
    offered: Option<Timestamp>,
}

/// What waits for one listener.
#[derive(Debug, Default)]
struct Line {
    fresh: BTreeSet<u64>,
    offered: BTreeSet<(Timestamp, u64)>,
}

impl Outbox {
    pub(super) fn want(&mut self, interests: &[OutboxInterest], now: Timestamp, until: Timestamp) {
        for interest in interests {
            let statuses = self.wanted.entry(interest.task.clone()).or_default();
            for status in &interest.statuses {
                let listeners = statuses.entry(*status).or_default();
                listeners.retain(|_, end| *end > now);
                let end = listeners.entry(interest.listener.clone()).or_default();
                *end = until.max(*end);
            }
        }
    }

    /// Keeps the end of an invocation for each who wants it; tells whether anybody does.
    pub(super) fn ended(&mut self, tracked: &Tracked, now: Timestamp) -> bool {
        let statuses = if self.wanted.is_empty() { None } else { self.wanted.get(&tracked.task) };
        let Some(listeners) = statuses.and_then(|statuses| statuses.get(&tracked.record.status)) else { return false };
        let live = listeners.iter().filter(|(_, until)| **until > now).map(|(listener, _)| listener.clone());
        let live: Vec<_> = live.collect();
        for listener in &live {
            self.add(listener, tracked);
        }
        !live.is_empty()
    }

    /// Takes entries that nobody was offered within `again_after`, in the order of their making.
    pub(super) fn take(
        &mut self,
        listeners: &[Box<str>],
        limit: usize,
        again_after: Duration,
        now: Timestamp,
    ) -> Vec<OutboxEntry> {
        let mut sequences = Vec::new();
        for line in listeners.iter().filter_map(|listener| self.lines.get(listener)) {
            let late =
                line.offered.iter().take_while(|(at, _)| now >= *at + again_after).map(|(_, sequence)| *sequence);
            sequences.extend(late.chain(line.fresh.iter().copied()).take(limit));
        }
        sequences.sort_unstable();
        sequences.iter().filter_map(|sequence| self.offer(*sequence, now)).collect()
    }

    pub(super) fn done(&mut self, sequence: u64) {
        let Some(Kept { entry, offered }) = self.entries.remove(&sequence) else { return };
        if let Some(line) = self.lines.get_mut(&entry.listener) {
            line.fresh.remove(&sequence);
            if let Some(at) = offered {
                line.offered.remove(&(at, sequence));
            }
            if line.fresh.is_empty() && line.offered.is_empty() {
                self.lines.remove(&entry.listener);
            }
        }
        if let Some(sequences) = self.by_invocation.get_mut(&entry.id) {
            sequences.retain(|other| *other != sequence);
            if sequences.is_empty() {
                self.by_invocation.remove(&entry.id);
            }
        }
    }

    /// Drops every entry; who wants what stays.
    pub(super) fn purged(self) -> Self {
        Self { wanted: self.wanted, last: self.last, ..Self::default() }
    }

    /// Drops what is left of an invocation.
    pub(super) fn forget(&mut self, id: InvocationId) {
        for sequence in self.by_invocation.remove(&id).unwrap_or_default() {
            self.done(sequence);
        }
    }

    fn add(&mut self, listener: &str, tracked: &Tracked) {
        self.last += 1;
        let Tracked { id, task, record, .. } = tracked.clone();
        let entry = OutboxEntry { sequence: self.last, listener: listener.into(), id, task, record };
        self.entries.insert(self.last, Kept { entry, offered: None });
        self.lines.entry(listener.into()).or_default().fresh.insert(self.last);
        self.by_invocation.entry(id).or_default().push(self.last);
    }

    fn offer(&mut self, sequence: u64, now: Timestamp) -> Option<OutboxEntry> {
        let kept = self.entries.get_mut(&sequence)?;
        let line = self.lines.entry(kept.entry.listener.clone()).or_default();
        line.fresh.remove(&sequence);
        if let Some(before) = kept.offered.replace(now) {
            line.offered.remove(&(before, sequence));
        }
        line.offered.insert((now, sequence));
        Some(kept.entry.clone())
    }
}
