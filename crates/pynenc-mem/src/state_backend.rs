//! The state backend in memory: records, outcomes, journals and workflow data.

mod journals;
mod pages;

use std::collections::hash_map::Entry;
use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::component::StoreId;
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Listing, OutcomeWrite};
use pynenc_core::{Clock, Component, InvocationId, Result, StateBackend, Timestamp};
use rustc_hash::FxHashMap;

use self::journals::Journals;
use self::pages::page;
use crate::ordered::Ordered;
use crate::shared::Shared;

/// A state backend in the memory of this process.
#[derive(Debug)]
pub struct MemStateBackend {
    state: Shared<State>,
}

impl MemStateBackend {
    /// An empty state backend.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Shared::new(clock) }
    }
}

#[async_trait]
impl Component for MemStateBackend {
    async fn purge(&self) -> Result<()> {
        *self.state.lock() = State::default();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl StateBackend for MemStateBackend {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        self.state.step(|state, now| records.iter().for_each(|record| state.put(record, now)));
        Ok(())
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        let state = self.state.lock();
        Ok(ids.iter().map(|id| state.records.get(id).map(|stored| stored.record.clone())).collect())
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        let mut state = self.state.lock();
        for write in outcomes {
            state.put_outcome(write);
        }
        Ok(())
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        Ok(self.state.lock().outcome(id, epoch).cloned())
    }

    async fn list(&self, listing: &Listing, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        Ok(self.state.step(|state, now| match listing {
            Listing::WorkflowRuns => page(state.journals.runs(), after, limit, |_| true),
            Listing::PutBefore(age) => page(&state.by_age, after, limit, |item| item.at <= now - *age),
            Listing::Children(parent) => match state.children.get(parent) {
                Some(children) => page(children, after, limit, |_| true),
                None => Page { items: Vec::new(), next: None },
            },
        }))
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        self.state.step(|state, now| state.journals.open(opening, now))
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        Ok(self.state.step(|state, now| state.journals.read(id, now)))
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        self.state.step(|state, now| state.journals.append(id, epoch, entries, now))
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        self.state.lock().data.entry(workflow).or_default().insert(key.into(), value);
        Ok(())
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        Ok(self.state.lock().data.get(&workflow).and_then(|data| data.get(key)).cloned())
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let mut state = self.state.lock();
        for id in ids {
            state.forget(*id);
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    records: FxHashMap<InvocationId, StoredRecord>,
    by_age: Ordered<Cursor>,
    children: FxHashMap<InvocationId, Ordered<Cursor>>,
    outcomes: FxHashMap<InvocationId, Outcomes>,
    journals: Journals,
    data: FxHashMap<InvocationId, FxHashMap<Box<str>, Payload>>,
}

/// The outcomes of an invocation, each with its epoch. Nearly always there is one.
#[derive(Debug)]
struct Outcomes {
    first: (u64, Outcome),
    others: Vec<(u64, Outcome)>,
}

impl Outcomes {
    fn find(&self, epoch: u64) -> Option<&Outcome> {
        let mut all = std::iter::once(&self.first).chain(&self.others);
        all.find(|(of, _)| *of == epoch).map(|(_, outcome)| outcome)
    }
}

#[derive(Debug)]
struct StoredRecord {
    record: Arc<InvocationRecord>,
    at: Timestamp,
}

impl State {
    fn put(&mut self, record: &Arc<InvocationRecord>, at: Timestamp) {
        let id = record.id;
        if self.records.contains_key(&id) {
            return;
        }
        self.by_age.insert(Cursor { at, id });
        if let Some(parent) = record.parent {
            self.children.entry(parent).or_default().insert(child(id));
        }
        self.records.insert(id, StoredRecord { record: record.clone(), at });
    }

    /// Stores an outcome unless its epoch has one.
    fn put_outcome(&mut self, write: &OutcomeWrite) {
        let outcome = || (write.epoch, write.outcome.clone());
        match self.outcomes.entry(write.id) {
            Entry::Vacant(entry) => drop(entry.insert(Outcomes { first: outcome(), others: Vec::new() })),
            Entry::Occupied(mut entry) if entry.get().find(write.epoch).is_none() => {
                entry.get_mut().others.push(outcome());
            }
            Entry::Occupied(_) => {}
        }
    }

    fn outcome(&self, id: InvocationId, epoch: u64) -> Option<&Outcome> {
        self.outcomes.get(&id)?.find(epoch)
    }

    fn forget(&mut self, id: InvocationId) {
        self.outcomes.remove(&id);
        self.journals.forget(id);
        self.data.remove(&id);
        let Some(stored) = self.records.remove(&id) else { return };
        self.by_age.remove(&Cursor { at: stored.at, id });
        if let Some(parent) = stored.record.parent {
            self.forget_child(parent, id);
        }
    }

    fn forget_child(&mut self, parent: InvocationId, id: InvocationId) {
        let Some(children) = self.children.get_mut(&parent) else { return };
        children.remove(&child(id));
        if children.is_empty() {
            self.children.remove(&parent);
        }
    }
}

/// The position of a child: children are listed by their ids alone.
fn child(id: InvocationId) -> Cursor {
    Cursor { at: Timestamp::default(), id }
}
