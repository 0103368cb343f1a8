//! One queue: the ready hints by priority, and the delayed hints by due time.

use std::ops::Bound;

use pynenc_core::broker::{Message, QueueState};
use pynenc_core::record::Priority;
use pynenc_core::{InvocationId, Timestamp};
use rustc_hash::FxHashMap;

use crate::ordered::Ordered;

#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: Hints,
    delayed: Hints,
    entries: FxHashMap<InvocationId, Entry>,
}

/// Hints by the inverse of their priority, or by their due time in milliseconds; then by sequence.
type Hints = Ordered<(u64, u64, InvocationId)>;

#[derive(Debug, Clone, Copy)]
struct Entry {
    not_before: Option<Timestamp>,
    priority: Priority,
    sequence: u64,
}

impl Queue {
    pub(super) fn push(&mut self, message: &Message, sequence: u64, now: Timestamp) {
        let not_before = message.not_before.filter(|time| *time > now);
        let mut entry = Entry { not_before, priority: message.priority, sequence };
        if let Some(old) = self.entries.get(&message.invocation).copied() {
            self.take_out(message.invocation, old);
            entry = old.merged(entry);
        }
        self.insert(message.invocation, entry);
    }

    pub(super) fn take(&mut self, max: usize, now: Timestamp, ids: &mut Vec<InvocationId>) {
        self.promote(now);
        while ids.len() < max {
            let Some((.., id)) = self.ready.pop_first() else { return };
            self.entries.remove(&id);
            ids.push(id);
        }
    }

    pub(super) fn remove(&mut self, id: InvocationId) {
        if let Some(entry) = self.entries.remove(&id) {
            self.take_out(id, entry);
        }
    }

    pub(super) fn state(&mut self, position_of: Option<InvocationId>, now: Timestamp) -> QueueState {
        self.promote(now);
        let position = position_of.and_then(|id| self.position(id));
        QueueState { ready: self.ready.len() as u64, delayed: self.delayed.len() as u64, position }
    }

    /// Counts the hints before a ready one, one by one. Only people ask for the position.
    fn position(&self, id: InvocationId) -> Option<u64> {
        let entry = self.entries.get(&id).filter(|entry| entry.not_before.is_none())?;
        Some(self.ready.ascending(Bound::Unbounded).take_while(|first| **first < entry.key(id)).count() as u64)
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.delayed.first().map(|(due, ..)| Timestamp::from_millis(*due))
    }

    /// Makes the delayed hints ready that are due.
    fn promote(&mut self, now: Timestamp) {
        while let Some((.., id)) = self.delayed.first().copied().filter(|(due, ..)| *due <= now.as_millis()) {
            self.delayed.pop_first();
            let entry = Entry { not_before: None, ..self.entries[&id] };
            self.insert(id, entry);
        }
    }

    fn insert(&mut self, id: InvocationId, entry: Entry) {
        self.entries.insert(id, entry);
        self.order_of(entry).insert(entry.key(id));
    }

    fn take_out(&mut self, id: InvocationId, entry: Entry) {
        self.order_of(entry).remove(&entry.key(id));
    }

    fn order_of(&mut self, entry: Entry) -> &mut Hints {
        if entry.not_before.is_some() { &mut self.delayed } else { &mut self.ready }
    }
}

impl Entry {
    fn key(self, id: InvocationId) -> (u64, u64, InvocationId) {
        let first = match self.not_before {
            Some(time) => time.as_millis(),
            None => u64::from(u16::MAX - self.priority.level()),
        };
        (first, self.sequence, id)
    }

    /// The earlier time and the higher priority of two entries, with the sequence of the older one.
    fn merged(self, newer: Self) -> Self {
        Self {
            // `None` means at once, and is less than every time.
            not_before: self.not_before.min(newer.not_before),
            priority: self.priority.max(newer.priority),
            sequence: self.sequence,
        }
    }
}
