//! The state backend over a key-value store.

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::component::StoreId;
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Listing, OutcomeWrite};
use pynenc_core::{Component, InvocationId, Result, StateBackend, Timestamp};

use crate::decisions::records::Records;
use crate::storage::Collection;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::key_value::Durability;
use crate::stores::store::{KvStore, with};

/// A state backend over a key-value store.
#[derive(Debug, Clone)]
pub struct KvStateBackend {
    store: KvStore,
}

impl KvStateBackend {
    /// The state backend of a store.
    pub fn new(store: KvStore) -> Self {
        Self { store }
    }

    async fn write<R: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut Records<Bytes<'_>>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run = move |bytes: Bytes<'_>, now: Timestamp, _: &mut Committed| {
            with(Records::open(&bytes), |records| step(records, now))
        };
        self.store.write(Durability::Power, run).await
    }

    async fn read<R: Send + 'static>(
        &self,
        mut step: impl FnMut(&Records<Bytes<'_>>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.store.read(move |bytes: Bytes<'_>, now: Timestamp| step(&Records::open(&bytes), now)).await
    }
}

#[async_trait]
impl Component for KvStateBackend {
    async fn purge(&self) -> Result<()> {
        self.write(|records, _| records.clear()).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

#[async_trait]
impl StateBackend for KvStateBackend {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        let new = records.to_vec();
        self.write(move |records, now| new.iter().try_for_each(|record| records.put(record, now))).await
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        let ids = ids.to_vec();
        self.read(move |records, _| ids.iter().map(|id| records.record(*id)).collect()).await
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        let outcomes = outcomes.to_vec();
        self.write(move |records, _| outcomes.iter().try_for_each(|write| records.put_outcome(write))).await
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        self.read(move |records, _| Ok(records.outcome(id, epoch)?.cloned())).await
    }

    async fn list(&self, listing: &Listing, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        let listing = *listing;
        self.read(move |records, now| records.list(&listing, after, limit, now)).await
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        let opening = *opening;
        self.write(move |records, now| records.open_journal(&opening, now)).await?
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        self.read(move |records, now| records.journal(id, now)).await
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        let entries = entries.to_vec();
        self.write(move |records, now| records.append_journal(id, epoch, &entries, now)).await?
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        let key = key.to_owned();
        self.write(move |records, _| records.put_data(workflow, &key, value.clone())).await
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        let key = key.to_owned();
        self.read(move |records, _| records.data(workflow, &key)).await
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let ids = ids.to_vec();
        self.write(move |records, _| ids.iter().try_for_each(|id| records.forget(*id))).await
    }
}
