//! The log of events, and the progress of its listeners.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use pynenc_core::packed::packed_struct;
use pynenc_core::trigger_store::{Event, EventListener, EventWait, EventsTake, HandledEvent, NewEvent, Offered};
use pynenc_core::{Error, Result, Timestamp};

use crate::storage::{Cell, Collection, Groups, Map, Set, Storage, collections};
use crate::table::Table;

/// The identity of a listener.
type ListenerId = Box<str>;

collections! {
    /// The events, in the order of their appends.
    pub(super) struct EventLog {
        last: S::Cell<u64> = cell("last_event"),
        events: S::Map<u64, Event> = map(Table::Event),
        by_time: S::Set<(Timestamp, u64)> = set(Table::EventTime),
        by_name: S::Groups<Box<str>, u64> = groups(Table::EventName),
        by_key: S::Groups<(Box<str>, Box<str>), u64> = groups(Table::EventKey),
        listeners: S::Map<Box<str>, Listener> = map(Table::EventListener),
        /// The events that a listener was offered and hasn't acknowledged, by the time of their offer.
        offered: S::Groups<Box<str>, (Timestamp, u64)> = groups(Table::EventOffered),
        /// By name: the last event that was offered to any listener.
        last_offered: S::Map<Box<str>, u64> = map(Table::EventMark),
    }
}

/// A listener's progress in the log.
#[derive(Debug)]
struct Listener {
    offered_to: u64,
    last_seen: Timestamp,
}

packed_struct!(Listener { offered_to, last_seen });

impl<S: Storage> EventLog<S> {
    pub(super) fn append(&mut self, event: &NewEvent, at: Timestamp) -> Result<u64> {
        let last = self.last.get_mut()?;
        *last += 1;
        let sequence = *last;
        let NewEvent { name, key, payload, serializer } = event.clone();
        self.by_time.insert((at, sequence))?;
        self.by_name.insert(&name, sequence)?;
        if let Some(key) = key.clone() {
            self.by_key.insert(&(name.clone(), key), sequence)?;
        }
        self.events.insert(sequence, Event { sequence, name, key, payload, serializer, at })?;
        Ok(sequence)
    }

    /// The position of the last event.
    pub(super) fn last(&self) -> Result<u64> {
        self.last.get().copied()
    }

    /// The first event that matches a wait.
    pub(super) fn first(&self, wait: &EventWait) -> Result<Option<Event>> {
        let behind = Bound::Excluded(wait.after);
        match &wait.key {
            Some(key) => self.first_since(self.by_key.ascending(&(wait.name.clone(), key.clone()), behind), wait.since),
            None => self.first_since(self.by_name.ascending(&wait.name, behind), wait.since),
        }
    }

    fn first_since(&self, positions: impl Iterator<Item = Result<u64>>, since: Timestamp) -> Result<Option<Event>> {
        for position in positions {
            let event = self.event(position?)?;
            if event.at >= since {
                return Ok(Some(event.clone()));
            }
        }
        Ok(None)
    }

    fn event(&self, position: u64) -> Result<&Event> {
        let missing = || Error::corrupt("an index names an event that doesn't exist").with("event", position);
        self.events.get(&position)?.ok_or_else(missing)
    }

    /// Acknowledges handled events, then offers others.
    pub(super) fn take(&mut self, take: &EventsTake, now: Timestamp) -> Result<Vec<Offered>> {
        self.acknowledge(&take.done)?;
        // All listeners are added before any event is offered, so listeners of one request are offered the same events.
        for EventListener { id, name } in &take.listeners {
            let offered_to = self.last_offered.get(name)?.copied().unwrap_or_default();
            let new = || Listener { offered_to, last_seen: now };
            self.listeners.get_or_insert_with(id, new)?.last_seen = now;
        }
        let mut offered = Vec::new();
        for listener in &take.listeners {
            let events = self.offer(listener, take, now)?;
            offered.extend(events.into_iter().map(|event| Offered { listener: listener.id.clone(), event }));
        }
        Ok(offered)
    }

