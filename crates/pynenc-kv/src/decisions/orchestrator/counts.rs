//! Counters of invocations, updated with every step.

use pynenc_core::orchestrator::Counts;
use pynenc_core::packed::{Packed, Unpack};
use pynenc_core::{QueueName, Result, Status};

use crate::storage::{Cell, Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The numbers of invocations by status and by queue.
    pub(super) struct Counters {
        totals: S::Cell<Totals> = cell("totals"),
        queued: S::Map<QueueName, u64> = map(Table::QueueCount),
    }
}

#[derive(Debug, Default)]
struct Totals {
    /// The number of invocations in each status, in the order of `Status::ALL`.
    statuses: [u64; Status::ALL.len()],
    /// The number of queued invocations that a lane registered.
    queued_in_lanes: u64,
    /// The number of forgotten invocations by their last status, in the same order.
    forgotten: [u64; Status::ALL.len()],
}

impl Packed for Totals {
    fn pack(&self, to: &mut Vec<u8>) {
        // Lists, because another version may have another number of statuses.
        self.statuses.to_vec().pack(to);
        self.queued_in_lanes.pack(to);
        self.forgotten.to_vec().pack(to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        let mut totals = Self::default();
        fill(&mut totals.statuses, Vec::unpack(from)?);
        totals.queued_in_lanes = Packed::unpack(from)?;
        fill(&mut totals.forgotten, Vec::unpack(from)?);
        Ok(totals)
    }
}

fn fill(counts: &mut [u64], stored: Vec<u64>) {
    counts.iter_mut().zip(stored).for_each(|(count, stored)| *count = stored);
}

impl<S: Storage> Counters<S> {
    pub(super) fn add(&mut self, status: Status) -> Result<()> {
        self.totals.get_mut()?.statuses[status as usize] += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, status: Status) -> Result<()> {
        let count = &mut self.totals.get_mut()?.statuses[status as usize];
        *count = count.saturating_sub(1);
        Ok(())
    }

    pub(super) fn forget(&mut self, status: Status) -> Result<()> {
        self.totals.get_mut()?.forgotten[status as usize] += 1;
        self.remove(status)
    }

    /// Counts an invocation in another status than before.
    pub(super) fn change(&mut self, before: Status, now: Status) -> Result<()> {
        self.remove(before)?;
        self.add(now)
    }

    pub(super) fn enqueue(&mut self, queue: &QueueName, in_lane: bool) -> Result<()> {
        self.totals.get_mut()?.queued_in_lanes += u64::from(in_lane);
        match self.queued.get_mut(queue)? {
            Some(count) => *count += 1,
            None => self.queued.insert(queue.clone(), 1)?,
        }
        Ok(())
    }

    pub(super) fn dequeue(&mut self, queue: &QueueName, in_lane: bool) -> Result<()> {
        let queued_in_lanes = &mut self.totals.get_mut()?.queued_in_lanes;
        *queued_in_lanes = queued_in_lanes.saturating_sub(in_lane.into());
        if let Some(count) = self.queued.get_mut(queue)? {
            *count = count.saturating_sub(1);
        }
        Ok(())
    }

    /// Whether lanes registered some of the queued invocations.
    pub(super) fn has_queued_in_lanes(&self) -> Result<bool> {
        Ok(self.totals.get()?.queued_in_lanes > 0)
    }

    pub(super) fn counts(&mut self) -> Result<Counts> {
        let by_status = |counts: &[u64]| {
            let counted = Status::ALL.iter().copied().zip(counts.iter().copied());
            counted.filter(|(_, count)| *count > 0).collect()
        };
        let Totals { statuses, forgotten, .. } = self.totals.get()?;
        let (statuses, forgotten) = (by_status(statuses), by_status(forgotten));
        let mut counts = Counts { statuses, forgotten, ..Counts::default() };
        for queue in self.queued.keys()? {
            if let Some(count) = self.queued.get(&queue)?.copied().filter(|count| *count > 0) {
                counts.queued.insert(queue, count);
            }
        }
        Ok(counts)
    }
}
