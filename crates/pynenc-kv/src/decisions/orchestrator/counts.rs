//! Counters of invocations, updated with every step.

use pynenc_core::orchestrator::Counts;
use pynenc_core::packed::packed_struct;
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
#[derive(Debug)]
struct Statuses {
    counts: Vec<u64>,
}

packed_struct!(Statuses { counts });

impl Default for Statuses {
    fn default() -> Self {
        Self { counts: vec![0; Status::ALL.len()] }
    }
}

impl Statuses {
    /// The count of a status. A version with fewer statuses may have stored a shorter list.
    fn of(&mut self, status: Status) -> &mut u64 {
        if self.counts.len() < Status::ALL.len() {
            self.counts.resize(Status::ALL.len(), 0);
        }
        &mut self.counts[status as usize]
    }
}

impl<S: Storage> Counters<S> {
    pub(super) fn add(&mut self, status: Status) -> Result<()> {
        *self.statuses.get_mut()?.of(status) += 1;
        Ok(())
    }

    pub(super) fn remove(&mut self, status: Status) -> Result<()> {
        let count = self.statuses.get_mut()?.of(status);
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
        let statuses = self.statuses.get()?.counts.iter();
        let statuses = Status::ALL.iter().zip(statuses).map(|(status, count)| (*status, *count));
        let mut counts = Counts { statuses: statuses.filter(|(_, count)| *count > 0).collect(), ..Counts::default() };
        for queue in self.queued.keys()? {
            if let Some(count) = self.queued.get(&queue)?.copied().filter(|count| *count > 0) {
                counts.queued.insert(queue, count);
            }
        }
        Ok(counts)
    }
}
