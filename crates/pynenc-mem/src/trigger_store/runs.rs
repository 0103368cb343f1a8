//! The runs of triggers.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{Delivered, Delivery, FiredRun, RunOutcome, TriggerId, TriggerRun};
use rustc_hash::FxHashMap;

use super::expiry::take_expired;

/// The runs. Delivered ones stay for a while, so that a repeated firing is recognized.
#[derive(Debug, Default)]
pub(super) struct Runs {
    last: u64,
    all: FxHashMap<Box<str>, StoredRun>,
    by_trigger: FxHashMap<TriggerId, BTreeMap<u64, Box<str>>>,
    undelivered: BTreeMap<(Timestamp, u64), Box<str>>,
    closed: BTreeSet<(Timestamp, Box<str>)>,
}

#[derive(Debug)]
struct StoredRun {
    fired: FiredRun,
    sequence: u64,
}

impl Runs {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.all.contains_key(id)
    }

    pub(super) fn add(&mut self, run: &TriggerRun, now: Timestamp) {
        self.last += 1;
        match run.outcome {
            RunOutcome::Call { .. } => drop(self.undelivered.insert((now, self.last), run.id.clone())),
            RunOutcome::Failed(_) | RunOutcome::Missed(_) => drop(self.closed.insert((now, run.id.clone()))),
        }
        self.by_trigger.entry(run.trigger.clone()).or_default().insert(self.last, run.id.clone());
        let fired = FiredRun { run: run.clone(), at: now, delivery: Delivery::Open };
        self.all.insert(run.id.clone(), StoredRun { fired, sequence: self.last });
    }

    pub(super) fn undelivered(&self, until: Timestamp, limit: usize) -> Vec<FiredRun> {
        let old = self.undelivered.iter().take_while(|((at, _), _)| *at <= until).take(limit);
        old.map(|(_, id)| self.all[id].fired.clone()).collect()
    }

    pub(super) fn delivered(&mut self, delivered: &Delivered, now: Timestamp) {
        let Some(stored) = self.all.get_mut(&delivered.run) else { return };
        if self.undelivered.remove(&(stored.fired.at, stored.sequence)).is_some() {
            stored.fired.delivery = delivered.refused.clone().map_or(Delivery::Submitted, Delivery::Refused);
            self.closed.insert((now, delivered.run.clone()));
        }
    }

    pub(super) fn of(&self, trigger: &str, limit: usize) -> Vec<FiredRun> {
        let Some(runs) = self.by_trigger.get(trigger) else { return Vec::new() };
        runs.values().rev().take(limit).map(|id| self.all[id].fired.clone()).collect()
    }

    pub(super) fn expire(&mut self, until: Timestamp, limit: usize) -> usize {
        let old = take_expired(&mut self.closed, until, limit);
        for id in &old {
            self.forget(id);
        }
        old.len()
    }

    fn forget(&mut self, id: &str) {
        let Some(StoredRun { fired, sequence }) = self.all.remove(id) else { return };
        let Some(runs) = self.by_trigger.get_mut(&fired.run.trigger) else { return };
        runs.remove(&sequence);
        if runs.is_empty() {
            self.by_trigger.remove(&fired.run.trigger);
        }
    }
}
