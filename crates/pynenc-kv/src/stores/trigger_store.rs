//! The trigger store over a key-value store.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::component::StoreId;
use pynenc_core::trigger_store::{
    Delivered, Event, EventWait, EventsTake, FiredRun, Firing, Lookup, NewEvent, Notification, Occurrence, Offered,
    ReadyTake, StoredTrigger, TriggerRuns, TriggerUpdate, Watermarks,
};
use pynenc_core::{Component, InvocationId, Result, Timestamp, TriggerStore};

use crate::decisions::triggers::State;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::key_value::{Durability, Topic};
use crate::stores::store::{KvStore, with};

/// A trigger store over a key-value store.
#[derive(Debug, Clone)]
pub struct KvTriggerStore {
    store: KvStore,
}

impl KvTriggerStore {
    /// The trigger store of a store.
    pub fn new(store: KvStore) -> Self {
        Self { store }
    }

    async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        mut step: impl FnMut(&mut State<Bytes<'_>>, Timestamp, &mut Committed) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run = move |bytes: Bytes<'_>, now: Timestamp, committed: &mut Committed| {
            with(State::open(&bytes), |state| step(state, now, committed))
        };
        self.store.write(durability, run).await
    }

    async fn read<R: Send + 'static>(
        &self,
        mut step: impl FnMut(&State<Bytes<'_>>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.store.read(move |bytes: Bytes<'_>, now: Timestamp| step(&State::open(&bytes), now)).await
    }
}

#[async_trait]
impl Component for KvTriggerStore {
    async fn purge(&self) -> Result<()> {
        self.write(Durability::Power, |state, _, _| state.purge()).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

#[async_trait]
impl TriggerStore for KvTriggerStore {
    async fn update_definitions(&self, updates: &[TriggerUpdate]) -> Result<()> {
        let updates = updates.to_vec();
        self.write(Durability::Power, move |state, now, committed| {
            for update in &updates {
                if state.update(update, now)? {
                    committed.triggers.push(Notification::Definitions);
                }
            }
            Ok(())
        })
        .await
    }

    async fn definitions(&self) -> Result<Vec<StoredTrigger>> {
        self.write(Durability::Process, |state, now, _| state.definitions(now)).await
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        let events = events.to_vec();
        self.write(Durability::Power, move |state, now, committed| {
            committed.triggers.push(Notification::Events);
            events.iter().map(|event| state.append(event, now)).collect()
        })
        .await
    }

    async fn take_events(&self, take: &EventsTake) -> Result<Vec<Offered>> {
        let take = take.clone();
        self.write(Durability::Process, move |state, now, _| state.take_events(&take, now)).await
    }

    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>> {
        let waits = waits.to_vec();
        self.write(Durability::Power, move |state, _, _| waits.iter().map(|wait| state.await_event(wait)).collect())
            .await
    }

    async fn take_ready(&self, take: &ReadyTake) -> Result<Vec<InvocationId>> {
        let take = take.clone();
        self.write(Durability::Process, move |state, now, _| state.take_ready(&take, now)).await
    }

    async fn put_occurrences(
        &self,
        occurrences: &[Occurrence],
        lookups: &[Lookup],
        limit: usize,
    ) -> Result<Vec<Vec<Occurrence>>> {
        let (occurrences, lookups) = (occurrences.to_vec(), lookups.to_vec());
        self.write(Durability::Power, move |state, _, _| {
            occurrences.iter().try_for_each(|occurrence| state.put_occurrence(occurrence))?;
            lookups.iter().map(|lookup| state.waiting(lookup, limit)).collect()
        })
        .await
    }

    async fn fire(&self, firings: &[Firing]) -> Result<Vec<bool>> {
        let firings = firings.to_vec();
        self.write(Durability::Power, move |state, now, _| {
            firings.iter().map(|firing| state.fire(firing, now)).collect()
        })
        .await
    }

    async fn runs(&self, runs: &TriggerRuns, limit: usize) -> Result<Vec<FiredRun>> {
        let runs = runs.clone();
        self.read(move |state, now| state.runs(&runs, limit, now)).await
    }

    async fn delivered(&self, delivered: &[Delivered]) -> Result<()> {
        let delivered = delivered.to_vec();
        self.write(Durability::Process, move |state, now, _| {
            delivered.iter().try_for_each(|one| state.delivered(one, now))
        })
        .await
    }

    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks> {
        let schedules = schedules.to_vec();
        self.write(Durability::Power, move |state, now, _| state.watermarks(&schedules, now)).await
    }

    async fn notifications(&self) -> Result<BoxStream<'static, Notification>> {
        self.store.process().subscribe(Topic::Triggers, self.store.data());
        Ok(self.store.process().subscribers.subscribe())
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        self.write(Durability::Process, move |state, now, _| state.expire(age, limit, now)).await
    }
}
