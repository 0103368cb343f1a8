//! The journals of workflows.

use pynenc_core::page::Cursor;
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, JournalRecord};
use pynenc_core::{Error, ErrorKind, InvocationId, Result, Timestamp};
use rustc_hash::FxHashMap;

use crate::ordered::Ordered;

/// The journals, and the workflow runs among them by the time of their first opening.
#[derive(Debug, Default)]
pub(super) struct Journals {
    by_id: FxHashMap<InvocationId, StoredJournal>,
    runs: Ordered<Cursor>,
}

impl Journals {
    pub(super) fn open(&mut self, opening: &JournalOpening, now: Timestamp) -> Result<Journal> {
        let JournalOpening { id, epoch, attempt, workflow, takes_over } = *opening;
        if !self.by_id.contains_key(&id) {
            let taken_over = takes_over.and_then(|other| self.by_id.get(&other)).map(StoredJournal::copied);
            self.by_id.insert(id, taken_over.unwrap_or_else(|| StoredJournal::new(id)));
        }
        let journal = self.by_id.get_mut(&id).expect("a missing journal was inserted above");
        journal.check(id, epoch)?;
        journal.fence = epoch;
        if journal.attempt < attempt {
            (journal.attempt, journal.tries) = (attempt, journal.tries + 1);
        }
        if journal.run.is_none() && workflow.is_none_or(|workflow| workflow == journal.origin) {
            let run = Cursor { at: now, id };
            journal.run = Some(run);
            self.runs.insert(run);
        }
        Ok(journal.read(now))
    }

    pub(super) fn read(&self, id: InvocationId, now: Timestamp) -> Option<Journal> {
        self.by_id.get(&id).map(|journal| journal.read(now))
    }

    pub(super) fn append(
        &mut self,
        id: InvocationId,
        epoch: u64,
        entries: &[JournalEntry],
        now: Timestamp,
    ) -> Result<Vec<Appended>> {
        let journal = self.by_id.entry(id).or_insert_with(|| StoredJournal::new(id));
        journal.check(id, epoch)?;
        Ok(entries.iter().map(|entry| journal.append(entry, now)).collect())
    }

    pub(super) fn runs(&self) -> &Ordered<Cursor> {
        &self.runs
    }

    pub(super) fn forget(&mut self, id: InvocationId) {
        if let Some(run) = self.by_id.remove(&id).and_then(|journal| journal.run) {
            self.runs.remove(&run);
        }
    }
}

#[derive(Debug, Clone)]
struct StoredJournal {
    origin: InvocationId,
    fence: u64,
    attempt: u32,
    tries: u32,
    run: Option<Cursor>,
    entries: Vec<JournalRecord>,
    positions: FxHashMap<Box<str>, usize>,
}

impl StoredJournal {
    fn new(origin: InvocationId) -> Self {
        Self { origin, fence: 0, attempt: 0, tries: 0, run: None, entries: Vec::new(), positions: FxHashMap::default() }
    }

    /// The same entries for another invocation, which has its own epochs and attempts.
    fn copied(&self) -> Self {
        Self { fence: 0, attempt: 0, run: None, ..self.clone() }
    }

    fn check(&self, id: InvocationId, epoch: u64) -> Result<()> {
        if epoch >= self.fence {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Fenced, "a newer owner has this journal");
        Err(error.with("invocation", id).with("epoch", epoch).with("fence", self.fence))
    }

    fn read(&self, now: Timestamp) -> Journal {
        Journal { origin: self.origin, tries: self.tries, entries: self.entries.clone(), now }
    }

    fn append(&mut self, entry: &JournalEntry, at: Timestamp) -> Appended {
        if let Some(&index) = self.positions.get(&entry.position) {
            return Appended::Existing(self.entries[index].clone());
        }
        self.positions.insert(entry.position.clone(), self.entries.len());
        self.entries.push(JournalRecord { entry: entry.clone(), at });
        Appended::New(at)
    }
}
