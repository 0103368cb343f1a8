//! The data of the orchestrator, and the one way to change the status of an invocation.

use std::ops::Bound;
use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{HistoryEntry, Tracked};
use pynenc_core::page::Cursor;
use pynenc_core::record::{RegistrationKey, Retention, RunningKey};
use pynenc_core::status::{By, Change, advance};
use pynenc_core::{ClaimToken, InvocationId, Reason, RunnerId, Status, StatusRecord, TaskId, Timestamp};
use rustc_hash::FxHashMap;

use super::counts::Counters;
use super::keys::Keys;
use super::outbox::OutboxState;
use super::runners::RunnerTable;
use super::signals::Signals;
use super::slots::Slots;
use super::waits::Waits;
use super::watchers::Watchers;
use crate::ordered::Ordered;

/// The invocations, with an index for every question about many of them.
#[derive(Debug, Default)]
pub(super) struct State {
    // Boxed, so that the map moves little when it grows.
    pub(super) entries: FxHashMap<InvocationId, Box<Entry>>,
    pub(super) order: Ordered<Cursor>,
    pub(super) queued: Ordered<Cursor>,
    /// Finished invocations by the end of their retention.
    pub(super) retained: Ordered<Cursor>,
    /// Invocations that finished without a value: people look for them, and there are few.
    pub(super) unsuccessful: Ordered<Cursor>,
    pub(super) counters: Counters,
    pub(super) keys: Keys,
    pub(super) slots: Slots,
    pub(super) waits: Waits,
    pub(super) runners: RunnerTable,
    pub(super) outbox: OutboxState,
    pub(super) watchers: Watchers,
    pub(super) signals: Signals,
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
    pub(super) history: Vec<HistoryEntry>,
}

/// The last claim that changed the invocation. A repeat gets the same reply and changes nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastClaim {
    pub(super) token: ClaimToken,
    pub(super) was_granted: bool,
}

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

impl State {
    /// The invocation that an index names.
    pub(super) fn entry(&self, id: InvocationId) -> &Entry {
        self.entries.get(&id).expect("an index names existing invocations")
    }

    pub(super) fn entry_mut(&mut self, id: InvocationId) -> &mut Entry {
        self.entries.get_mut(&id).expect("an index names existing invocations")
    }

    /// Replaces an invocation's record by the one that `change` makes, and updates every index. The caller updates the
    /// slots, because each method treats them differently.
    pub(super) fn apply(&mut self, id: InvocationId, next: StatusRecord, change: Change) {
        let entry = self.entries.get_mut(&id).expect("the caller has looked the invocation up");
        let before = entry.replace_record(next, change);
        let now = entry.record();
        self.counters.remove(before.status);
        self.counters.add(now.status);
        self.runners.move_owned(id, before.owner, now.owner);
        self.waits.end(id);
        match (before.is_queued(), now.is_queued()) {
            (false, true) => {
                self.queued.insert(entry.position);
                self.counters.enqueue(&entry.tracked.queue);
            }
            (true, false) => {
                self.queued.remove(&entry.position);
                self.counters.dequeue(&entry.tracked.queue);
            }
            (true, true) | (false, false) => {}
        }
        if let Some(key) = &entry.registration {
            self.keys.update(id, key, entry.holds_key());
        }
        if entry.record().status.is_final() {
            self.finish(id);
        }
    }

    /// Starts the retention of a finished invocation, and notifies watchers and listeners.
    fn finish(&mut self, id: InvocationId) {
        let entry = self.entries.get_mut(&id).expect("the invocation has just finished");
        entry.kept_until = entry.record().at + entry.retention();
        self.retained.insert(Cursor { at: entry.kept_until, id });
        if entry.record().status != Status::Success {
            self.unsuccessful.insert(entry.position);
        }
        let record = entry.record();
        self.watchers.notify(id, record);
        if self.outbox.add_completion(&entry.tracked, record.at) {
            self.signals.outbox();
        }
    }

    /// Does the same as [`State::apply`], and frees the slot of an invocation that has no owner any more. Returns hints for
    /// the invocations that were handed a slot.
    pub(super) fn apply_and_free_slot(&mut self, id: InvocationId, next: StatusRecord, change: Change) -> Vec<Message> {
        let (is_owned, at) = (next.status.is_owned(), next.at);
        self.apply(id, next, change);
        match self.entry(id).running {
            Some(running) if !is_owned => {
                self.slots.leave(id);
                let heads = std::iter::from_fn(|| self.slots.hand_over(running.key));
                let heads: Vec<InvocationId> = heads.collect();
                heads.into_iter().map(|head| self.hand_slot(head, at)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Reroutes a parked invocation that has got a slot. It keeps the slot until it is claimed or finishes.
    fn hand_slot(&mut self, id: InvocationId, now: Timestamp) -> Message {
        let change = Change::new(Status::Rerouted, By::System, Reason::SlotHandedOver);
        let next = advance(self.entry(id).record(), &change, now).expect("a parked invocation may be rerouted");
        self.apply(id, next, change);
        self.entry(id).tracked.message()
    }

    /// Offers finished invocations whose retention is over, each again after `again_after`.
    pub(super) fn outlived(&mut self, limit: usize, again_after: Duration, now: Timestamp) -> Vec<InvocationId> {
        let ends = self.retained.ascending(Bound::Unbounded).take_while(|end| end.at <= now);
        let outlived: Vec<Cursor> = ends.take(limit).copied().collect();
        for end in &outlived {
            let next = Cursor { at: now + again_after, id: end.id };
            self.retained.remove(end);
            self.retained.insert(next);
            self.entry_mut(end.id).kept_until = next.at;
        }
        outlived.into_iter().map(|end| end.id).collect()
    }

    /// Deletes a finished invocation.
    pub(super) fn forget(&mut self, id: InvocationId) {
        if !self.entries.get(&id).is_some_and(|entry| entry.record().status.is_final()) {
            return;
        }
        let Some(entry) = self.entries.remove(&id) else { return };
        self.order.remove(&entry.position);
        self.retained.remove(&Cursor { at: entry.kept_until, id });
        self.unsuccessful.remove(&entry.position);
        self.counters.remove(entry.record().status);
        self.outbox.forget(id);
        for key in &entry.idempotency_keys {
            self.keys.forget(key);
        }
    }

    /// Deletes everything but the signal streams and the outbox subscriptions.
    pub(super) fn purge(&mut self) {
        self.watchers.dismiss();
        let (signals, outbox) = (std::mem::take(&mut self.signals), std::mem::take(&mut self.outbox));
        *self = Self { signals, outbox: outbox.purged(), ..Self::default() };
    }
}
