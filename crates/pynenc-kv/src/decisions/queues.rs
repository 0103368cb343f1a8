//! The decisions of the broker: the ready hints of each queue by priority, and the delayed hints by due time.

use std::ops::Bound;

use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::packed::packed_struct;
use pynenc_core::record::Priority;
use pynenc_core::{InvocationId, QueueName, Result, Timestamp};

use crate::storage::{Cell, Groups, Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The hints of all queues in their order.
    pub struct Queues {
        last: S::Cell<u64> = cell("last_hint"),
        ready: S::Counted<QueueName, Place> = counted((Table::HintReady, Table::ReadyCount)),
        delayed: S::Counted<QueueName, Place> = counted((Table::HintDelayed, Table::DelayedCount)),
    }
}

collections! {
    /// The hints of all queues by invocation.
    pub struct HintTable {
        hints: S::Map<(QueueName, InvocationId), Hint> = map(Table::Hint),
    }
}

/// Where hints are found by their invocation.
pub trait Hints {
    /// Reads the hint that a queue has for an invocation.
    fn hint(&self, queue: &QueueName, id: InvocationId) -> Result<Option<Hint>>;

    /// Stores the hint that a queue has for an invocation, or removes it.
    fn set_hint(&mut self, queue: &QueueName, id: InvocationId, hint: Option<Hint>) -> Result<()>;
}

impl<S: Storage> Hints for HintTable<S> {
    fn hint(&self, queue: &QueueName, id: InvocationId) -> Result<Option<Hint>> {
        Ok(self.hints.get(&(queue.clone(), id))?.copied())
    }

    fn set_hint(&mut self, queue: &QueueName, id: InvocationId, hint: Option<Hint>) -> Result<()> {
        let key = (queue.clone(), id);
        match hint {
            Some(hint) => self.hints.insert(key, hint),
            None => self.hints.delete(key),
        }
    }
}

/// The place of a hint in its queue: the inverse of its priority, or its due time in milliseconds; then its sequence.
type Place = (u64, u64, InvocationId);

/// A hint of a queue for an invocation.
#[derive(Debug, Clone, Copy)]
pub struct Hint {
    not_before: Option<Timestamp>,
    priority: Priority,
    sequence: u64,
}

packed_struct!(Hint { not_before, priority, sequence });

impl<S: Storage> Queues<S> {
    fn new_hint(&mut self, message: &Message, now: Timestamp) -> Result<Hint> {
        let last = self.last.get_mut()?;
        *last += 1;
        let not_before = message.not_before.filter(|time| *time > now);
        Ok(Hint { not_before, priority: message.priority, sequence: *last })
    }

    /// Adds the first hint of an invocation that has just been registered.
    pub fn push_first(&mut self, hints: &mut impl Hints, message: &Message, now: Timestamp) -> Result<()> {
        let hint = self.new_hint(message, now)?;
        self.add(hints, message, hint)
    }

    /// Adds a hint, or merges it with the one that the queue has for the invocation.
    pub fn push(&mut self, hints: &mut impl Hints, message: &Message, now: Timestamp) -> Result<()> {
        let (queue, id) = (&message.queue, message.invocation);
        let new = self.new_hint(message, now)?;
        let hint = match self.placed(hints, queue, id)? {
            Some(old) => {
                self.take_out(queue, id, old)?;
                old.merged(new)
            }
            None => new,
        };
        self.add(hints, message, hint)
    }

    fn add(&mut self, hints: &mut impl Hints, message: &Message, hint: Hint) -> Result<()> {
        hints.set_hint(&message.queue, message.invocation, Some(hint))?;
        self.order_of(hint).insert(&message.queue, hint.place(message.invocation))
    }

    /// The hint of an invocation, if the queue has it too. After a purge of the queues, an entry may name a hint that is gone.
    fn placed(&mut self, hints: &impl Hints, queue: &QueueName, id: InvocationId) -> Result<Option<Hint>> {
        let Some(hint) = hints.hint(queue, id)? else { return Ok(None) };
        Ok(self.order_of(hint).contains(queue, &hint.place(id))?.then_some(hint))
    }

