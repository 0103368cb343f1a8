//! What workflows have recorded.

use std::collections::BTreeSet;
use std::ops::Bound;

use pynenc_core::orchestrator::{Cursor, Page};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Recorded};
use pynenc_core::{Error, ErrorKind, InvocationId, Result, Timestamp};
use rustc_hash::FxHashMap;

use super::page;

/// The journals, and which of them are runs, by the time of their first opening.
#[derive(Debug, Default)]
pub(super) struct Journals {
    by_id: FxHashMap<InvocationId, Kept>,
    runs: BTreeSet<Cursor>,
}

impl Journals {
    pub(super) fn open(&mut self, opening: &JournalOpening, now: Timestamp) -> Result<Journal> {
        let JournalOpening { id, epoch, attempt, workflow, takes_over } = *opening;
        if !self.by_id.contains_key(&id) {
            let taken_over = takes_over.and_then(|other| self.by_id.get(&other)).map(Kept::for_another);
            self.by_id.insert(id, taken_over.unwrap_or_else(|| Kept::begun(id)));
        }
        let kept = self.by_id.get_mut(&id).expect("it was put there, if it wasn't there before");
        kept.check(id, epoch)?;
        kept.fence = epoch;
        if kept.attempt < attempt {
            (kept.attempt, kept.tries) = (attempt, kept.tries + 1);
        }
        if kept.run.is_none() && workflow.is_none_or(|workflow| workflow == kept.origin) {
            kept.run = Some(Cursor { at: now, id });
            self.runs.extend(kept.run);
        }
        Ok(kept.shown(now))
    }

    pub(super) fn read(&self, id: InvocationId, now: Timestamp) -> Option<Journal> {
        self.by_id.get(&id).map(|kept| kept.shown(now))
    }

    pub(super) fn append(
        &mut self,
        id: InvocationId,
        epoch: u64,
        entries: &[JournalEntry],
        now: Timestamp,
    ) -> Result<Vec<Appended>> {
        let kept = self.by_id.entry(id).or_insert_with(|| Kept::begun(id));
        kept.check(id, epoch)?;
        Ok(entries.iter().map(|entry| kept.append(entry, now)).collect())
    }

    pub(super) fn runs(&self, after: Option<Cursor>, limit: usize) -> Page<InvocationId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        page(self.runs.range((start, Bound::Unbounded)), limit)
    }

    pub(super) fn forget(&mut self, id: InvocationId) {
        if let Some(place) = self.by_id.remove(&id).and_then(|kept| kept.run) {
            self.runs.remove(&place);
        }
    }
}

#[derive(Debug, Clone)]
struct Kept {
    origin: InvocationId,
    fence: u64,
    attempt: u32,
    tries: u32,
    run: Option<Cursor>,
    entries: Vec<Recorded>,
    positions: FxHashMap<Box<str>, usize>,
}

impl Kept {
    fn begun(origin: InvocationId) -> Self {
        Self { origin, fence: 0, attempt: 0, tries: 0, run: None, entries: Vec::new(), positions: FxHashMap::default() }
    }

    /// The same entries for another invocation, which counts its own epochs and attempts.
    fn for_another(&self) -> Self {
        Self { fence: 0, attempt: 0, run: None, ..self.clone() }
    }

    fn check(&self, id: InvocationId, epoch: u64) -> Result<()> {
        if epoch >= self.fence {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Fenced, "a newer owner has this journal");
        Err(error.with("invocation", id).with("epoch", epoch).with("fence", self.fence))
    }

    fn shown(&self, now: Timestamp) -> Journal {
        Journal { origin: self.origin, tries: self.tries, entries: self.entries.clone(), now }
    }

    fn append(&mut self, entry: &JournalEntry, at: Timestamp) -> Appended {
        if let Some(&place) = self.positions.get(&entry.position) {
            return Appended::Existing(self.entries[place].clone());
        }
        self.positions.insert(entry.position.clone(), self.entries.len());
        self.entries.push(Recorded { entry: entry.clone(), at });
        Appended::New(at)
    }
}
