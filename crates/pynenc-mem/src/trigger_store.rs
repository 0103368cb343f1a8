//! What triggers remember.

mod log;
mod news;
mod occurrences;
mod runs;
mod waits;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::lane::StoreId;
use pynenc_core::trigger_store::{
    Defined, Delivered, Event, EventListener, EventWait, FiredRun, Lookup, NewEvent, News, Occurrence, Offered, Slot,
    TriggerDefinition, TriggerId, TriggerRun, Watermarks,
};
use pynenc_core::{Clock, InvocationId, Result, Timestamp, TriggerStore};
use rustc_hash::FxHashMap;

use self::log::Log;
use self::news::Followers;
use self::occurrences::Occurrences;
use self::runs::Runs;
use self::waits::Waits;
use crate::shared::Shared;

/// A trigger store that lives in this process.
#[derive(Debug)]
pub struct MemTriggerStore {
    memory: Shared<Memory>,
}

impl MemTriggerStore {
    /// A trigger store that knows nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { memory: Shared::new(clock) }
    }
}

#[async_trait]
impl TriggerStore for MemTriggerStore {
    async fn define(&self, definitions: &[TriggerDefinition], length: Option<Duration>) -> Result<()> {
        self.memory.step(|memory, now| {
            let until = length.map(|length| now + length);
            definitions.iter().for_each(|definition| memory.define(definition, until, now));
        });
        Ok(())
    }

