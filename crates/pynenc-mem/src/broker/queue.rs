//! One queue: what may be given out, and what will be.

use std::collections::BTreeMap;

use pynenc_core::broker::{Message, QueueLen};
use pynenc_core::record::Priority;
use pynenc_core::{InvocationId, Timestamp};
use rustc_hash::FxHashMap;

#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: Line,
    delayed: Line,
    places: FxHashMap<InvocationId, Place>,
}

/// In the order of what stands before: how little priority there is, or when it is due in milliseconds; then by sequence.
type Line = BTreeMap<(u64, u64), InvocationId>;

#[derive(Debug, Clone, Copy)]
struct Place {
    not_before: Option<Timestamp>,
    priority: Priority,
    sequence: u64,
}

impl Queue {
    pub(super) fn push(&mut self, message: &Message, sequence: u64, now: Timestamp) {
        let not_before = message.not_before.filter(|time| *time > now);
        let mut place = Place { not_before, priority: message.priority, sequence };
        if let Some(old) = self.places.get(&message.invocation).copied() {
            self.take_out(old);
            place = old.better(place);
        }
        self.put(message.invocation, place);
    }

    pub(super) fn take(&mut self, max: usize, now: Timestamp, ids: &mut Vec<InvocationId>) {
        self.promote(now);
        while ids.len() < max {
            let Some((_, id)) = self.ready.pop_first() else { return };
            self.places.remove(&id);
            ids.push(id);
        }
    }

    pub(super) fn remove(&mut self, id: InvocationId) {
        if let Some(place) = self.places.remove(&id) {
            self.take_out(place);
        }
    }

    pub(super) fn len(&mut self, now: Timestamp) -> QueueLen {
        self.promote(now);
        QueueLen { ready: self.ready.len() as u64, delayed: self.delayed.len() as u64 }
    }

    /// Counts those before it one by one: it is asked for by people.
    pub(super) fn place(&mut self, id: InvocationId, now: Timestamp) -> Option<u64> {
        self.promote(now);
        let place = self.places.get(&id).filter(|place| place.not_before.is_none())?;
        Some(self.ready.range(..place.key()).count() as u64)
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.delayed.first_key_value().map(|((due, _), _)| Timestamp::from_millis(*due))
    }

    fn promote(&mut self, now: Timestamp) {
        while let Some(first) = self.delayed.first_entry().filter(|first| first.key().0 <= now.as_millis()) {
            let id = first.remove();
            let place = Place { not_before: None, ..self.places[&id] };
            self.put(id, place);
        }
    }

    fn put(&mut self, id: InvocationId, place: Place) {
        self.places.insert(id, place);
        self.line(place).insert(place.key(), id);
    }

    fn take_out(&mut self, place: Place) {
        self.line(place).remove(&place.key());
    }

    fn line(&mut self, place: Place) -> &mut Line {
        if place.not_before.is_some() { &mut self.delayed } else { &mut self.ready }
    }
}

impl Place {
    /// Where it stands in its line.
    fn key(self) -> (u64, u64) {
        let first = match self.not_before {
            Some(time) => time.as_millis(),
            None => u64::from(u16::MAX - self.priority.level()),
        };
        (first, self.sequence)
    }

    /// The earlier time and the higher priority of two, at the place in the line that the older one has.
    fn better(self, newer: Self) -> Self {
        Self {
            // `None` is at once, and less than every time.
            not_before: self.not_before.min(newer.not_before),
            priority: self.priority.max(newer.priority),
            sequence: self.sequence,
        }
    }
}
