//! Inspecting an invocation: its history, and the reasons why it doesn't run.

use pynenc_core::orchestrator::Inspection;
use pynenc_core::record::Registration;
use pynenc_core::{InvocationId, Timestamp};

use super::state::{Entry, State};

impl State {
    pub(super) fn inspect(&self, id: InvocationId, now: Timestamp) -> Option<Inspection> {
        let entry = self.entries.get(&id)?;
        let key = entry.running.map(|running| running.key);
        let is_parked = self.slots.awaited_by(id).is_some();
        let before = key.filter(|_| is_parked).and_then(|key| self.slots.parked(key).position(|parked| parked == id));
        Some(Inspection {
            tracked: entry.tracked.clone(),
            registration: entry.registered(),
            history: entry.history.clone(),
            holders: key.into_iter().flat_map(|key| self.slots.holders(key)).take(Inspection::MOST_HOLDERS).collect(),
            parked_before: before.map(|before| before as u64),
            awaits: self.waits.of(id).filter(|awaited| self.is_unfinished(*awaited)).collect(),
            now,
        })
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
