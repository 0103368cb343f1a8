//! The data of the trigger store, and the steps over several of its parts.

use std::time::Duration;

use pynenc_core::trigger_store::{
    Delivered, Event, EventWait, EventsTake, FiredRun, Firing, Lookup, NewEvent, Occurrence, Offered, ReadyTake,
    ScheduleSlot, StoredTrigger, TriggerRun, TriggerRuns, TriggerUpdate, Watermarks,
};
use pynenc_core::{InvocationId, Result, Timestamp};

use super::definitions::Definitions;
use super::event_log::EventLog;
use super::event_waits::EventWaits;
use super::occurrences::Occurrences;
use super::runs::Runs;
use crate::storage::{Collection, Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The data of the trigger store.
    pub struct State {
        definitions: Definitions<S>,
        log: EventLog<S>,
        waits: EventWaits<S>,
        occurrences: Occurrences<S>,
        runs: Runs<S>,
        watermarks: S::Map<Box<str>, Timestamp> = map(Table::Watermark),
    }
}

impl<S: Storage> State<S> {
    /// Changes a definition. Reports whether there is a change that other processes have to know.
    pub fn update(&mut self, update: &TriggerUpdate, now: Timestamp) -> Result<bool> {
        self.definitions.update(update, now)
    }

    /// Lists the live triggers by id.
    pub fn definitions(&mut self, now: Timestamp) -> Result<Vec<StoredTrigger>> {
        self.definitions.live(now)
    }

    /// The number of changes of definitions.
    pub fn definition_changes(&self) -> Result<u64> {
        self.definitions.changes()
    }

    /// Appends an event to the log, and returns its position.
    pub fn append(&mut self, event: &NewEvent, now: Timestamp) -> Result<u64> {
        let position = self.log.append(event, now)?;
        self.waits.event_arrived(&event.name, event.key.as_deref())?;
        Ok(position)
    }

    /// The position of the last event.
    pub fn last_event(&self) -> Result<u64> {
        self.log.last()
    }

    /// Acknowledges handled events, then offers others.
    pub fn take_events(&mut self, take: &EventsTake, now: Timestamp) -> Result<Vec<Offered>> {
        self.log.take(take, now)
    }

    /// Finds the first matching event of a wait, or stores the wait.
    pub fn await_event(&mut self, wait: &EventWait) -> Result<Option<Event>> {
        let found = self.log.first(wait)?;
        if found.is_none() {
            self.waits.add(wait)?;
        }
        Ok(found)
    }

    /// Ends the waits of handled waiters, then offers ready ones.
    pub fn take_ready(&mut self, take: &ReadyTake, now: Timestamp) -> Result<Vec<InvocationId>> {
        self.waits.take(take, now)
    }

    /// Stores an occurrence.
    pub fn put_occurrence(&mut self, occurrence: &Occurrence) -> Result<()> {
        self.occurrences.put(occurrence)
    }

    /// Reads the waiting occurrences of a condition.
    pub fn waiting(&self, lookup: &Lookup, limit: usize) -> Result<Vec<Occurrence>> {
        self.occurrences.waiting(lookup, limit)
    }

    /// Fires a run or skips a slot. Reports whether this call did.
    pub fn fire(&mut self, firing: &Firing, now: Timestamp) -> Result<bool> {
        match firing {
            Firing::Run(run) => self.fire_run(run, now),
            Firing::Skip(slot) => {
                let may_move = self.may_move(slot, now)?;
                if may_move {
                    self.watermarks.insert(slot.schedule.clone(), slot.to)?;
                }
                Ok(may_move)
            }
        }
    }

    fn fire_run(&mut self, run: &TriggerRun, now: Timestamp) -> Result<bool> {
        for id in &run.consumes {
            if !self.occurrences.is_waiting(id)? {
                return Ok(false);
            }
        }
        let is_due = match &run.slot {
            Some(slot) => self.may_move(slot, now)?,
            None => true,
        };
        if self.runs.contains(&run.id)? || !is_due {
            return Ok(false);
        }
        for id in &run.consumes {
            self.occurrences.consume(id, now)?;
        }
        if let Some(slot) = &run.slot {
            self.watermarks.insert(slot.schedule.clone(), slot.to)?;
        }
        self.runs.add(run, now)?;
        Ok(true)
    }

    /// Whether the watermark is where the slot begins, and the time of the slot has come.
    fn may_move(&self, slot: &ScheduleSlot, now: Timestamp) -> Result<bool> {
        Ok(slot.to <= now && self.watermarks.get(&slot.schedule)? == Some(&slot.from))
    }

    /// Reads runs.
    pub fn runs(&self, runs: &TriggerRuns, limit: usize, now: Timestamp) -> Result<Vec<FiredRun>> {
        match runs {
            TriggerRuns::Of(trigger) => self.runs.of(trigger, limit),
            TriggerRuns::Undelivered(age) => self.runs.undelivered(now - *age, limit),
        }
    }

    /// Stores the result of submitting a call.
    pub fn delivered(&mut self, delivered: &Delivered, now: Timestamp) -> Result<()> {
        self.runs.delivered(delivered, now)
    }

    /// Reads the watermarks of schedules. A new schedule gets one.
    pub fn watermarks(&mut self, schedules: &[Box<str>], now: Timestamp) -> Result<Watermarks> {
        let mut marks = Vec::with_capacity(schedules.len());
        for schedule in schedules {
            let mark = self.watermarks.get(schedule)?.copied();
            if mark.is_none() {
                self.watermarks.insert(schedule.clone(), now)?;
            }
            marks.push(mark.unwrap_or(now));
        }
        Ok(Watermarks { now, marks })
    }

    /// Deletes what is older than `age` or whose time is over. Returns the number of deleted items.
    pub fn expire(&mut self, age: Duration, limit: usize, now: Timestamp) -> Result<usize> {
        let until = now - age;
        let mut deleted = self.log.expire(until, limit)?;
        deleted += self.occurrences.expire(now, until, limit - deleted)?;
        Ok(deleted + self.runs.expire(until, limit - deleted)?)
    }

    /// Deletes everything but the definitions.
    pub fn purge(&mut self) -> Result<()> {
        self.log.purge()?;
        self.waits.clear()?;
        self.occurrences.clear()?;
        self.runs.clear()?;
        self.watermarks.clear()
    }
}