    /// Takes hints.
    pub fn take(&mut self, hints: &mut impl Hints, pop: &Pop, now: Timestamp) -> Result<Vec<InvocationId>> {
        let mut ids = Vec::new();
        for queue in &pop.queues {
            if ids.len() < pop.max {
                self.promote(hints, queue, now)?;
                let mut taken = Vec::new();
                self.ready.pop_first(queue, pop.max - ids.len(), &mut taken)?;
                for (.., id) in taken {
                    hints.set_hint(queue, id, None)?;
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }

    /// Removes a hint.
    pub fn remove(&mut self, hints: &mut impl Hints, queue: &QueueName, id: InvocationId) -> Result<()> {
        let Some(hint) = self.placed(hints, queue, id)? else { return Ok(()) };
        hints.set_hint(queue, id, None)?;
        self.take_out(queue, id, hint)
    }

    /// Counts the hints of a queue, and finds the position of one of them.
    pub fn state(
        &mut self,
        hints: &mut impl Hints,
        queue: &QueueName,
        position_of: Option<InvocationId>,
        now: Timestamp,
    ) -> Result<QueueState> {
        self.promote(hints, queue, now)?;
        let position = match position_of {
            Some(id) => self.position(hints, queue, id)?,
            None => None,
        };
        Ok(QueueState { ready: self.ready.count(queue)?, delayed: self.delayed.count(queue)?, position })
    }

    /// Counts the hints before a ready one, one by one. Only people ask for the position.
    fn position(&mut self, hints: &impl Hints, queue: &QueueName, id: InvocationId) -> Result<Option<u64>> {
        let hint = self.placed(hints, queue, id)?.filter(|hint| hint.not_before.is_none());
        let Some(own) = hint.map(|hint| hint.place(id)) else { return Ok(None) };
        let mut before = 0;
        for place in self.ready.ascending(queue, Bound::Unbounded) {
            if place? >= own {
                break;
            }
            before += 1;
        }
        Ok(Some(before))
    }

    /// The number of ready hints of a queue. Above `most` it may be any number that is greater.
    pub fn ready_up_to(&self, queue: &QueueName, most: usize) -> Result<usize> {
        self.ready.count_up_to(queue, most)
    }

    /// When the next delayed hint of a queue is due.
    pub fn next_due(&self, queue: &QueueName) -> Result<Option<Timestamp>> {
        Ok(self.delayed.first(queue)?.map(|(due, ..)| Timestamp::from_millis(due)))
    }

    /// The number of hints that were ever pushed.
    pub fn pushed(&self) -> Result<u64> {
        self.last.get().copied()
    }

    /// Makes the delayed hints ready that are due.
    fn promote(&mut self, hints: &mut impl Hints, queue: &QueueName, now: Timestamp) -> Result<()> {
        while let Some(place @ (due, _, id)) = self.delayed.first(queue)? {
            if due > now.as_millis() {
                break;
            }
            self.delayed.remove(queue, &place)?;
            if let Some(hint) = hints.hint(queue, id)? {
                let hint = Hint { not_before: None, ..hint };
                hints.set_hint(queue, id, Some(hint))?;
                self.ready.insert(queue, hint.place(id))?;
            }
        }
        Ok(())
    }

    fn take_out(&mut self, queue: &QueueName, id: InvocationId, hint: Hint) -> Result<()> {
        self.order_of(hint).remove(queue, &hint.place(id))
    }

    fn order_of(&mut self, hint: Hint) -> &mut S::Counted<QueueName, Place> {
        if hint.not_before.is_some() { &mut self.delayed } else { &mut self.ready }
    }
}

impl Hint {
    fn place(self, id: InvocationId) -> Place {
        let first = match self.not_before {
            Some(time) => time.as_millis(),
            None => u64::from(u16::MAX - self.priority.level()),
        };
        (first, self.sequence, id)
    }

    /// The earlier time and the higher priority of two hints, with the sequence of the older one.
    fn merged(self, newer: Self) -> Self {
        Self {
            // `None` means at once, and is less than every time.
            not_before: self.not_before.min(newer.not_before),
            priority: self.priority.max(newer.priority),
            sequence: self.sequence,
        }
    }
}
