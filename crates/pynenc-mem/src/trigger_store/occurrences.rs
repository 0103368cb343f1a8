//! Occurrences: conditions that came true and wait for the other conditions of their trigger.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{Lookup, Occurrence, TriggerId};
use rustc_hash::FxHashMap;

use super::expiry::take_expired;

/// The occurrences. Consumed ones stay for a while, so that a repeated report is recognized.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    last: u64,
    all: FxHashMap<Box<str>, StoredOccurrence>,
    waiting: FxHashMap<(TriggerId, u32), ByTime>,
    consumed: BTreeSet<(Timestamp, Box<str>)>,
    expiries: BTreeSet<(Timestamp, Box<str>)>,
}

/// The waiting occurrences of one condition, oldest first.
type ByTime = BTreeMap<(Timestamp, u64), Box<str>>;

#[derive(Debug)]
struct StoredOccurrence {
    occurrence: Occurrence,
    sequence: u64,
    is_consumed: bool,
}

impl Occurrences {
    pub(super) fn put(&mut self, occurrence: &Occurrence) {
        if self.all.contains_key(&occurrence.id) {
            return;
        }
        self.last += 1;
        let Occurrence { id, trigger, condition, at, until, .. } = occurrence.clone();
        self.waiting.entry((trigger, condition)).or_default().insert((at, self.last), id.clone());
        self.expiries.insert((until, id.clone()));
        let stored = StoredOccurrence { occurrence: occurrence.clone(), sequence: self.last, is_consumed: false };
        self.all.insert(id, stored);
    }

    pub(super) fn waiting(&self, lookup: &Lookup, limit: usize) -> Vec<Occurrence> {
        let Some(waiting) = self.waiting.get(&(lookup.trigger.clone(), lookup.condition)) else { return Vec::new() };
        let matching = waiting.range((lookup.since, 0)..).take(limit);
        matching.map(|(_, id)| self.all[id].occurrence.clone()).collect()
    }

    pub(super) fn is_waiting(&self, id: &str) -> bool {
        self.all.get(id).is_some_and(|stored| !stored.is_consumed)
    }

    pub(super) fn consume(&mut self, id: &str, now: Timestamp) {
        let Some(stored) = self.all.get_mut(id) else { return };
        stored.is_consumed = true;
        self.consumed.insert((now, id.into()));
        self.stop_waiting(id);
    }

    pub(super) fn expire(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> usize {
        let consumed = take_expired(&mut self.consumed, until, limit);
        let unclaimed = take_expired(&mut self.expiries, now, limit - consumed.len());
        unclaimed.iter().for_each(|id| self.stop_waiting(id));
        for id in consumed.iter().chain(&unclaimed) {
            self.all.remove(id);
        }
        consumed.len() + unclaimed.len()
    }

    /// Removes an occurrence from the waiting ones.
    fn stop_waiting(&mut self, id: &str) {
        let Some(StoredOccurrence { occurrence, sequence, .. }) = self.all.get(id) else { return };
        self.expiries.remove(&(occurrence.until, id.into()));
        let condition = (occurrence.trigger.clone(), occurrence.condition);
        let Some(waiting) = self.waiting.get_mut(&condition) else { return };
        waiting.remove(&(occurrence.at, *sequence));
        if waiting.is_empty() {
            self.waiting.remove(&condition);
        }
    }
}
