//! The trigger store in memory.

mod event_log;
mod event_waits;
mod expiry;
mod notifications;
mod occurrences;
mod runs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::component::StoreId;
use pynenc_core::trigger_store::{
    Delivered, Event, EventWait, EventsTake, FiredRun, Firing, Lookup, NewEvent, Notification, Occurrence, Offered,
    ReadyTake, ScheduleSlot, StoredTrigger, TriggerDefinition, TriggerId, TriggerRun, TriggerRuns, TriggerUpdate,
    Watermarks,
};
use pynenc_core::{Clock, Component, InvocationId, Result, Timestamp, TriggerStore};
use rustc_hash::FxHashMap;

use self::event_log::EventLog;
use self::event_waits::EventWaits;
use self::notifications::Subscribers;
use self::occurrences::Occurrences;
use self::runs::Runs;
use crate::shared::Shared;

/// A trigger store in the memory of this process.
#[derive(Debug)]
pub struct MemTriggerStore {
    state: Shared<State>,
}

impl MemTriggerStore {
    /// An empty trigger store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Shared::new(clock) }
    }
}

#[async_trait]
impl Component for MemTriggerStore {
    async fn purge(&self) -> Result<()> {
        let mut state = self.state.lock();
        let State { definitions, paused, log, subscribers, .. } = std::mem::take(&mut *state);
        *state = State { definitions, paused, log: log.purged(), subscribers, ..State::default() };
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl TriggerStore for MemTriggerStore {
    async fn update_definitions(&self, updates: &[TriggerUpdate]) -> Result<()> {
        self.state.step(|state, now| updates.iter().for_each(|update| state.update(update, now)));
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<StoredTrigger>> {
        Ok(self.state.step(State::definitions))
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        Ok(self.state.step(|state, now| {
            let positions = events.iter().map(|event| state.log.append(event, now)).collect();
            events.iter().for_each(|event| state.waits.event_arrived(&event.name, event.key.as_deref()));
            state.subscribers.notify(Notification::Events);
            positions
        }))
    }

    async fn take_events(&self, take: &EventsTake) -> Result<Vec<Offered>> {
        Ok(self.state.step(|state, now| state.log.take(take, now)))
    }

    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>> {
        let mut state = self.state.lock();
        Ok(waits.iter().map(|wait| state.await_event(wait)).collect())
    }

    async fn take_ready(&self, take: &ReadyTake) -> Result<Vec<InvocationId>> {
        Ok(self.state.step(|state, now| state.waits.take(take, now)))
    }

    async fn put_occurrences(
        &self,
        occurrences: &[Occurrence],
        lookups: &[Lookup],
        limit: usize,
    ) -> Result<Vec<Vec<Occurrence>>> {
        let mut state = self.state.lock();
        occurrences.iter().for_each(|occurrence| state.occurrences.put(occurrence));
        Ok(lookups.iter().map(|lookup| state.occurrences.waiting(lookup, limit)).collect())
    }

    async fn fire(&self, firings: &[Firing]) -> Result<Vec<bool>> {
        Ok(self.state.step(|state, now| firings.iter().map(|firing| state.fire(firing, now)).collect()))
    }

    async fn runs(&self, runs: &TriggerRuns, limit: usize) -> Result<Vec<FiredRun>> {
        Ok(self.state.step(|state, now| match runs {
            TriggerRuns::Of(trigger) => state.runs.of(trigger, limit),
            TriggerRuns::Undelivered(age) => state.runs.undelivered(now - *age, limit),
        }))
    }

    async fn delivered(&self, delivered: &[Delivered]) -> Result<()> {
        self.state.step(|state, now| delivered.iter().for_each(|one| state.runs.delivered(one, now)));
        Ok(())
    }

    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks> {
        Ok(self.state.step(|state, now| {
            let marks = schedules.iter().map(|name| *state.watermarks.entry(name.clone()).or_insert(now)).collect();
            Watermarks { now, marks }
        }))
    }

    async fn notifications(&self) -> Result<BoxStream<'static, Notification>> {
        Ok(self.state.lock().subscribers.subscribe())
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        Ok(self.state.step(|state, now| state.expire(now, now - age, limit)))
    }
}

#[derive(Debug, Default)]
struct State {
    definitions: BTreeMap<TriggerId, StoredDefinition>,
    paused: BTreeSet<TriggerId>,
    log: EventLog,
    waits: EventWaits,
    occurrences: Occurrences,
    runs: Runs,
    watermarks: FxHashMap<Box<str>, Timestamp>,
    subscribers: Subscribers,
}

impl State {
    fn update(&mut self, update: &TriggerUpdate, now: Timestamp) {
        let is_change = match update {
            TriggerUpdate::Define { definition, length } => self.define(definition, length.map(|it| now + it), now),
            TriggerUpdate::Pause(id) => self.paused.insert(id.clone()),
            TriggerUpdate::Resume(id) => self.paused.remove(id),
            TriggerUpdate::Remove(id) => {
                self.definitions.remove(id);
                self.paused.remove(id);
                true
            }
        };
        if is_change {
            self.subscribers.notify(Notification::Definitions);
        }
    }

    /// Stores a definition, and reports whether it is new or different. The longest of its lifetimes counts: a renewal
    /// doesn't shorten the life of a definition that was added to stay.
    fn define(&mut self, definition: &TriggerDefinition, until: Option<Timestamp>, now: Timestamp) -> bool {
        let before = self.definitions.get(&definition.id).filter(|stored| stored.is_live(now));
        let is_change = before.is_none_or(|before| before.definition != *definition);
        let until = before.map_or(until, |before| before.until.zip(until).map(|(a, b)| a.max(b)));
        self.definitions.insert(definition.id.clone(), StoredDefinition { definition: definition.clone(), until });
        is_change
    }

    fn definitions(&mut self, now: Timestamp) -> Vec<StoredTrigger> {
        self.definitions.retain(|_, stored| stored.is_live(now));
        let trigger = |stored: &StoredDefinition| StoredTrigger {
            definition: stored.definition.clone(),
            paused: self.paused.contains(&stored.definition.id),
            stays: stored.until.is_none(),
        };
        self.definitions.values().map(trigger).collect()
    }

    fn await_event(&mut self, wait: &EventWait) -> Option<Event> {
        let found = self.log.first(wait).cloned();
        if found.is_none() {
            self.waits.add(wait);
        }
        found
    }

    fn fire(&mut self, firing: &Firing, now: Timestamp) -> bool {
        match firing {
            Firing::Run(run) => self.fire_run(run, now),
            Firing::Skip(slot) => {
                let may_move = self.may_move(slot, now);
                if may_move {
                    self.watermarks.insert(slot.schedule.clone(), slot.to);
                }
                may_move
            }
        }
    }

    fn fire_run(&mut self, run: &TriggerRun, now: Timestamp) -> bool {
        let is_free = run.consumes.iter().all(|id| self.occurrences.is_waiting(id));
        let is_due = run.slot.as_ref().is_none_or(|slot| self.may_move(slot, now));
        if self.runs.contains(&run.id) || !is_free || !is_due {
            return false;
        }
        for id in &run.consumes {
            self.occurrences.consume(id, now);
        }
        if let Some(slot) = &run.slot {
            self.watermarks.insert(slot.schedule.clone(), slot.to);
        }
        self.runs.add(run, now);
        true
    }

    /// Whether the watermark is where the slot begins, and the time of the slot has come.
    fn may_move(&self, slot: &ScheduleSlot, now: Timestamp) -> bool {
        slot.to <= now && self.watermarks.get(&slot.schedule) == Some(&slot.from)
    }

    fn expire(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> usize {
        let mut deleted = self.log.expire(until, limit);
        deleted += self.occurrences.expire(now, until, limit - deleted);
        deleted + self.runs.expire(until, limit - deleted)
    }
}

#[derive(Debug)]
struct StoredDefinition {
    definition: TriggerDefinition,
    until: Option<Timestamp>,
}

impl StoredDefinition {
    fn is_live(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}
