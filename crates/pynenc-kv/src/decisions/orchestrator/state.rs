//! The data of the orchestrator, and the one way to change the status of an invocation.

use std::fmt;
use std::ops::Bound;
use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{HistoryEntry, Tracked};
use pynenc_core::packed::packed_struct;
use pynenc_core::page::Cursor;
use pynenc_core::record::{RegistrationKey, Retention, RunningKey};
use pynenc_core::status::{By, Change, Refusal, advance};
use pynenc_core::{
    ClaimToken, Error, InvocationId, QueueName, Reason, Result, RunnerId, Status, StatusRecord, TaskId, Timestamp,
};

use super::counts::Counters;
use super::keys::Keys;
use super::outbox::OutboxState;
use super::runners::RunnerTable;
use super::slots::Slots;
use super::waits::Waits;
use crate::decisions::queues::Hint;
use crate::storage::{Collection, Map, Set, collections};
use crate::table::Table;

/// The effects of a step on the parts of a process that listen.
pub trait Effects: fmt::Debug {
    /// An invocation has finished.
    fn completed(&mut self, id: InvocationId, record: &StatusRecord);

    /// Somebody requested the cancellation of an invocation that a runner owns.
    fn cancel_requested(&mut self, owner: RunnerId, id: InvocationId);

    /// The outbox has new entries.
    fn outbox_grew(&mut self);
}

impl<E: Effects> Effects for &mut E {
    fn completed(&mut self, id: InvocationId, record: &StatusRecord) {
        (**self).completed(id, record);
    }

    fn cancel_requested(&mut self, owner: RunnerId, id: InvocationId) {
        (**self).cancel_requested(owner, id);
    }

    fn outbox_grew(&mut self) {
        (**self).outbox_grew();
    }
}

collections! {
    /// The invocations, with an index for every question about many of them.
    pub struct State {
        // Boxed, so that a map in memory moves little when it grows.
        pub(super) entries: S::Map<InvocationId, Box<Entry>> = map(Table::Entry),
        pub(super) order: S::Set<Cursor> = set(Table::Registered),
        /// Queued invocations that no lane registered: the sweep looks for those that have lost their hint.
        pub(super) queued: S::Set<Cursor> = set(Table::Queued),
        /// Finished invocations by the end of their retention.
        pub(super) retained: S::Set<Cursor> = set(Table::Retained),
        /// Invocations that finished without a value: people look for them, and there are few.
        pub(super) unsuccessful: S::Set<Cursor> = set(Table::Unsuccessful),
        pub(super) counters: Counters<S>,
        pub(super) keys: Keys<S>,
        pub(super) slots: Slots<S>,
        pub(super) waits: Waits<S>,
        pub(super) runners: RunnerTable<S>,
        pub(super) outbox: OutboxState<S>,
    }
    with {
        /// The effects of the steps since the opening.
        pub effects: E
    }
}

/// One invocation.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tracked: Tracked,
    /// Its position in the order of registration.
    pub(super) position: Cursor,
    pub(super) registration: Option<RegistrationKey>,
    pub(super) running: Option<RunningKey>,
    pub(super) retention: Retention,
    /// When the finished invocation is offered for deletion.
    pub(super) kept_until: Timestamp,
    /// The idempotency keys of the invocation.
    pub(super) idempotency_keys: Vec<(TaskId, Box<str>)>,
    pub(super) last_claim: Option<LastClaim>,
    /// Whether a lane registered it. A lane also stores the record and pushes the hint in the step of the registration,
    /// so neither can be missing.
    pub(super) in_lane: bool,
    /// The hint of an invocation in a lane.
    pub(super) hint: Option<Hint>,
    pub(super) history: Vec<HistoryEntry>,
}

packed_struct!(Entry {
    tracked,
    position,
    registration,
    running,
    retention,
    kept_until,
    idempotency_keys,
    last_claim,
    in_lane,
    hint,
    history,
});

/// The last claim that changed the invocation. A repeat gets the same reply and changes nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastClaim {
    pub(super) token: ClaimToken,
    pub(super) was_granted: bool,
}

packed_struct!(LastClaim { token, was_granted });

impl Entry {
    pub(super) fn record(&self) -> &StatusRecord {
        &self.tracked.record
    }

