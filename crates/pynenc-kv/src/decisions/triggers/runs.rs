//! The runs of triggers.

use std::ops::Bound;

use pynenc_core::packed::packed_struct;
use pynenc_core::trigger_store::{Delivered, Delivery, FiredRun, RunOutcome, TriggerId, TriggerRun};
use pynenc_core::{Error, Result, Timestamp};

use super::expiry::take_expired;
use crate::storage::{Cell, Groups, Map, Set, Storage, collections};
use crate::table::Table;

/// The identity of a run.
type RunId = Box<str>;

collections! {
    /// The runs. Delivered ones stay for a while, so that a repeated firing is recognized.
    pub(super) struct Runs {
        last: S::Cell<u64> = cell("last_run"),
        all: S::Map<Box<str>, StoredRun> = map(Table::Run),
        by_trigger: S::Groups<TriggerId, (u64, Box<str>)> = groups(Table::RunOf),
        undelivered: S::Set<(Timestamp, u64, Box<str>)> = set(Table::RunOpen),
        closed: S::Set<(Timestamp, Box<str>)> = set(Table::RunClosed),
    }
}

#[derive(Debug)]
struct StoredRun {
    fired: FiredRun,
    sequence: u64,
}

packed_struct!(StoredRun { fired, sequence });

impl<S: Storage> Runs<S> {
    pub(super) fn contains(&self, id: &RunId) -> Result<bool> {
        self.all.contains(id)
    }

    pub(super) fn add(&mut self, run: &TriggerRun, now: Timestamp) -> Result<()> {
        let last = self.last.get_mut()?;
        *last += 1;
        let sequence = *last;
        match run.outcome {
            RunOutcome::Call { .. } => self.undelivered.insert((now, sequence, run.id.clone()))?,
            RunOutcome::Failed(_) | RunOutcome::Missed(_) => self.closed.insert((now, run.id.clone()))?,
        }
        self.by_trigger.insert(&run.trigger, (sequence, run.id.clone()))?;
        let fired = FiredRun { run: run.clone(), at: now, delivery: Delivery::Open };
        self.all.insert(run.id.clone(), StoredRun { fired, sequence })
    }

    pub(super) fn undelivered(&self, until: Timestamp, limit: usize) -> Result<Vec<FiredRun>> {
        let mut runs = Vec::new();
        for open in self.undelivered.ascending(Bound::Unbounded).take(limit) {
            let (at, _, id) = open?;
            if at > until {
                break;
            }
            runs.push(self.fired(&id)?);
        }
        Ok(runs)
    }

    pub(super) fn delivered(&mut self, delivered: &Delivered, now: Timestamp) -> Result<()> {
        let Some(stored) = self.all.get(&delivered.run)? else { return Ok(()) };
        let open = (stored.fired.at, stored.sequence, delivered.run.clone());
        if !self.undelivered.contains(&open)? {
            return Ok(());
        }
        self.undelivered.remove(&open)?;
        if let Some(stored) = self.all.get_mut(&delivered.run)? {
            stored.fired.delivery = delivered.refused.clone().map_or(Delivery::Submitted, Delivery::Refused);
        }
        self.closed.insert((now, delivered.run.clone()))
    }

    pub(super) fn of(&self, trigger: &TriggerId, limit: usize) -> Result<Vec<FiredRun>> {
        self.by_trigger.descending(trigger).take(limit).map(|run| self.fired(&run?.1)).collect()
    }

    fn fired(&self, id: &RunId) -> Result<FiredRun> {
        let missing = || Error::corrupt("an index names a trigger's run that doesn't exist").with("run", id);
        Ok(self.all.get(id)?.ok_or_else(missing)?.fired.clone())
    }

    pub(super) fn expire(&mut self, until: Timestamp, limit: usize) -> Result<usize> {
        let old = take_expired(&mut self.closed, until, limit)?;
        for id in &old {
            self.forget(id)?;
        }
        Ok(old.len())
    }

    fn forget(&mut self, id: &RunId) -> Result<()> {
        let Some(StoredRun { fired, sequence }) = self.all.remove(id)? else { return Ok(()) };
        self.by_trigger.remove(&fired.run.trigger, &(sequence, id.clone()))
    }
}
