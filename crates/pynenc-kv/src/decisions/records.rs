//! The decisions of the state backend: records, outcomes, journals and workflow data.

mod journals;

use std::ops::Bound;
use std::sync::Arc;

use pynenc_core::packed::packed_struct;
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Listing, OutcomeWrite};
use pynenc_core::{ErrorKind, InvocationId, Result, Timestamp};

use self::journals::Journals;
use crate::storage::{Groups, Map, Set, Storage, collections};
use crate::table::Table;

collections! {
    /// The data of the state backend.
    pub struct Records {
        calls: S::Map<InvocationId, StoredRecord> = map(Table::Record),
        /// Records that may never be registered, by the time of their put.
        by_age: S::Set<Cursor> = set(Table::RecordAge),
        children: S::Groups<InvocationId, InvocationId> = groups(Table::Child),
        outcomes: S::Map<InvocationId, Outcomes> = map(Table::Outcome),
        journals: Journals<S>,
        data: S::Map<(InvocationId, Box<str>), Payload> = map(Table::WorkflowData),
        data_keys: S::Groups<InvocationId, Box<str>> = groups(Table::WorkflowKey),
    }
}

/// The outcomes of an invocation, each with its epoch. Nearly always there is one.
#[derive(Debug)]
struct Outcomes {
    first: (u64, Outcome),
    others: Vec<(u64, Outcome)>,
}

packed_struct!(Outcomes { first, others });

impl Outcomes {
    fn find(&self, epoch: u64) -> Option<&Outcome> {
        let mut all = std::iter::once(&self.first).chain(&self.others);
        all.find(|(of, _)| *of == epoch).map(|(_, outcome)| outcome)
    }
}

#[derive(Debug)]
struct StoredRecord {
    record: Arc<InvocationRecord>,
    /// When it was put, if it wasn't put with its registration.
    at: Option<Timestamp>,
}

packed_struct!(StoredRecord { record, at });

impl<S: Storage> Records<S> {
    /// Stores the record of a call, unless there is one.
    pub fn put(&mut self, record: &Arc<InvocationRecord>, at: Timestamp) -> Result<()> {
        self.put_at(record, Some(at))
    }

    /// Stores the record of a call in the step of its registration, unless there is one.
    pub fn put_registered(&mut self, record: &Arc<InvocationRecord>) -> Result<()> {
        self.put_at(record, None)
    }

    fn put_at(&mut self, record: &Arc<InvocationRecord>, at: Option<Timestamp>) -> Result<()> {
        let id = record.id;
        if self.calls.contains(&id)? {
            return Ok(());
        }
        if let Some(at) = at {
            self.by_age.insert(Cursor { at, id })?;
        }
        if let Some(parent) = record.parent {
            self.children.insert(&parent, id)?;
        }
        self.calls.insert(id, StoredRecord { record: record.clone(), at })
    }

    /// Reads the record of a call.
    pub fn record(&self, id: InvocationId) -> Result<Option<Arc<InvocationRecord>>> {
        Ok(self.calls.get(&id)?.map(|stored| stored.record.clone()))
    }

    /// Stores an outcome unless its epoch has one.
    pub fn put_outcome(&mut self, write: &OutcomeWrite) -> Result<()> {
        let Some(stored) = self.outcomes.get(&write.id)? else { return self.put_first_outcome(write) };
        let is_new = stored.find(write.epoch).is_none();
        if let Some(stored) = if is_new { self.outcomes.get_mut(&write.id)? } else { None } {
            stored.others.push((write.epoch, write.outcome.clone()));
        }
        Ok(())
    }

    /// Stores the first outcome of an invocation.
    pub fn put_first_outcome(&mut self, write: &OutcomeWrite) -> Result<()> {
        let first = (write.epoch, write.outcome.clone());
        self.outcomes.insert(write.id, Outcomes { first, others: Vec::new() })
    }