    async fn undefine(&self, ids: &[TriggerId]) -> Result<()> {
        self.memory.lock().undefine(ids);
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<Defined>> {
        Ok(self.memory.step(Memory::definitions))
    }

    async fn pause(&self, trigger: &str, paused: bool) -> Result<()> {
        let mut memory = self.memory.lock();
        let changed = if paused { memory.paused.insert(trigger.into()) } else { memory.paused.remove(trigger) };
        if changed {
            memory.followers.tell(News::Definitions);
        }
        Ok(())
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        Ok(self.memory.step(|memory, now| {
            let places = events.iter().map(|event| memory.log.append(event, now)).collect();
            events.iter().for_each(|event| memory.waits.came(&event.name, event.key.as_deref()));
            memory.followers.tell(News::Events);
            places
        }))
    }

    async fn events(&self, name: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        Ok(self.memory.lock().log.read(name, after, limit))
    }

    async fn take_events(
        &self,
        listeners: &[EventListener],
        limit: usize,
        again_after: Duration,
    ) -> Result<Vec<Offered>> {
        Ok(self.memory.step(|memory, now| memory.log.take(listeners, limit, again_after, now)))
    }

    async fn events_done(&self, listener: &str, sequences: &[u64]) -> Result<()> {
        self.memory.lock().log.done(listener, sequences);
        Ok(())
    }

    async fn await_events(&self, waits: &[EventWait]) -> Result<Vec<Option<Event>>> {
        let mut memory = self.memory.lock();
        Ok(waits.iter().map(|wait| memory.await_event(wait)).collect())
    }

    async fn awoken(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>> {
        Ok(self.memory.step(|memory, now| memory.waits.awoken(limit, again_after, now)))
    }

    async fn end_waits(&self, waiters: &[InvocationId]) -> Result<()> {
        let mut memory = self.memory.lock();
        waiters.iter().for_each(|waiter| memory.waits.end(*waiter));
        Ok(())
    }

    async fn put_occurrences(&self, occurrences: &[Occurrence]) -> Result<()> {
        let mut memory = self.memory.lock();
        occurrences.iter().for_each(|occurrence| memory.occurrences.put(occurrence));
        Ok(())
    }

    async fn occurrences(&self, lookups: &[Lookup], limit: usize) -> Result<Vec<Vec<Occurrence>>> {
        let memory = self.memory.lock();
        Ok(lookups.iter().map(|lookup| memory.occurrences.waiting(lookup, limit)).collect())
    }

    async fn fire(&self, runs: &[TriggerRun]) -> Result<Vec<bool>> {
        Ok(self.memory.step(|memory, now| runs.iter().map(|run| memory.fire(run, now)).collect()))
    }

    async fn undelivered(&self, age: Duration, limit: usize) -> Result<Vec<TriggerRun>> {
        Ok(self.memory.step(|memory, now| memory.runs.undelivered(now - age, limit)))
    }

    async fn delivered(&self, delivered: &[Delivered]) -> Result<()> {
        self.memory.step(|memory, now| delivered.iter().for_each(|one| memory.runs.delivered(one, now)));
        Ok(())
    }

    async fn runs(&self, trigger: &str, limit: usize) -> Result<Vec<FiredRun>> {
        Ok(self.memory.lock().runs.of(trigger, limit))
    }

    async fn watermarks(&self, schedules: &[Box<str>]) -> Result<Watermarks> {
        Ok(self.memory.step(|memory, now| {
            let marks = schedules.iter().map(|name| *memory.watermarks.entry(name.clone()).or_insert(now)).collect();
            Watermarks { now, marks }
        }))
    }

    async fn move_watermark(&self, slot: &Slot) -> Result<bool> {
        Ok(self.memory.step(|memory, now| {
            let stands = memory.allows(slot, now);
            if stands {
                memory.watermarks.insert(slot.schedule.clone(), slot.to);
            }
            stands
        }))
    }

    async fn news(&self) -> Result<BoxStream<'static, News>> {
        Ok(self.memory.lock().followers.follow())
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        Ok(self.memory.step(|memory, now| memory.expire(now, now - age, limit)))
    }

    async fn purge(&self) -> Result<()> {
        let mut memory = self.memory.lock();
        let Memory { definitions, paused, log, followers, .. } = std::mem::take(&mut *memory);
        *memory = Memory { definitions, paused, log: log.purged(), followers, ..Memory::default() };
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[derive(Debug, Default)]
struct Memory {
    definitions: BTreeMap<TriggerId, Kept>,
    paused: BTreeSet<TriggerId>,
    log: Log,
    waits: Waits,
    occurrences: Occurrences,
    runs: Runs,
    watermarks: FxHashMap<Box<str>, Timestamp>,
    followers: Followers,
}

impl Memory {
    /// Of several lives of one definition the longest counts: one that was added to stay isn't cut short.
    fn define(&mut self, definition: &TriggerDefinition, until: Option<Timestamp>, now: Timestamp) {
        let before = self.definitions.get(&definition.id).filter(|kept| kept.lives(now));
        let is_news = before.is_none_or(|before| before.definition != *definition);
        let until = before.map_or(until, |before| before.until.zip(until).map(|(a, b)| a.max(b)));
        self.definitions.insert(definition.id.clone(), Kept { definition: definition.clone(), until });
        if is_news {
            self.followers.tell(News::Definitions);
        }
    }

    fn undefine(&mut self, ids: &[TriggerId]) {
        for id in ids {
            self.definitions.remove(id);
            self.paused.remove(id);
        }
        self.followers.tell(News::Definitions);
    }

    fn definitions(&mut self, now: Timestamp) -> Vec<Defined> {
        self.definitions.retain(|_, kept| kept.lives(now));
        let defined = |kept: &Kept| Defined {
            definition: kept.definition.clone(),
            paused: self.paused.contains(&kept.definition.id),
            stays: kept.until.is_none(),
        };
        self.definitions.values().map(defined).collect()
    }

    fn await_event(&mut self, wait: &EventWait) -> Option<Event> {
        let found = self.log.first(wait).cloned();
        if found.is_none() {
            self.waits.add(wait);
        }
        found
    }

    fn fire(&mut self, run: &TriggerRun, now: Timestamp) -> bool {
        let is_free = run.consumes.iter().all(|id| self.occurrences.waits(id));
        let is_due = run.slot.as_ref().is_none_or(|slot| self.allows(slot, now));
        if self.runs.knows(&run.id) || !is_free || !is_due {
            return false;
        }
        for id in &run.consumes {
            self.occurrences.use_up(id, now);
        }
        if let Some(slot) = &run.slot {
            self.watermarks.insert(slot.schedule.clone(), slot.to);
        }
        self.runs.fired(run, now);
        true
    }

    /// Whether the slot's schedule stands where it should, and the slot has come.
    fn allows(&self, slot: &Slot, now: Timestamp) -> bool {
        slot.to <= now && self.watermarks.get(&slot.schedule) == Some(&slot.from)
    }

    fn expire(&mut self, now: Timestamp, until: Timestamp, limit: usize) -> usize {
        let mut dropped = self.log.expire(until, limit);
        dropped += self.occurrences.expire(now, until, limit - dropped);
        dropped + self.runs.expire(until, limit - dropped)
    }
}

#[derive(Debug)]
struct Kept {
    definition: TriggerDefinition,
    until: Option<Timestamp>,
}

impl Kept {
    fn lives(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// Takes what is old out of an index by time.
fn take_old(set: &mut BTreeSet<(Timestamp, Box<str>)>, until: Timestamp, limit: usize) -> Vec<Box<str>> {
    let old: Vec<_> = set.iter().take_while(|(at, _)| *at <= until).take(limit).cloned().collect();
    for entry in &old {
        set.remove(entry);
    }
    old.into_iter().map(|(_, id)| id).collect()
}
