//! The outbox: subscriptions, and entries to be handled.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::orchestrator::{OutboxEntry, OutboxInterest, OutboxTake, Tracked};
use pynenc_core::{InvocationId, Status, TaskId, Timestamp};
use rustc_hash::FxHashMap;

/// The subscriptions, and the entries that listeners haven't acknowledged.
#[derive(Debug, Default)]
pub(super) struct OutboxState {
    subscriptions: FxHashMap<TaskId, Subscriptions>,
    last: u64,
    entries: FxHashMap<u64, StoredEntry>,
    listeners: FxHashMap<Box<str>, Pending>,
    by_invocation: FxHashMap<InvocationId, Vec<u64>>,
}

/// The listeners of each status, with the end of their subscription.
type Subscriptions = FxHashMap<Status, BTreeMap<Box<str>, Timestamp>>;

#[derive(Debug)]
struct StoredEntry {
    entry: OutboxEntry,
    offered: Option<Timestamp>,
}

/// The unacknowledged entries of one listener.
#[derive(Debug, Default)]
struct Pending {
    fresh: BTreeSet<u64>,
    offered: BTreeSet<(Timestamp, u64)>,
}

impl OutboxState {
    pub(super) fn subscribe(&mut self, interests: &[OutboxInterest], now: Timestamp, until: Timestamp) {
        for interest in interests {
            let statuses = self.subscriptions.entry(interest.task.clone()).or_default();
            for status in &interest.statuses {
                let listeners = statuses.entry(*status).or_default();
                listeners.retain(|_, end| *end > now);
                let end = listeners.entry(interest.listener.clone()).or_default();
                *end = until.max(*end);
            }
        }
    }

    /// Adds an entry for each listener that subscribed to the completion. Reports whether there is one.
    pub(super) fn add_completion(&mut self, tracked: &Tracked, now: Timestamp) -> bool {
        let statuses = if self.subscriptions.is_empty() { None } else { self.subscriptions.get(&tracked.task) };
        let Some(listeners) = statuses.and_then(|statuses| statuses.get(&tracked.record.status)) else { return false };
        let live = listeners.iter().filter(|(_, until)| **until > now).map(|(listener, _)| listener.clone());
        let live: Vec<_> = live.collect();
        for listener in &live {
            self.add(listener, tracked);
        }
        !live.is_empty()
    }

    /// Acknowledges entries, then offers new ones and those whose last offer is `again_after` ago.
    pub(super) fn take(&mut self, take: &OutboxTake, now: Timestamp) -> Vec<OutboxEntry> {
        take.done.iter().for_each(|sequence| self.acknowledge(*sequence));
        let mut sequences = Vec::new();
        for pending in take.listeners.iter().filter_map(|listener| self.listeners.get(listener)) {
            let late = pending.offered.iter().take_while(|(at, _)| now >= *at + take.again_after);
            let late = late.map(|(_, sequence)| *sequence);
            sequences.extend(late.chain(pending.fresh.iter().copied()).take(take.limit));
        }
        sequences.sort_unstable();
        sequences.iter().filter_map(|sequence| self.offer(*sequence, now)).collect()
    }

    fn acknowledge(&mut self, sequence: u64) {
        let Some(StoredEntry { entry, offered }) = self.entries.remove(&sequence) else { return };
        if let Some(pending) = self.listeners.get_mut(&entry.listener) {
            pending.fresh.remove(&sequence);
            if let Some(at) = offered {
                pending.offered.remove(&(at, sequence));
            }
            if pending.fresh.is_empty() && pending.offered.is_empty() {
                self.listeners.remove(&entry.listener);
            }
        }
        if let Some(sequences) = self.by_invocation.get_mut(&entry.id) {
            sequences.retain(|other| *other != sequence);
            if sequences.is_empty() {
                self.by_invocation.remove(&entry.id);
            }
        }
    }

    /// Drops every entry, and keeps the subscriptions.
    pub(super) fn purged(self) -> Self {
        Self { subscriptions: self.subscriptions, last: self.last, ..Self::default() }
    }

    /// Drops the entries of an invocation.
    pub(super) fn forget(&mut self, id: InvocationId) {
        for sequence in self.by_invocation.remove(&id).unwrap_or_default() {
            self.acknowledge(sequence);
        }
    }

    fn add(&mut self, listener: &str, tracked: &Tracked) {
        self.last += 1;
        let Tracked { id, task, record, .. } = tracked.clone();
        let entry = OutboxEntry { sequence: self.last, listener: listener.into(), id, task, record };
        self.entries.insert(self.last, StoredEntry { entry, offered: None });
        self.listeners.entry(listener.into()).or_default().fresh.insert(self.last);
        self.by_invocation.entry(id).or_default().push(self.last);
    }

    fn offer(&mut self, sequence: u64, now: Timestamp) -> Option<OutboxEntry> {
        let stored = self.entries.get_mut(&sequence)?;
        let pending = self.listeners.entry(stored.entry.listener.clone()).or_default();
        pending.fresh.remove(&sequence);
        if let Some(before) = stored.offered.replace(now) {
            pending.offered.remove(&(before, sequence));
        }
        pending.offered.insert((now, sequence));
        Some(stored.entry.clone())
    }
}