    /// The retention after its final status.
    fn retention(&self) -> Duration {
        if self.record().status == Status::Failed { self.retention.failures } else { self.retention.results }
    }

    /// Whether the invocation holds its registration key.
    fn holds_key(&self) -> bool {
        let is_suspended = self.record().status == Status::Scheduled && self.record().reason == Reason::Suspended;
        !is_suspended && (self.record().is_queued() || self.record().status == Status::ConcurrencyControlled)
    }

    /// Replaces the record and adds the line of history. Returns the old record.
    fn replace_record(&mut self, next: StatusRecord, change: Change) -> StatusRecord {
        let runner = match change.by {
            By::Owner(runner) | By::Claimer(runner) => Some(runner),
            By::System => None,
        };
        self.history.push(history_entry(&next, runner, change.detail));
        std::mem::replace(&mut self.tracked.record, next)
    }
}

/// The line of history that belongs to a record.
pub(super) fn history_entry(record: &StatusRecord, runner: Option<RunnerId>, detail: Option<Box<str>>) -> HistoryEntry {
    let StatusRecord { status, at, version, epoch, reason, .. } = *record;
    HistoryEntry { status, at, version, epoch, runner, reason, detail }
}

/// The error for an index that names an invocation without an entry.
#[cold]
fn no_entry(id: InvocationId) -> Error {
    Error::corrupt("an index names an invocation that doesn't exist").with("invocation", id)
}

/// The error for a transition that the lifecycle must allow, because of the state in which the record is.
#[cold]
pub(super) fn impossible(refusal: Refusal) -> Error {
    Error::corrupt("the record of an invocation doesn't fit its indexes").caused_by(refusal)
}

impl<S: crate::storage::Storage, E: Effects> State<S, E> {
    /// The invocation that an index names.
    pub(super) fn entry(&self, id: InvocationId) -> Result<&Entry> {
        self.entries.get(&id)?.map(|entry| &**entry).ok_or_else(|| no_entry(id))
    }

    pub(super) fn entry_mut(&mut self, id: InvocationId) -> Result<&mut Entry> {
        self.entries.get_mut(&id)?.map(|entry| &mut **entry).ok_or_else(|| no_entry(id))
    }

    /// Reads an invocation.
    pub fn tracked(&self, id: InvocationId) -> Result<Option<Tracked>> {
        Ok(self.entries.get(&id)?.map(|entry| entry.tracked.clone()))
    }

    /// Reads the status of an invocation.
    pub fn record(&self, id: InvocationId) -> Result<Option<&StatusRecord>> {
        Ok(self.entries.get(&id)?.map(|entry| entry.record()))
    }

    /// The hint that a queue has for an invocation, as the entry says. The outer `None` means that the hint isn't stored in
    /// the entry: no lane registered the invocation, it belongs in another queue, or its entry can't be read.
    pub fn hint(&self, queue: &QueueName, id: InvocationId) -> Result<Option<Option<Hint>>> {
        let entry = self.readable(id)?.filter(|entry| entry.in_lane && entry.tracked.queue == *queue);
        Ok(entry.map(|entry| entry.hint))
    }

    /// Changes the hint of an invocation that is in a lane.
    pub fn set_hint(&mut self, id: InvocationId, hint: Option<Hint>) -> Result<()> {
        self.entry_mut(id)?.hint = hint;
        Ok(())
    }

    /// Replaces an invocation's record by the one that `change` makes, and updates every index. The caller updates the
    /// slots, because each method treats them differently.
    pub(super) fn apply(&mut self, id: InvocationId, next: StatusRecord, change: Change) -> Result<()> {
        let entry = self.entries.get_mut(&id)?.ok_or_else(|| no_entry(id))?;
        let before = entry.replace_record(next, change);
        let now = entry.record();
        self.counters.change(before.status, now.status)?;
        self.runners.move_owned(id, before.owner, now.owner)?;
        // Only a paused invocation waits.
        if before.status == Status::Paused {
            self.waits.end(id)?;
        }
        match (before.is_queued(), now.is_queued()) {
            (false, true) => {
                if !entry.in_lane {
                    self.queued.insert(entry.position)?;
                }
                self.counters.enqueue(&entry.tracked.queue, entry.in_lane)?;
            }
            (true, false) => {
                if !entry.in_lane {
                    self.queued.remove(&entry.position)?;
                }
                self.counters.dequeue(&entry.tracked.queue, entry.in_lane)?;
            }
            (true, true) | (false, false) => {}
        }
        if let Some(key) = &entry.registration {
            self.keys.update(id, key, entry.holds_key())?;
        }
        if entry.record().status.is_final() {
            self.finish(id)?;
        }
        Ok(())
    }

