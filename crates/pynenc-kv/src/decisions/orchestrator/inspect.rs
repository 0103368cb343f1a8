//! Reading invocations: their history, the reasons why they don't run, and counts.

use pynenc_core::orchestrator::{Counts, Inspection};
use pynenc_core::record::Registration;
use pynenc_core::{InvocationId, Result, Timestamp};

use super::state::{Effects, Entry, State};
use crate::storage::{Map, Storage};

impl<S: Storage, E: Effects> State<S, E> {
    /// Counts invocations.
    pub fn counts(&mut self) -> Result<Counts> {
        self.counters.counts()
    }

    /// Reads an invocation's history, and the reasons why it doesn't run.
    pub fn inspect(&self, id: InvocationId, now: Timestamp) -> Result<Option<Inspection>> {
        let Some(entry) = self.entries.get(&id)? else { return Ok(None) };
        let mut awaits = Vec::new();
        for awaited in self.waits.of(id) {
            let awaited = awaited?;
            if self.is_unfinished(awaited)? {
                awaits.push(awaited);
            }
        }
        let key = entry.running.map(|running| running.key);
        Ok(Some(Inspection {
            tracked: entry.tracked.clone(),
            registration: entry.registered(),
            history: entry.history.clone(),
            holders: match key {
                Some(key) => self.slots.holders(key).take(Inspection::MOST_HOLDERS).collect::<Result<_>>()?,
                None => Vec::new(),
            },
            parked_before: self.slots.parked_before(id)?,
            awaits,
            now,
        }))
    }
}

impl Entry {
    fn registered(&self) -> Registration {
        Registration {
            priority: self.tracked.priority,
            registration: self.registration,
            running: self.running,
            retention: self.retention,
            ..Registration::new(self.tracked.id, self.tracked.task.clone(), self.tracked.queue.clone())
        }
    }
}
