//! Counters of invocations, updated with every step.

use pynenc_core::orchestrator::Counts;
use pynenc_core::packed::{Packed, Unpack};
use pynenc_core::{QueueName, Result, Status};

use crate::storage::{Cell, Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The numbers of invocations by status and by queue.
    pub(super) struct Counters {
        statuses: S::Cell<Statuses> = cell("statuses"),
        queued: S::Map<QueueName, u64> = map(Table::QueueCount),
    }
}

/// The number of invocations in each status, in the order of `Status::ALL`.
#[derive(Debug, Default)]
struct Statuses([u64; Status::ALL.len()]);

/// A list, because another version may have another number of statuses.
impl Packed for Statuses {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.to_vec().pack(to);
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        let mut statuses = Self::default();
        statuses.0.iter_mut().zip(Vec::unpack(from)?).for_each(|(count, stored)| *count = stored);
        Ok(statuses)
    }
}

impl<S: Storage> Counters<S> {
    pub(super) fn add(&mut self, status: Status) -> Result<()> {
        self.statuses.get_mut()?.0[status as usize] += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, status: Status) -> Result<()> {
        let count = &mut self.statuses.get_mut()?.0[status as usize];
        *count = count.saturating_sub(1);
        Ok(())
    }

    /// Counts an invocation in another status than before.
    pub(super) fn change(&mut self, before: Status, now: Status) -> Result<()> {
        self.remove(before)?;
        self.add(now)
    }

    pub(super) fn enqueue(&mut self, queue: &QueueName) -> Result<()> {
        match self.queued.get_mut(queue)? {
            Some(count) => *count += 1,
            None => self.queued.insert(queue.clone(), 1)?,
        }
        Ok(())
    }

    pub(super) fn dequeue(&mut self, queue: &QueueName) -> Result<()> {
        if let Some(count) = self.queued.get_mut(queue)? {
            *count = count.saturating_sub(1);
        }
        Ok(())
    }

    pub(super) fn counts(&mut self) -> Result<Counts> {
        let statuses = Status::ALL.iter().zip(&self.statuses.get()?.0).map(|(status, count)| (*status, *count));
        let mut counts = Counts { statuses: statuses.filter(|(_, count)| *count > 0).collect(), ..Counts::default() };
        for queue in self.queued.keys()? {
            if let Some(count) = self.queued.get(&queue)?.copied().filter(|count| *count > 0) {
                counts.queued.insert(queue, count);
            }
        }
        Ok(counts)
    }
}