    fn offer(&mut self, listener: &EventListener, take: &EventsTake, now: Timestamp) -> Result<Vec<Event>> {
        let late = self.take_late(&listener.id, take, now)?;
        let missing = take.limit - late.len();
        let fresh = self.take_fresh(listener, missing)?;
        let mut events = Vec::with_capacity(late.len() + fresh.len());
        for position in late.into_iter().chain(fresh) {
            // An event that was offered before may have been deleted.
            if let Some(event) = self.events.get(&position)? {
                events.push(event.clone());
                self.offered.insert(&listener.id, (now, position))?;
            }
        }
        Ok(events)
    }

    /// Takes events whose last offer is `again_after` ago.
    fn take_late(&mut self, listener: &ListenerId, take: &EventsTake, now: Timestamp) -> Result<Vec<u64>> {
        let mut late = Vec::new();
        for offered in self.offered.ascending(listener, Bound::Unbounded).take(take.limit) {
            let (at, position) = offered?;
            if now < at + take.again_after {
                break;
            }
            late.push((at, position));
        }
        for offered in &late {
            self.offered.remove(listener, offered)?;
        }
        Ok(late.into_iter().map(|(_, position)| position).collect())
    }

    /// Takes events that the listener wasn't offered yet.
    fn take_fresh(&mut self, listener: &EventListener, limit: usize) -> Result<Vec<u64>> {
        let Some(state) = self.listeners.get_mut(&listener.id)? else { return Ok(Vec::new()) };
        let behind = Bound::Excluded(state.offered_to);
        let fresh = self.by_name.ascending(&listener.name, behind).take(limit).collect::<Result<Vec<_>>>()?;
        if let Some(last) = fresh.last() {
            state.offered_to = *last;
            let last_offered = self.last_offered.get_or_insert_with(&listener.name, u64::default)?;
            *last_offered = (*last_offered).max(*last);
        }
        Ok(fresh)
    }

    fn acknowledge(&mut self, done: &[HandledEvent]) -> Result<()> {
        let mut by_listener: BTreeMap<&ListenerId, BTreeSet<u64>> = BTreeMap::new();
        for HandledEvent { listener, sequence } in done {
            by_listener.entry(listener).or_default().insert(*sequence);
        }
        for (listener, positions) in by_listener {
            let offered = self.offered.ascending(listener, Bound::Unbounded).collect::<Result<Vec<_>>>()?;
            for offered in offered.iter().filter(|(_, position)| positions.contains(position)) {
                self.offered.remove(listener, offered)?;
            }
        }
        Ok(())
    }

    pub(super) fn expire(&mut self, until: Timestamp, limit: usize) -> Result<usize> {
        for listener in self.listeners.keys()? {
            if self.listeners.get(&listener)?.is_some_and(|state| state.last_seen <= until) {
                self.listeners.delete(listener.clone())?;
                self.offered.remove_group(&listener)?;
            }
        }
        let mut old = Vec::new();
        for event in self.by_time.ascending(Bound::Unbounded).take(limit) {
            let event = event?;
            if event.0 > until {
                break;
            }
            old.push(event);
        }
        for event in &old {
            self.delete(*event)?;
        }
        Ok(old.len())
    }

    /// Deletes the events. The next position stays, because waiters remember positions.
    pub(super) fn purge(&mut self) -> Result<()> {
        self.events.clear()?;
        self.by_time.clear()?;
        self.by_name.clear()?;
        self.by_key.clear()?;
        self.listeners.clear()?;
        self.offered.clear()?;
        self.last_offered.clear()
    }

    fn delete(&mut self, event: (Timestamp, u64)) -> Result<()> {
        self.by_time.remove(&event)?;
        let Some(Event { name, key, .. }) = self.events.remove(&event.1)? else { return Ok(()) };
        self.by_name.remove(&name, &event.1)?;
        match key {
            Some(key) => self.by_key.remove(&(name, key), &event.1),
            None => Ok(()),
        }
    }
}
