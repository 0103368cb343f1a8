//! The trigger store in memory.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::component::StoreId;
use pynenc_core::trigger_store::{
    Delivered, Event, EventWait, EventsTake, FiredRun, Firing, Lookup, NewEvent, Notification, Occurrence, Offered,
    ReadyTake, StoredTrigger, TriggerRuns, TriggerUpdate, Watermarks,
};
use pynenc_core::{Clock, Component, InvocationId, Result, TriggerStore};
use pynenc_kv::decisions::triggers::State;
use pynenc_kv::local::Subscribers;
use pynenc_kv::native::Native;

use crate::shared::Shared;

/// A trigger store in the memory of this process.
#[derive(Debug)]
pub struct MemTriggerStore {
    state: Shared<State<Native>>,
    subscribers: Subscribers,
}

impl MemTriggerStore {
    /// An empty trigger store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Shared::new(clock, State::open(&Native)), subscribers: Subscribers::default() }
    }
}

#[async_trait]
impl Component for MemTriggerStore {
    async fn purge(&self) -> Result<()> {
        self.state.lock().purge()
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl TriggerStore for MemTriggerStore {
    async fn update_definitions(&self, updates: &[TriggerUpdate]) -> Result<()> {
        self.state.step(|state, now| {
            for update in updates {
                if state.update(update, now)? {
                    self.subscribers.notify(Notification::Definitions);
                }
            }
            Ok(())
        })
    }

    async fn definitions(&self) -> Result<Vec<StoredTrigger>> {
        self.state.step(State::definitions)
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        self.state.step(|state, now| {
            let positions = events.iter().map(|event| state.append(event, now)).collect();
            self.subscribers.notify(Notification::Events);
            positions
        })
    }

    async fn take_events(&self, take: &EventsTake) -> Result<Vec<Offered>> {
        self.state.step(|state, now| state.take_events(take, now))
    }

    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>> {
        let mut state = self.state.lock();
        waits.iter().map(|wait| state.await_event(wait)).collect()
    }

    async fn take_ready(&self, take: &ReadyTake) -> Result<Vec<InvocationId>> {
        self.state.step(|state, now| state.take_ready(take, now))
    }

    async fn put_occurrences(
        &self,
        occurrences: &[Occurrence],
        lookups: &[Lookup],
        limit: usize,
    ) -> Result<Vec<Vec<Occurrence>>> {
        let mut state = self.state.lock();
        occurrences.iter().try_for_each(|occurrence| state.put_occurrence(occurrence))?;
        lookups.iter().map(|lookup| state.waiting(lookup, limit)).collect()
    }

    async fn fire(&self, firings: &[Firing]) -> Result<Vec<bool>> {
        self.state.step(|state, now| firings.iter().map(|firing| state.fire(firing, now)).collect())
    }

    async fn runs(&self, runs: &TriggerRuns, limit: usize) -> Result<Vec<FiredRun>> {
        self.state.step(|state, now| state.runs(runs, limit, now))
    }

    async fn delivered(&self, delivered: &[Delivered]) -> Result<()> {
        self.state.step(|state, now| delivered.iter().try_for_each(|one| state.delivered(one, now)))
    }

    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks> {
        self.state.step(|state, now| state.watermarks(schedules, now))
    }

    async fn notifications(&self) -> Result<BoxStream<'static, Notification>> {
        Ok(self.subscribers.subscribe())
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        self.state.step(|state, now| state.expire(age, limit, now))
    }
}
