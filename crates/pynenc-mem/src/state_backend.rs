//! What was called, and what came of it.

mod journals;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::lane::StoreId;
use pynenc_core::orchestrator::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, OutcomeWrite};
use pynenc_core::{Clock, InvocationId, Result, StateBackend, Timestamp};
use rustc_hash::FxHashMap;

use self::journals::Journals;
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
            facts.put_outcome(write);
        }
        Ok(())
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        Ok(self.facts.lock().outcome(id, epoch).cloned())
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        self.facts.step(|facts, now| facts.journals.open(opening, now))
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        Ok(self.facts.step(|facts, now| facts.journals.read(id, now)))
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        self.facts.step(|facts, now| facts.journals.append(id, epoch, entries, now))
    }

    async fn workflow_runs(&self, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        Ok(self.facts.lock().journals.runs(after, limit))
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
    /// By invocation and epoch; nearly always there is one epoch.
    outcomes: FxHashMap<InvocationId, Vec<(u64, Outcome)>>,
    journals: Journals,
    data: FxHashMap<InvocationId, FxHashMap<Box<str>, Payload>>,
}

/// The first places of a listing, and where to go on.
fn page<'a>(mut places: impl Iterator<Item = &'a Cursor>, limit: usize) -> Page<InvocationId> {
    let taken: Vec<Cursor> = places.by_ref().take(limit).copied().collect();
    let next = taken.last().copied().filter(|_| places.next().is_some());
    Page { items: taken.into_iter().map(|place| place.id).collect(), next }
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

    /// The first outcome of an epoch stays.
    fn put_outcome(&mut self, write: &OutcomeWrite) {
        if self.outcome(write.id, write.epoch).is_none() {
            let epochs = self.outcomes.entry(write.id).or_insert_with(|| Vec::with_capacity(1));
            epochs.push((write.epoch, write.outcome.clone()));
        }
    }

    fn outcome(&self, id: InvocationId, epoch: u64) -> Option<&Outcome> {
        let epochs = self.outcomes.get(&id)?;
        epochs.iter().find(|(of, _)| *of == epoch).map(|(_, outcome)| outcome)
    }

    fn aged(&self, until: Timestamp, after: Option<Cursor>, limit: usize) -> Page<InvocationId> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        page(self.by_age.range((start, Bound::Unbounded)).take_while(|place| place.at <= until), limit)
    }

    fn forget(&mut self, id: InvocationId) {
        self.outcomes.remove(&id);
        self.journals.forget(id);
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
