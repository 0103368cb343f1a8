//! The outbox: subscriptions, and entries to be handled.

use std::ops::Bound;

use pynenc_core::orchestrator::{OutboxEntry, OutboxInterest, OutboxTake, Tracked};
use pynenc_core::packed::packed_struct;
use pynenc_core::{InvocationId, Result, Status, TaskId, Timestamp};

use crate::storage::{Cell, Collection, Groups, Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The subscriptions, and the entries that listeners haven't acknowledged.
    pub(super) struct OutboxState {
        subscriptions: S::Map<TaskId, Subscriptions> = map(Table::Subscription),
        last: S::Cell<u64> = cell("last_outbox_entry"),
        entries: S::Map<u64, StoredEntry> = map(Table::Outbox),
        fresh: S::Groups<Box<str>, u64> = groups(Table::OutboxFresh),
        offered: S::Groups<Box<str>, (Timestamp, u64)> = groups(Table::OutboxOffered),
        by_invocation: S::Groups<InvocationId, u64> = groups(Table::OutboxOf),
    }
}

/// The listeners of a task, each with a status and the end of its subscription.
#[derive(Debug, Default)]
struct Subscriptions {
    all: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    status: Status,
    listener: Box<str>,
    until: Timestamp,
}

packed_struct!(Subscription { status, listener, until });
packed_struct!(Subscriptions { all });

#[derive(Debug)]
struct StoredEntry {
    entry: OutboxEntry,
    offered: Option<Timestamp>,
}

packed_struct!(StoredEntry { entry, offered });

impl Subscriptions {
    fn renew(&mut self, status: Status, listener: &str, until: Timestamp) {
        let same = |one: &&mut Subscription| one.status == status && *one.listener == *listener;
        match self.all.iter_mut().find(same) {
            Some(known) => known.until = until.max(known.until),
            None => self.all.push(Subscription { status, listener: listener.into(), until }),
        }
    }

    /// The listeners of a status, in their order.
    fn live(&self, status: Status, now: Timestamp) -> Vec<Box<str>> {
        let live = self.all.iter().filter(|one| one.status == status && one.until > now);
        let mut live: Vec<_> = live.map(|one| one.listener.clone()).collect();
        live.sort_unstable();
        live
    }
}

impl<S: Storage> OutboxState<S> {
    /// Subscribes listeners to final transitions.
    pub(super) fn subscribe(&mut self, interests: &[OutboxInterest], now: Timestamp, until: Timestamp) -> Result<()> {
        for interest in interests {
            let subscriptions = self.subscriptions.get_or_insert_with(&interest.task, Subscriptions::default)?;
            subscriptions.all.retain(|one| one.until > now);
            for status in &interest.statuses {
                subscriptions.renew(*status, &interest.listener, until);
            }
        }
        Ok(())
    }

    /// The number of the last entry.
    pub(super) fn last(&self) -> Result<u64> {
        self.last.get().copied()
    }

    /// Adds an entry for each listener that subscribed to the completion. Reports whether there is one.
    pub(super) fn add_completion(&mut self, tracked: &Tracked, now: Timestamp) -> Result<bool> {
        let Some(subscriptions) = self.subscriptions.get(&tracked.task)? else { return Ok(false) };
        let live = subscriptions.live(tracked.record.status, now);
        for listener in &live {
            self.add(listener, tracked)?;
        }
        Ok(!live.is_empty())
    }

    /// Acknowledges entries, then offers new ones and those whose last offer is `again_after` ago.
    pub(super) fn take(&mut self, take: &OutboxTake, now: Timestamp) -> Result<Vec<OutboxEntry>> {
        for sequence in &take.done {
            self.acknowledge(*sequence)?;
        }
        let mut sequences = Vec::new();
        for listener in &take.listeners {
            let first = sequences.len();
            for offered in self.offered.ascending(listener, Bound::Unbounded).take(take.limit) {
                let (at, sequence) = offered?;
                if now < at + take.again_after {
                    break;
                }
                sequences.push(sequence);
            }
            let missing = take.limit - (sequences.len() - first);
            for sequence in self.fresh.ascending(listener, Bound::Unbounded).take(missing) {
                sequences.push(sequence?);
            }
        }
        sequences.sort_unstable();
        sequences.iter().filter_map(|sequence| self.offer(*sequence, now).transpose()).collect()
    }

    fn acknowledge(&mut self, sequence: u64) -> Result<()> {
        let Some(StoredEntry { entry, offered }) = self.entries.remove(&sequence)? else { return Ok(()) };
        match offered {
            Some(at) => self.offered.remove(&entry.listener, &(at, sequence))?,
            None => self.fresh.remove(&entry.listener, &sequence)?,
        }
        self.by_invocation.remove(&entry.id, &sequence)
    }

    /// Drops every entry, and keeps the subscriptions.
    pub(super) fn purge(&mut self) -> Result<()> {
        self.entries.clear()?;
        self.fresh.clear()?;
        self.offered.clear()?;
        self.by_invocation.clear()
    }

    /// Drops the entries of an invocation.
    pub(super) fn forget(&mut self, id: InvocationId) -> Result<()> {
        let sequences = self.by_invocation.ascending(&id, Bound::Unbounded).collect::<Result<Vec<_>>>()?;
        sequences.into_iter().try_for_each(|sequence| self.acknowledge(sequence))
    }

    fn add(&mut self, listener: &str, tracked: &Tracked) -> Result<()> {
        let last = self.last.get_mut()?;
        *last += 1;
        let sequence = *last;
        let Tracked { id, task, record, .. } = tracked.clone();
        let entry = OutboxEntry { sequence, listener: listener.into(), id, task, record };
        self.fresh.insert(&entry.listener, sequence)?;
        self.by_invocation.insert(&id, sequence)?;
        self.entries.insert(sequence, StoredEntry { entry, offered: None })
    }

    fn offer(&mut self, sequence: u64, now: Timestamp) -> Result<Option<OutboxEntry>> {
        let Some(stored) = self.entries.get_mut(&sequence)? else { return Ok(None) };
        let (before, entry) = (stored.offered.replace(now), stored.entry.clone());
        match before {
            Some(at) => self.offered.remove(&entry.listener, &(at, sequence))?,
            None => self.fresh.remove(&entry.listener, &sequence)?,
        }
        self.offered.insert(&entry.listener, (now, sequence))?;
        Ok(Some(entry))
    }
}