    /// Reads the outcome of an epoch.
    pub fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<&Outcome>> {
        Ok(self.outcomes.get(&id)?.and_then(|stored| stored.find(epoch)))
    }

    /// Lists invocations.
    pub fn list(
        &self,
        listing: &Listing,
        after: Option<Cursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<InvocationId>> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        match listing {
            Listing::WorkflowRuns => page(self.journals.runs(begin), limit, |_| true),
            Listing::PutBefore(age) => page(self.by_age.ascending(begin), limit, |item| item.at <= now - *age),
            Listing::Children(parent) => {
                let children = self.children.ascending(parent, begin.map(|after| after.id));
                page(children.map(|id| Ok(Cursor { at: Timestamp::default(), id: id? })), limit, |_| true)
            }
        }
    }

    /// Raises the fence of a journal to an epoch, and reads the journal. The inner error is of kind `Fenced`.
    pub fn open_journal(&mut self, opening: &JournalOpening, now: Timestamp) -> Result<Result<Journal>> {
        self.journals.open_journal(opening, now)
    }

    /// Reads a journal.
    pub fn journal(&self, id: InvocationId, now: Timestamp) -> Result<Option<Journal>> {
        self.journals.read(id, now)
    }

    /// Appends operations to a journal. The inner error is of kind `Fenced`.
    pub fn append_journal(
        &mut self,
        id: InvocationId,
        epoch: u64,
        entries: &[JournalEntry],
        now: Timestamp,
    ) -> Result<Result<Vec<Appended>>> {
        self.journals.append(id, epoch, entries, now)
    }

    /// Stores a value of a workflow.
    pub fn put_data(&mut self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        let key: Box<str> = key.into();
        self.data_keys.insert(&workflow, key.clone())?;
        self.data.insert((workflow, key), value)
    }

    /// Reads a value of a workflow.
    pub fn data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        Ok(self.data.get(&(workflow, key.into()))?.cloned())
    }

    /// Deletes an invocation.
    pub fn forget(&mut self, id: InvocationId) -> Result<()> {
        self.outcomes.delete(id)?;
        self.journals.forget(id)?;
        for key in self.data_keys.remove_group(&id)? {
            self.data.delete((id, key))?;
        }
        let stored = match self.calls.remove(&id) {
            Err(error) if error.kind() == ErrorKind::Corrupt => return self.forget_unreadable(id),
            stored => stored?,
        };
        let Some(stored) = stored else { return Ok(()) };
        if let Some(at) = stored.at {
            self.by_age.remove(&Cursor { at, id })?;
        }
        match stored.record.parent {
            Some(parent) => self.children.remove(&parent, &id),
            None => Ok(()),
        }
    }

    /// Deletes a record that can't be read. Its parent isn't known, so the list of the parent's children keeps it.
    fn forget_unreadable(&mut self, id: InvocationId) -> Result<()> {
        self.calls.delete(id)?;
        let mut positions = self.by_age.ascending(Bound::Unbounded);
        let position = positions.find(|position| !matches!(position, Ok(position) if position.id != id));
        drop(positions);
        match position.transpose()? {
            Some(position) => self.by_age.remove(&position),
            None => Ok(()),
        }
    }
}

/// The first `limit` items, up to the first one that `is_listed` rejects.
fn page(
    items: impl Iterator<Item = Result<Cursor>>,
    limit: usize,
    is_listed: impl Fn(&Cursor) -> bool,
) -> Result<Page<InvocationId>> {
    let mut taken: Vec<Cursor> = Vec::new();
    for item in items {
        let item = item?;
        if !is_listed(&item) {
            break;
        }
        if taken.len() == limit {
            let next = taken.last().copied();
            return Ok(Page { items: taken.into_iter().map(|item| item.id).collect(), next });
        }
        taken.push(item);
    }
    Ok(Page { items: taken.into_iter().map(|item| item.id).collect(), next: None })
}
