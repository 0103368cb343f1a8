//! The log of events, and the progress of its listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::ops::Bound;

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{Event, EventListener, EventWait, EventsTake, HandledEvent, NewEvent, Offered};
use rustc_hash::FxHashMap;

/// The events, in the order of their appends.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    last: u64,
    events: BTreeMap<u64, Event>,
    by_name: FxHashMap<Box<str>, BTreeSet<u64>>,
    by_key: FxHashMap<(Box<str>, Box<str>), BTreeSet<u64>>,
    listeners: FxHashMap<Box<str>, Listener>,
    /// By name: the last event that was offered to any listener.
    last_offered: FxHashMap<Box<str>, u64>,
}

/// A listener's progress in the log, and its unacknowledged events by the time of their offer.
#[derive(Debug, Default)]
struct Listener {
    offered_to: u64,
    unacknowledged: BTreeSet<(Timestamp, u64)>,
    last_seen: Timestamp,
}

impl Listener {
    fn starting_after(position: u64) -> Self {
        Self { offered_to: position, ..Self::default() }
    }

    /// Takes events whose last offer is `again_after` ago.
    fn take_late(&mut self, now: Timestamp, take: &EventsTake) -> Vec<u64> {
        let late: Vec<_> = self
            .unacknowledged
            .iter()
            .take_while(|(at, _)| now >= *at + take.again_after)
            .take(take.limit)
            .copied()
            .collect();
        for event in &late {
            self.unacknowledged.remove(event);
        }
        late.into_iter().map(|(_, sequence)| sequence).collect()
    }
}

impl EventLog {
    pub(super) fn append(&mut self, event: &NewEvent, at: Timestamp) -> u64 {
        self.last += 1;
        let NewEvent { name, key, payload, serializer } = event.clone();
        self.by_name.entry(name.clone()).or_default().insert(self.last);
        if let Some(key) = key.clone() {
            self.by_key.entry((name.clone(), key)).or_default().insert(self.last);
        }
        self.events.insert(self.last, Event { sequence: self.last, name, key, payload, serializer, at });
        self.last
    }

    /// The first event that matches a wait.
    pub(super) fn first(&self, wait: &EventWait) -> Option<&Event> {
        let positions = match &wait.key {
            Some(key) => self.by_key.get(&(wait.name.clone(), key.clone())),
            None => self.by_name.get(&wait.name),
        };
        let behind = positions?.range((Bound::Excluded(wait.after), Bound::Unbounded));
        behind.map(|position| &self.events[position]).find(|event| event.at >= wait.since)
    }

    /// The positions of a name's events behind one.
    fn behind(&self, name: &str, after: u64, limit: usize) -> Vec<u64> {
        let Some(positions) = self.by_name.get(name) else { return Vec::new() };
        positions.range((Bound::Excluded(after), Bound::Unbounded)).take(limit).copied().collect()
    }

    /// Acknowledges handled events, then offers others.
    pub(super) fn take(&mut self, take: &EventsTake, now: Timestamp) -> Vec<Offered> {
        self.acknowledge(&take.done);
        // All listeners are added before any event is offered, so listeners of one request are offered the same events.
        for EventListener { id, name } in &take.listeners {
            let last_offered = self.last_offered.get(name).copied().unwrap_or_default();
            self.listeners.entry(id.clone()).or_insert_with(|| Listener::starting_after(last_offered)).last_seen = now;
        }
        let mut offered = Vec::new();
        for listener in &take.listeners {
            let events = self.offer(listener, take, now);
            offered.extend(events.into_iter().map(|event| Offered { listener: listener.id.clone(), event }));
        }
        offered
    }

    fn offer(&mut self, listener: &EventListener, take: &EventsTake, now: Timestamp) -> Vec<Event> {
        let Some(state) = self.listeners.get_mut(&listener.id) else { return Vec::new() };
        let late = state.take_late(now, take);
        let offered_to = state.offered_to;
        let fresh = self.behind(&listener.name, offered_to, take.limit - late.len());
        self.note_offer(listener, &fresh);
        let positions = late.into_iter().chain(fresh);
        let events: Vec<_> = positions.filter_map(|position| self.events.get(&position).cloned()).collect();
        if let Some(state) = self.listeners.get_mut(&listener.id) {
            state.unacknowledged.extend(events.iter().map(|event| (now, event.sequence)));
        }
        events
    }

    fn note_offer(&mut self, listener: &EventListener, fresh: &[u64]) {
        let Some(last) = fresh.last() else { return };
        if let Some(state) = self.listeners.get_mut(&listener.id) {
            state.offered_to = *last;
        }
        let last_offered = self.last_offered.entry(listener.name.clone()).or_default();
        *last_offered = (*last_offered).max(*last);
    }

    fn acknowledge(&mut self, done: &[HandledEvent]) {
        let mut by_listener: FxHashMap<&str, BTreeSet<u64>> = FxHashMap::default();
        for HandledEvent { listener, sequence } in done {
            by_listener.entry(listener).or_default().insert(*sequence);
        }
        for (listener, sequences) in by_listener {
            if let Some(state) = self.listeners.get_mut(listener) {
                state.unacknowledged.retain(|(_, sequence)| !sequences.contains(sequence));
            }
        }
    }

    pub(super) fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        self.listeners.retain(|_, listener| listener.last_seen > until);
        let old = self.events.values().take_while(|event| event.at <= until).take(limit);
        let old: Vec<u64> = old.map(|event| event.sequence).collect();
        old.iter().for_each(|position| self.delete(*position));
        old.len()
    }

    /// The log without its events. Its next position stays, because waiters remember positions.
    pub(super) fn purged(self) -> Self {
        Self { last: self.last, ..Self::default() }
    }

    fn delete(&mut self, position: u64) {
        let Some(event) = self.events.remove(&position) else { return };
        remove_position(&mut self.by_name, &event.name, position);
        if let Some(key) = event.key {
            remove_position(&mut self.by_key, &(event.name, key), position);
        }
    }
}

fn remove_position<K: Eq + Hash>(index: &mut FxHashMap<K, BTreeSet<u64>>, key: &K, position: u64) {
    let Some(positions) = index.get_mut(key) else { return };
    positions.remove(&position);
    if positions.is_empty() {
        index.remove(key);
    }
}
