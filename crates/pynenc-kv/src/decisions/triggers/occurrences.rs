//! Occurrences: conditions that came true and wait for the other conditions of their trigger.

use std::ops::Bound;

use pynenc_core::packed::packed_struct;
use pynenc_core::trigger_store::{Lookup, Occurrence, TriggerId};
use pynenc_core::{Error, Result, Timestamp};

use super::expiry::take_expired;
use crate::storage::{Cell, Groups, Map, Set, Storage, collections};
use crate::table::Table;

/// The identity of an occurrence.
type OccurrenceId = Box<str>;

collections! {
    /// The occurrences. Consumed ones stay for a while, so that a repeated report is recognized.
    pub(super) struct Occurrences {
        last: S::Cell<u64> = cell("last_occurrence"),
        all: S::Map<Box<str>, StoredOccurrence> = map(Table::Occurrence),
        /// The waiting occurrences of each condition, oldest first.
        waiting: S::Groups<(TriggerId, u32), (Timestamp, u64, Box<str>)> = groups(Table::OccurrenceWaiting),
        consumed: S::Set<(Timestamp, Box<str>)> = set(Table::OccurrenceConsumed),
        ends: S::Set<(Timestamp, Box<str>)> = set(Table::OccurrenceEnd),
    }
}

#[derive(Debug)]
struct StoredOccurrence {
    occurrence: Occurrence,
    sequence: u64,
    is_consumed: bool,
}

packed_struct!(StoredOccurrence { occurrence, sequence, is_consumed });

impl<S: Storage> Occurrences<S> {
    pub(super) fn put(&mut self, occurrence: &Occurrence) -> Result<()> {
        if self.all.contains(&occurrence.id)? {
            return Ok(());
        }
        let last = self.last.get_mut()?;
        *last += 1;
        let sequence = *last;
        let Occurrence { id, trigger, condition, at, until, .. } = occurrence.clone();
        self.waiting.insert(&(trigger, condition), (at, sequence, id.clone()))?;
        self.ends.insert((until, id.clone()))?;
        self.all.insert(id, StoredOccurrence { occurrence: occurrence.clone(), sequence, is_consumed: false })
    }

    pub(super) fn waiting(&self, lookup: &Lookup, limit: usize) -> Result<Vec<Occurrence>> {
        let since = Bound::Included((lookup.since, 0, Box::default()));
        let waiting = self.waiting.ascending(&(lookup.trigger.clone(), lookup.condition), since);
        let occurrence = |found: Result<(Timestamp, u64, Box<str>)>| {
            let (_, _, id) = found?;
            let missing = || Error::corrupt("an index names an occurrence that doesn't exist").with("occurrence", &id);
            Ok(self.all.get(&id)?.ok_or_else(missing)?.occurrence.clone())
        };
        waiting.take(limit).map(occurrence).collect()
    }

    pub(super) fn is_waiting(&self, id: &OccurrenceId) -> Result<bool> {
        Ok(self.all.get(id)?.is_some_and(|stored| !stored.is_consumed))
    }

    pub(super) fn consume(&mut self, id: &OccurrenceId, now: Timestamp) -> Result<()> {
        let Some(stored) = self.all.get_mut(id)? else { return Ok(()) };
        stored.is_consumed = true;
        self.consumed.insert((now, id.clone()))?;
        self.stop_waiting(id)
    }

    pub(super) fn expire(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> Result<usize> {
        let consumed = take_expired(&mut self.consumed, until, limit)?;
        let unclaimed = take_expired(&mut self.ends, now, limit - consumed.len())?;
        for id in &unclaimed {
            self.stop_waiting(id)?;
        }
        for id in consumed.iter().chain(&unclaimed) {
            self.all.delete(id.clone())?;
        }
        Ok(consumed.len() + unclaimed.len())
    }

    /// Removes an occurrence from the waiting ones.
    fn stop_waiting(&mut self, id: &OccurrenceId) -> Result<()> {
        let Some(StoredOccurrence { occurrence, sequence, .. }) = self.all.get(id)? else { return Ok(()) };
        self.ends.remove(&(occurrence.until, id.clone()))?;
        let condition = (occurrence.trigger.clone(), occurrence.condition);
        self.waiting.remove(&condition, &(occurrence.at, *sequence, id.clone()))
    }
}
