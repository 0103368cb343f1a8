//! What triggers remember.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::lane::StoreId;
use pynenc_core::trigger_store::{Event, NewEvent, Occurrence, TriggerDefinition, TriggerId, TriggerRun};
use pynenc_core::{Clock, Result, Timestamp, TriggerStore};
use rustc_hash::FxHashMap;

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
            for definition in definitions {
                memory.define(definition, until, now);
            }
        });
        Ok(())
    }

    async fn undefine(&self, ids: &[TriggerId]) -> Result<()> {
        let mut memory = self.memory.lock();
        memory.definitions.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn definitions(&self) -> Result<Vec<TriggerDefinition>> {
        Ok(self.memory.step(|memory, now| {
            memory.definitions.retain(|_, defined| defined.lives(now));
            memory.definitions.values().map(|defined| defined.definition.clone()).collect()
        }))
    }

    async fn append_events(&self, events: &[NewEvent]) -> Result<Vec<u64>> {
        Ok(self.memory.step(|memory, now| events.iter().map(|event| memory.log.append(event, now)).collect()))
    }

    async fn events(&self, name: &str, after: u64, limit: usize) -> Result<Vec<Event>> {
        Ok(self.memory.lock().log.read(name, after, limit))
    }

    async fn put_occurrences(&self, occurrences: &[Occurrence]) -> Result<()> {
        let mut memory = self.memory.lock();
        for occurrence in occurrences {
            memory.occurrences.put(occurrence);
        }
        Ok(())
    }

    async fn occurrences(&self, trigger: &str, limit: usize) -> Result<Vec<Occurrence>> {
        Ok(self.memory.lock().occurrences.waiting(trigger, limit))
    }

    async fn fire(&self, run: &TriggerRun) -> Result<bool> {
        Ok(self.memory.step(|memory, now| memory.fire(run, now)))
    }

    async fn unsubmitted(&self, age: Duration, limit: usize) -> Result<Vec<TriggerRun>> {
        Ok(self.memory.step(|memory, now| memory.runs.unsubmitted(now - age, limit)))
    }

    async fn submitted(&self, runs: &[Box<str>]) -> Result<()> {
        self.memory.step(|memory, now| runs.iter().for_each(|id| memory.runs.submitted(id, now)));
        Ok(())
    }

    async fn watermark(&self, schedule: &str) -> Result<Option<Timestamp>> {
        Ok(self.memory.lock().watermarks.get(schedule).copied())
    }

    async fn move_watermark(&self, schedule: &str, from: Option<Timestamp>, to: Timestamp) -> Result<bool> {
        let mut memory = self.memory.lock();
        let stands = memory.watermarks.get(schedule).copied() == from;
        if stands {
            memory.watermarks.insert(schedule.into(), to);
        }
        Ok(stands)
    }

    async fn expire(&self, age: Duration, limit: usize) -> Result<usize> {
        Ok(self.memory.step(|memory, now| memory.expire(now - age, limit)))
    }

    async fn purge(&self) -> Result<()> {
        let mut memory = self.memory.lock();
        let definitions = std::mem::take(&mut memory.definitions);
        // Readers hold places of the log: a place must not mean another event afterwards.
        let log = Log { last: memory.log.last, ..Log::default() };
        *memory = Memory { definitions, log, ..Memory::default() };
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[derive(Debug, Default)]
struct Memory {
    definitions: BTreeMap<TriggerId, Defined>,
    log: Log,
    occurrences: Occurrences,
    runs: Runs,
    watermarks: FxHashMap<Box<str>, Timestamp>,
}

impl Memory {
    /// Of several lives of one definition the longest counts: one that was added to stay isn't cut short.
    fn define(&mut self, definition: &TriggerDefinition, until: Option<Timestamp>, now: Timestamp) {
        let before = self.definitions.get(&definition.id).filter(|defined| defined.lives(now));
        let until = before.map_or(until, |before| before.until.zip(until).map(|(a, b)| a.max(b)));
        self.definitions.insert(definition.id.clone(), Defined { definition: definition.clone(), until });
    }

    fn fire(&mut self, run: &TriggerRun, now: Timestamp) -> bool {
        if self.runs.all.contains_key(&run.id) || !run.consumes.iter().all(|id| self.occurrences.waits(id)) {
            return false;
        }
        for id in &run.consumes {
            self.occurrences.use_up(id, now);
        }
        self.runs.fired(run, now);
        true
    }

    fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        let mut dropped = self.log.expire(until, limit);
        dropped += self.occurrences.expire(until, limit - dropped);
        dropped + self.runs.expire(until, limit - dropped)
    }
}

#[derive(Debug)]
struct Defined {
    definition: TriggerDefinition,
    until: Option<Timestamp>,
}

impl Defined {
    fn lives(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

/// The events, in the order of their appends.
#[derive(Debug, Default)]
struct Log {
    last: u64,
    events: BTreeMap<u64, Event>,
    by_name: FxHashMap<Box<str>, BTreeSet<u64>>,
}

impl Log {
    fn append(&mut self, event: &NewEvent, at: Timestamp) -> u64 {
        self.last += 1;
        let NewEvent { name, key, payload } = event.clone();
        self.by_name.entry(name.clone()).or_default().insert(self.last);
        self.events.insert(self.last, Event { sequence: self.last, name, key, payload, at });
        self.last
    }

    fn read(&self, name: &str, after: u64, limit: usize) -> Vec<Event> {
        let Some(places) = self.by_name.get(name) else { return Vec::new() };
        let behind = places.range((Bound::Excluded(after), Bound::Unbounded));
        behind.take(limit).map(|place| self.events[place].clone()).collect()
    }

    fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        let old = self.events.values().take_while(|event| event.at <= until).take(limit);
        let old: Vec<u64> = old.map(|event| event.sequence).collect();
        for place in &old {
            self.drop_event(*place);
        }
        old.len()
    }

    fn drop_event(&mut self, place: u64) {
        let Some(event) = self.events.remove(&place) else { return };
        let Some(places) = self.by_name.get_mut(&event.name) else { return };
        places.remove(&place);
        if places.is_empty() {
            self.by_name.remove(&event.name);
        }
    }
}

/// Occurrences, the used-up ones too: they are what a repeated report is recognized by.
#[derive(Debug, Default)]
struct Occurrences {
    last: u64,
    all: FxHashMap<Box<str>, Occurred>,
    by_trigger: FxHashMap<TriggerId, BTreeMap<(Timestamp, u64), Box<str>>>,
    used: BTreeSet<(Timestamp, Box<str>)>,
}

#[derive(Debug)]
struct Occurred {
    occurrence: Occurrence,
    sequence: u64,
    is_used: bool,
}

impl Occurrences {
    fn put(&mut self, occurrence: &Occurrence) {
        if self.all.contains_key(&occurrence.id) {
            return;
        }
        self.last += 1;
        let waiting = self.by_trigger.entry(occurrence.trigger.clone()).or_default();
        waiting.insert((occurrence.at, self.last), occurrence.id.clone());
        let occurred = Occurred { occurrence: occurrence.clone(), sequence: self.last, is_used: false };
        self.all.insert(occurrence.id.clone(), occurred);
    }

    fn waiting(&self, trigger: &str, limit: usize) -> Vec<Occurrence> {
        let Some(waiting) = self.by_trigger.get(trigger) else { return Vec::new() };
        waiting.values().take(limit).map(|id| self.all[id].occurrence.clone()).collect()
    }

    fn waits(&self, id: &str) -> bool {
        self.all.get(id).is_some_and(|occurred| !occurred.is_used)
    }

    fn use_up(&mut self, id: &str, now: Timestamp) {
        let Some(occurred) = self.all.get_mut(id) else { return };
        occurred.is_used = true;
        self.used.insert((now, id.into()));
        let place = (occurred.occurrence.at, occurred.sequence);
        let Some(waiting) = self.by_trigger.get_mut(&occurred.occurrence.trigger) else { return };
        waiting.remove(&place);
        if waiting.is_empty() {
            self.by_trigger.remove(&occurred.occurrence.trigger);
        }
    }

    fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        let old = take_old(&mut self.used, until, limit);
        for id in &old {
            drop(self.all.remove(id));
        }
        old.len()
    }
}

/// Firings, the submitted ones too: they are what a repeated firing is recognized by.
#[derive(Debug, Default)]
struct Runs {
    last: u64,
    all: FxHashMap<Box<str>, Fired>,
    open: BTreeMap<(Timestamp, u64), Box<str>>,
    submitted: BTreeSet<(Timestamp, Box<str>)>,
}

#[derive(Debug)]
struct Fired {
    run: TriggerRun,
    place: (Timestamp, u64),
}

impl Runs {
    fn fired(&mut self, run: &TriggerRun, now: Timestamp) {
        self.last += 1;
        let place = (now, self.last);
        self.open.insert(place, run.id.clone());
        self.all.insert(run.id.clone(), Fired { run: run.clone(), place });
    }

    fn unsubmitted(&self, until: Timestamp, limit: usize) -> Vec<TriggerRun> {
        let old = self.open.iter().take_while(|((at, _), _)| *at <= until).take(limit);
        old.map(|(_, id)| self.all[id].run.clone()).collect()
    }

    fn submitted(&mut self, id: &str, now: Timestamp) {
        let Some(fired) = self.all.get(id) else { return };
        if self.open.remove(&fired.place).is_some() {
            self.submitted.insert((now, id.into()));
        }
    }

    fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        let old = take_old(&mut self.submitted, until, limit);
        for id in &old {
            drop(self.all.remove(id));
        }
        old.len()
    }
}

fn take_old(set: &mut BTreeSet<(Timestamp, Box<str>)>, until: Timestamp, limit: usize) -> Vec<Box<str>> {
    let old: Vec<_> = set.iter().take_while(|(at, _)| *at <= until).take(limit).cloned().collect();
    for entry in &old {
        set.remove(entry);
    }
    old.into_iter().map(|(_, id)| id).collect()
}
