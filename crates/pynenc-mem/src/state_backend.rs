//! The state backend in memory: records, outcomes, journals and workflow data.

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::component::StoreId;
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Listing, OutcomeWrite};
use pynenc_core::{Clock, Component, InvocationId, Result, StateBackend};
use pynenc_kv::decisions::records::Records;
use pynenc_kv::native::Native;
use pynenc_kv::storage::Collection;

use crate::shared::Shared;

/// A state backend in the memory of this process.
#[derive(Debug)]
pub struct MemStateBackend {
    records: Shared<Records<Native>>,
}

impl MemStateBackend {
    /// An empty state backend.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { records: Shared::new(clock, Records::open(&Native)) }
    }
}

#[async_trait]
impl Component for MemStateBackend {
    async fn purge(&self) -> Result<()> {
        self.records.lock().clear()
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl StateBackend for MemStateBackend {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        self.records.step(|stored, now| records.iter().try_for_each(|record| stored.put(record, now)))
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        let records = self.records.lock();
        ids.iter().map(|id| records.record(*id)).collect()
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        let mut records = self.records.lock();
        outcomes.iter().try_for_each(|write| records.put_outcome(write))
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        Ok(self.records.lock().outcome(id, epoch)?.cloned())
    }

    async fn list(&self, listing: &Listing, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        self.records.step(|records, now| records.list(listing, after, limit, now))
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        self.records.step(|records, now| records.open_journal(opening, now))?
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        self.records.step(|records, now| records.journal(id, now))
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        self.records.step(|records, now| records.append_journal(id, epoch, entries, now))?
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        self.records.lock().put_data(workflow, key, value)
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        self.records.lock().data(workflow, key)
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let mut records = self.records.lock();
        ids.iter().try_for_each(|id| records.forget(*id))
    }
}