    /// Starts the retention of a finished invocation, and notifies watchers and listeners.
    fn finish(&mut self, id: InvocationId) -> Result<()> {
        let entry = self.entries.get_mut(&id)?.ok_or_else(|| no_entry(id))?;
        entry.kept_until = entry.record().at + entry.retention();
        self.retained.insert(Cursor { at: entry.kept_until, id })?;
        if entry.record().status != Status::Success {
            self.unsuccessful.insert(entry.position)?;
        }
        let record = entry.record();
        self.effects.completed(id, record);
        if self.outbox.add_completion(&entry.tracked, record.at)? {
            self.effects.outbox_grew();
        }
        Ok(())
    }

    /// Does the same as [`State::apply`], and frees the slot of an invocation that has no owner any more. Returns hints for
    /// the invocations that were handed a slot.
    pub(super) fn apply_and_free_slot(
        &mut self,
        id: InvocationId,
        next: StatusRecord,
        change: Change,
    ) -> Result<Vec<Message>> {
        let (is_owned, at) = (next.status.is_owned(), next.at);
        self.apply(id, next, change)?;
        match self.entry(id)?.running {
            Some(running) if !is_owned => {
                self.slots.leave(id)?;
                let mut handed = Vec::new();
                while let Some(head) = self.slots.hand_over(running.key)? {
                    handed.push(head);
                }
                handed.into_iter().map(|head| self.hand_slot(head, at)).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Reroutes a parked invocation that has got a slot. It keeps the slot until it is claimed or finishes.
    fn hand_slot(&mut self, id: InvocationId, now: Timestamp) -> Result<Message> {
        let change = Change::new(Status::Rerouted, By::System, Reason::SlotHandedOver);
        let next = advance(self.entry(id)?.record(), &change, now).map_err(impossible)?;
        self.apply(id, next, change)?;
        Ok(self.entry(id)?.tracked.message())
    }

    /// Offers finished invocations whose retention is over, each again after `again_after`.
    pub fn outlived(&mut self, limit: usize, again_after: Duration, now: Timestamp) -> Result<Vec<InvocationId>> {
        let mut outlived = Vec::new();
        for end in self.retained.ascending(Bound::Unbounded).take(limit) {
            let end = end?;
            if end.at > now {
                break;
            }
            outlived.push(end);
        }
        let unreadable = outlived.iter().map(|end| self.is_unreadable(end.id)).collect::<Result<Vec<_>>>()?;
        let mut unreadable = unreadable.into_iter();
        outlived.retain(|_| unreadable.next() == Some(false));
        for end in &outlived {
            let next = Cursor { at: now + again_after, id: end.id };
            self.retained.remove(end)?;
            self.retained.insert(next)?;
            self.entry_mut(end.id)?.kept_until = next.at;
        }
        Ok(outlived.into_iter().map(|end| end.id).collect())
    }

    /// Deletes a finished invocation.
    pub fn forget(&mut self, id: InvocationId) -> Result<()> {
        if !self.entries.get(&id)?.is_some_and(|entry| entry.record().status.is_final()) {
            return Ok(());
        }
        let Some(entry) = self.entries.remove(&id)? else { return Ok(()) };
        self.order.remove(&entry.position)?;
        self.retained.remove(&Cursor { at: entry.kept_until, id })?;
        self.unsuccessful.remove(&entry.position)?;
        self.counters.forget(entry.record().status)?;
        self.outbox.forget(id)?;
        for key in &entry.idempotency_keys {
            self.keys.forget(key)?;
        }
        Ok(())
    }

    /// Deletes everything but the outbox subscriptions.
    pub fn purge(&mut self) -> Result<()> {
        self.entries.clear()?;
        self.order.clear()?;
        self.queued.clear()?;
        self.retained.clear()?;
        self.unsuccessful.clear()?;
        self.counters.clear()?;
        self.keys.clear()?;
        self.slots.clear()?;
        self.waits.clear()?;
        self.runners.clear()?;
        self.outbox.purge()
    }
}
