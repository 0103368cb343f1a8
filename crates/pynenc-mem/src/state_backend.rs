//! What was called, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::lane::StoreId;
use pynenc_core::orchestrator::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{Appended, JournalEntry, OutcomeWrite};
use pynenc_core::{Clock, Error, ErrorKind, InvocationId, Result, StateBackend, Timestamp};
use rustc_hash::FxHashMap;

use crate::shared::Shared;

/// A state backend that lives in this process.
#[derive(Debug)]
pub struct MemStateBackend {
    facts: Shared<Facts>,
}

impl MemStateBackend {
    /// A state backend that knows nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { facts: Shared::new(clock) }
    }
}

#[async_trait]
impl StateBackend for MemStateBackend {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        self.facts.step(|facts, now| records.iter().for_each(|record| facts.put(record, now)));
        Ok(())
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        let facts = self.facts.lock();
        Ok(ids.iter().map(|id| facts.records.get(id).map(|kept| kept.record.clone())).collect())
    }

    async fn children(&self, parent: InvocationId) -> Result<Vec<InvocationId>> {
        let facts = self.facts.lock();
        Ok(facts.children.get(&parent).map(|children| children.iter().copied().collect()).unwrap_or_default())
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        let mut facts = self.facts.lock();
        for write in outcomes {
            let epochs = facts.outcomes.entry(write.id).or_default();
            epochs.entry(write.epoch).or_insert_with(|| write.outcome.clone());
        }
        Ok(())
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        Ok(self.facts.lock().outcomes.get(&id).and_then(|epochs| epochs.get(&epoch)).cloned())
    }

    async fn journal(&self, id: InvocationId, epoch: u64) -> Result<Vec<JournalEntry>> {
        let mut facts = self.facts.lock();
        let journal = facts.journals.entry(id).or_default();
        journal.check(id, epoch)?;
        journal.fence = epoch;
        Ok(journal.entries.clone())
    }

    async fn journal_append(&self, id: InvocationId, epoch: u64, entry: JournalEntry) -> Result<Appended> {
        let mut facts = self.facts.lock();
        let journal = facts.journals.entry(id).or_default();
        journal.check(id, epoch)?;
        Ok(journal.append(entry))
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        self.facts.lock().data.entry(workflow).or_default().insert(key.into(), value);
        Ok(())
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        Ok(self.facts.lock().data.get(&workflow).and_then(|data| data.get(key)).cloned())
    }

    async fn aged(&self, age: Duration, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        Ok(self.facts.step(|facts, now| facts.aged(now - age, after, limit)))
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let mut facts = self.facts.lock();
        for id in ids {
            facts.forget(*id);
        }
        Ok(())
    }

    async fn purge(&self) -> Result<()> {
        *self.facts.lock() = Facts::default();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[derive(Debug, Default)]
struct Facts {
    records: FxHashMap<InvocationId, Kept>,
    by_age: BTreeSet<Cursor>,
    children: FxHashMap<InvocationId, BTreeSet<InvocationId>>,
    outcomes: FxHashMap<InvocationId, BTreeMap<u64, Outcome>>,
    journals: FxHashMap<InvocationId, Journal>,
    data: FxHashMap<InvocationId, BTreeMap<Box<str>, Payload>>,
}

#[derive(Debug)]
struct Kept {
    record: Arc<InvocationRecord>,
    at: Timestamp,
}

impl Facts {
    fn put(&mut self, record: &Arc<InvocationRecord>, at: Timestamp) {
        let id = record.id;
        if self.records.contains_key(&id) {
            return;
        }
        self.by_age.insert(Cursor { at, id });
        if let Some(parent) = record.parent {
            self.children.entry(parent).or_default().insert(id);
        }
        self.records.insert(id, Kept { record: record.clone(), at });
    }

    fn aged(&self, until: Timestamp, after: Option<Cursor>, limit: usize) -> Page<InvocationId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut old = self.by_age.range((start, Bound::Unbounded)).take_while(|place| place.at <= until).copied();
        let places: Vec<Cursor> = old.by_ref().take(limit).collect();
        let next = places.last().copied().filter(|_| old.next().is_some());
        Page { items: places.into_iter().map(|place| place.id).collect(), next }
    }

    fn forget(&mut self, id: InvocationId) {
        self.outcomes.remove(&id);
        self.journals.remove(&id);
        self.data.remove(&id);
        let Some(kept) = self.records.remove(&id) else { return };
        self.by_age.remove(&Cursor { at: kept.at, id });
        if let Some(parent) = kept.record.parent {
            self.forget_child(parent, id);
        }
    }

    fn forget_child(&mut self, parent: InvocationId, id: InvocationId) {
        let Some(children) = self.children.get_mut(&parent) else { return };
        children.remove(&id);
        if children.is_empty() {
            self.children.remove(&parent);
        }
    }
}

#[derive(Debug, Default)]
struct Journal {
    fence: u64,
    entries: Vec<JournalEntry>,
    positions: FxHashMap<Box<str>, usize>,
}

impl Journal {
    fn check(&self, id: InvocationId, epoch: u64) -> Result<()> {
        if epoch >= self.fence {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Fenced, "a newer owner has this journal");
        Err(error.with("invocation", id).with("epoch", epoch).with("fence", self.fence))
    }

    fn append(&mut self, entry: JournalEntry) -> Appended {
        if let Some(&place) = self.positions.get(&entry.position) {
            return Appended::Existing(self.entries[place].clone());
        }
        self.positions.insert(entry.position.clone(), self.entries.len());
        self.entries.push(entry);
        Appended::New
    }
}
