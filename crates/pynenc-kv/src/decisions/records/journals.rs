//! The journals of workflows.

use std::ops::Bound;

use pynenc_core::packed::packed_struct;
use pynenc_core::page::Cursor;
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, JournalRecord};
use pynenc_core::{Error, ErrorKind, InvocationId, Result, Timestamp};

use crate::storage::{Map, Set, Storage, collections};
use crate::table::Table;

collections! {
    /// The journals, and the workflow runs among them by the time of their first opening.
    pub(super) struct Journals {
        heads: S::Map<InvocationId, Head> = map(Table::JournalHead),
        /// The entries by their number.
        entries: S::Map<(InvocationId, u64), JournalRecord> = map(Table::Journal),
        /// The numbers of the entries by their position in the workflow.
        positions: S::Map<(InvocationId, Box<str>), u64> = map(Table::JournalPosition),
        runs: S::Set<Cursor> = set(Table::WorkflowRun),
    }
}

/// A journal without its entries.
#[derive(Debug, Clone, Copy)]
struct Head {
    origin: InvocationId,
    fence: u64,
    attempt: u32,
    tries: u32,
    run: Option<Cursor>,
    /// The number of entries.
    length: u64,
}

packed_struct!(Head { origin, fence, attempt, tries, run, length });

impl Head {
    fn new(origin: InvocationId) -> Self {
        Self { origin, fence: 0, attempt: 0, tries: 0, run: None, length: 0 }
    }

    fn check(&self, id: InvocationId, epoch: u64) -> Result<()> {
        if epoch >= self.fence {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Fenced, "a newer owner has this journal");
        Err(error.with("invocation", id).with("epoch", epoch).with("fence", self.fence))
    }
}

impl<S: Storage> Journals<S> {
    pub(super) fn open_journal(&mut self, opening: &JournalOpening, now: Timestamp) -> Result<Result<Journal>> {
        let JournalOpening { id, epoch, attempt, workflow, takes_over } = *opening;
        let mut head = match self.heads.get(&id)? {
            Some(head) => *head,
            None => self.taken_over(id, takes_over)?.unwrap_or_else(|| Head::new(id)),
        };
        if let Err(fenced) = head.check(id, epoch) {
            return Ok(Err(fenced));
        }
        head.fence = epoch;
        if head.attempt < attempt {
            (head.attempt, head.tries) = (attempt, head.tries + 1);
        }
        if head.run.is_none() && workflow.is_none_or(|workflow| workflow == head.origin) {
            let run = Cursor { at: now, id };
            head.run = Some(run);
            self.runs.insert(run)?;
        }
        self.heads.insert(id, head)?;
        self.journal(id, head, now).map(Ok)
    }

    /// Copies the journal of another invocation. The copy has its own epochs and attempts.
    fn taken_over(&mut self, id: InvocationId, other: Option<InvocationId>) -> Result<Option<Head>> {
        let Some(other) = other else { return Ok(None) };
        let Some(original) = self.heads.get(&other)?.copied() else { return Ok(None) };
        for record in self.records(other, original.length)? {
            self.positions.insert((id, record.1.entry.position.clone()), record.0)?;
            self.entries.insert((id, record.0), record.1)?;
        }
        Ok(Some(Head { fence: 0, attempt: 0, run: None, ..original }))
    }

    pub(super) fn read(&self, id: InvocationId, now: Timestamp) -> Result<Option<Journal>> {
        let head = self.heads.get(&id)?.copied();
        head.map(|head| self.journal(id, head, now)).transpose()
    }

    pub(super) fn append(
        &mut self,
        id: InvocationId,
        epoch: u64,
        entries: &[JournalEntry],
        now: Timestamp,
    ) -> Result<Result<Vec<Appended>>> {
        let mut head = self.heads.get(&id)?.copied().unwrap_or_else(|| Head::new(id));
        if let Err(fenced) = head.check(id, epoch) {
            return Ok(Err(fenced));
        }
        let mut appended = Vec::with_capacity(entries.len());
        for entry in entries {
            appended.push(self.append_entry(id, &mut head, entry, now)?);
        }
        self.heads.insert(id, head)?;
        Ok(Ok(appended))
    }

    fn append_entry(
        &mut self,
        id: InvocationId,
        head: &mut Head,
        entry: &JournalEntry,
        at: Timestamp,
    ) -> Result<Appended> {
        let position = (id, entry.position.clone());
        if let Some(number) = self.positions.get(&position)?.copied() {
            return Ok(Appended::Existing(self.entry(id, number)?.clone()));
        }
        self.positions.insert(position, head.length)?;
        self.entries.insert((id, head.length), JournalRecord { entry: entry.clone(), at })?;
        head.length += 1;
        Ok(Appended::New(at))
    }

    pub(super) fn runs(&self, begin: Bound<Cursor>) -> impl Iterator<Item = Result<Cursor>> {
        self.runs.ascending(begin)
    }

    pub(super) fn forget(&mut self, id: InvocationId) -> Result<()> {
        let Some(head) = self.heads.remove(&id)? else { return Ok(()) };
        for (number, record) in self.records(id, head.length)? {
            self.positions.delete((id, record.entry.position))?;
            self.entries.delete((id, number))?;
        }
        match head.run {
            Some(run) => self.runs.remove(&run),
            None => Ok(()),
        }
    }

    fn journal(&self, id: InvocationId, head: Head, now: Timestamp) -> Result<Journal> {
        let entries = self.records(id, head.length)?.into_iter().map(|(_, record)| record).collect();
        Ok(Journal { origin: head.origin, tries: head.tries, entries, now })
    }

    fn records(&self, id: InvocationId, length: u64) -> Result<Vec<(u64, JournalRecord)>> {
        (0..length).map(|number| Ok((number, self.entry(id, number)?.clone()))).collect()
    }

    fn entry(&self, id: InvocationId, number: u64) -> Result<&JournalRecord> {
        let missing =
            || Error::corrupt("an entry of a journal is missing").with("invocation", id).with("number", number);
        self.entries.get(&(id, number))?.ok_or_else(missing)
    }
}
