//! Counters of invocations, updated with every step.

use std::collections::BTreeMap;

use pynenc_core::orchestrator::Counts;
use pynenc_core::{QueueName, Status};
use rustc_hash::FxHashMap;

/// The numbers of invocations by status and by queue.
#[derive(Debug, Default)]
pub(super) struct Counters {
    statuses: [u64; Status::ALL.len()],
    queued: FxHashMap<QueueName, u64>,
}

impl Counters {
    pub(super) fn add(&mut self, status: Status) {
        self.statuses[status as usize] += 1;
    }

    pub(super) fn remove(&mut self, status: Status) {
        self.statuses[status as usize] -= 1;
    }

    pub(super) fn enqueue(&mut self, queue: &QueueName) {
        match self.queued.get_mut(queue) {
            Some(count) => *count += 1,
            None => drop(self.queued.insert(queue.clone(), 1)),
        }
    }

    pub(super) fn dequeue(&mut self, queue: &QueueName) {
        if let Some(count) = self.queued.get_mut(queue) {
            *count -= 1;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let statuses = Status::ALL.iter().map(|status| (*status, self.statuses[*status as usize]));
        let queued = self.queued.iter().map(|(queue, count)| (queue.clone(), *count));
        Counts {
            statuses: statuses.filter(|(_, count)| *count > 0).collect(),
            queued: queued.filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>(),
        }
    }
}
