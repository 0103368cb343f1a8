//! What came true and waits for the other conditions of its trigger.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{Lookup, Occurrence, TriggerId};
use rustc_hash::FxHashMap;

use super::take_old;

/// Occurrences, the used-up ones too: they are what a repeated report is recognized by.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    last: u64,
    all: FxHashMap<Box<str>, Occurred>,
    waiting: FxHashMap<(TriggerId, u32), Line>,
    used: BTreeSet<(Timestamp, Box<str>)>,
    ends: BTreeSet<(Timestamp, Box<str>)>,
}

/// What waits of one condition, oldest first.
type Line = BTreeMap<(Timestamp, u64), Box<str>>;

#[derive(Debug)]
struct Occurred {
    occurrence: Occurrence,
    sequence: u64,
    is_used: bool,
}

impl Occurrences {
    pub(super) fn put(&mut self, occurrence: &Occurrence) {
        if self.all.contains_key(&occurrence.id) {
            return;
        }
        self.last += 1;
        let Occurrence { id, trigger, condition, at, until, .. } = occurrence.clone();
        self.waiting.entry((trigger, condition)).or_default().insert((at, self.last), id.clone());
        self.ends.insert((until, id.clone()));
        let occurred = Occurred { occurrence: occurrence.clone(), sequence: self.last, is_used: false };
        self.all.insert(id, occurred);
    }

    pub(super) fn waiting(&self, lookup: &Lookup, limit: usize) -> Vec<Occurrence> {
        let Some(waiting) = self.waiting.get(&(lookup.trigger.clone(), lookup.condition)) else { return Vec::new() };
        let asked = waiting.range((lookup.since, 0)..).take(limit);
        asked.map(|(_, id)| self.all[id].occurrence.clone()).collect()
    }

    pub(super) fn waits(&self, id: &str) -> bool {
        self.all.get(id).is_some_and(|occurred| !occurred.is_used)
    }

    pub(super) fn use_up(&mut self, id: &str, now: Timestamp) {
        let Some(occurred) = self.all.get_mut(id) else { return };
        occurred.is_used = true;
        self.used.insert((now, id.into()));
        self.leave(id);
    }

    pub(super) fn expire(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> usize {
        let used = take_old(&mut self.used, until, limit);
        let unasked = take_old(&mut self.ends, now, limit - used.len());
        unasked.iter().for_each(|id| self.leave(id));
        for id in used.iter().chain(&unasked) {
            self.all.remove(id);
        }
        used.len() + unasked.len()
    }

    /// Takes one out of what waits.
    fn leave(&mut self, id: &str) {
        let Some(Occurred { occurrence, sequence, .. }) = self.all.get(id) else { return };
        self.ends.remove(&(occurrence.until, id.into()));
        let place = (occurrence.trigger.clone(), occurrence.condition);
        let Some(waiting) = self.waiting.get_mut(&place) else { return };
        waiting.remove(&(occurrence.at, *sequence));
        if waiting.is_empty() {
            self.waiting.remove(&place);
        }
    }
}
