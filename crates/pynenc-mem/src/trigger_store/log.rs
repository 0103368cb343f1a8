//! The log of events, and how far its listeners were offered it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::ops::Bound;
use std::time::Duration;

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{Event, EventListener, EventWait, NewEvent, Offered};
use rustc_hash::FxHashMap;

/// The events, in the order of their appends.
#[derive(Debug, Default)]
pub(super) struct Log {
    last: u64,
    events: BTreeMap<u64, Event>,
    by_name: FxHashMap<Box<str>, BTreeSet<u64>>,
    by_key: FxHashMap<(Box<str>, Box<str>), BTreeSet<u64>>,
    listeners: FxHashMap<Box<str>, Listener>,
    /// By name: the last event that any listener was offered.
    heard: FxHashMap<Box<str>, u64>,
}

/// How far a listener was offered the log, and what it hasn't seen to yet, by the time of the offer.
#[derive(Debug, Default)]
struct Listener {
    offered_to: u64,
    open: BTreeSet<(Timestamp, u64)>,
    last_seen: Timestamp,
}

impl Listener {
    fn behind(place: u64) -> Self {
        Self { offered_to: place, ..Self::default() }
    }

    /// Takes what was offered long ago and not seen to.
    fn take_late(&mut self, now: Timestamp, again_after: Duration, limit: usize) -> Vec<u64> {
        let late: Vec<_> =
            self.open.iter().take_while(|(at, _)| now >= *at + again_after).take(limit).copied().collect();
        for place in &late {
            self.open.remove(place);
        }
        late.into_iter().map(|(_, sequence)| sequence).collect()
    }
}

impl Log {
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

    pub(super) fn read(&self, name: &str, after: u64, limit: usize) -> Vec<Event> {
        self.behind(name, after, limit).iter().map(|place| self.events[place].clone()).collect()
    }

    /// The first event that a wait is for.
    pub(super) fn first(&self, wait: &EventWait) -> Option<&Event> {
        let places = match &wait.key {
            Some(key) => self.by_key.get(&(wait.name.clone(), key.clone())),
            None => self.by_name.get(&wait.name),
        };
        let behind = places?.range((Bound::Excluded(wait.after), Bound::Unbounded));
        behind.map(|place| &self.events[place]).find(|event| event.at >= wait.since)
    }

    fn behind(&self, name: &str, after: u64, limit: usize) -> Vec<u64> {
        let Some(places) = self.by_name.get(name) else { return Vec::new() };
        places.range((Bound::Excluded(after), Bound::Unbounded)).take(limit).copied().collect()
    }

    pub(super) fn take(
        &mut self,
        listeners: &[EventListener],
        limit: usize,
        again_after: Duration,
        now: Timestamp,
    ) -> Vec<Offered> {
        // All are known before any is offered something, so that those who come together are offered the same.
        for EventListener { id, name } in listeners {
            let heard = self.heard.get(name).copied().unwrap_or_default();
            self.listeners.entry(id.clone()).or_insert_with(|| Listener::behind(heard)).last_seen = now;
        }
        let mut offered = Vec::new();
        for listener in listeners {
            let events = self.offer(listener, limit, again_after, now);
            offered.extend(events.into_iter().map(|event| Offered { listener: listener.id.clone(), event }));
        }
        offered
    }

    fn offer(&mut self, listener: &EventListener, limit: usize, again_after: Duration, now: Timestamp) -> Vec<Event> {
        let Some(state) = self.listeners.get_mut(&listener.id) else { return Vec::new() };
        let late = state.take_late(now, again_after, limit);
        let offered_to = state.offered_to;
        let fresh = self.behind(&listener.name, offered_to, limit - late.len());
        self.note(listener, &fresh);
        let places = late.into_iter().chain(fresh);
        let events: Vec<_> = places.filter_map(|place| self.events.get(&place).cloned()).collect();
        if let Some(state) = self.listeners.get_mut(&listener.id) {
            state.open.extend(events.iter().map(|event| (now, event.sequence)));
        }
        events
    }

    fn note(&mut self, listener: &EventListener, fresh: &[u64]) {
        let Some(last) = fresh.last() else { return };
        if let Some(state) = self.listeners.get_mut(&listener.id) {
            state.offered_to = *last;
        }
        let heard = self.heard.entry(listener.name.clone()).or_default();
        *heard = (*heard).max(*last);
    }

    pub(super) fn done(&mut self, listener: &str, sequences: &[u64]) {
        let Some(state) = self.listeners.get_mut(listener) else { return };
        let sequences: BTreeSet<_> = sequences.iter().collect();
        state.open.retain(|(_, sequence)| !sequences.contains(sequence));
    }

    pub(super) fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        self.listeners.retain(|_, listener| listener.last_seen > until);
        let old = self.events.values().take_while(|event| event.at <= until).take(limit);
        let old: Vec<u64> = old.map(|event| event.sequence).collect();
        old.iter().for_each(|place| self.drop_event(*place));
        old.len()
    }

    /// Without its events. Readers hold places of the log: a place must not mean another event afterwards.
    pub(super) fn purged(self) -> Self {
        Self { last: self.last, ..Self::default() }
    }

    fn drop_event(&mut self, place: u64) {
        let Some(event) = self.events.remove(&place) else { return };
        drop_place(&mut self.by_name, &event.name, place);
        if let Some(key) = event.key {
            drop_place(&mut self.by_key, &(event.name, key), place);
        }
    }
}

fn drop_place<K: Eq + Hash>(index: &mut FxHashMap<K, BTreeSet<u64>>, key: &K, place: u64) {
    let Some(places) = index.get_mut(key) else { return };
    places.remove(&place);
    if places.is_empty() {
        index.remove(key);
    }
}
