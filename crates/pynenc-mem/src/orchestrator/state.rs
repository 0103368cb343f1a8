//! All that the orchestrator knows, and the one way by which it changes.

use std::collections::BTreeSet;
use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Cursor, HistoryEntry, Tracked};
use pynenc_core::record::{RegistrationKey, Retention, RunningKey};
use pynenc_core::status::{By, Change, advance};
use pynenc_core::{ClaimToken, InvocationId, Reason, RunnerId, Status, StatusRecord, TaskId, Timestamp};
use rustc_hash::FxHashMap;

use super::keys::Keys;
use super::outbox::Outbox;
use super::runners::Runners;
use super::slots::Slots;
use super::streams::{Signals, Watchers};
use super::tally::Tally;
use super::waits::Waits;

/// The entries, and an index for every question that is asked of all of them.
#[derive(Debug, Default)]
pub(super) struct State {
    // Boxed, so that the map moves little when it grows.
    pub(super) entries: FxHashMap<InvocationId, Box<Entry>>,
    pub(super) order: BTreeSet<Cursor>,
    pub(super) queued: BTreeSet<Cursor>,
    pub(super) retained: BTreeSet<Cursor>,
    /// Invocations that have ended without a value: people look for them, and there are few.
    pub(super) unsuccessful: BTreeSet<Cursor>,
    pub(super) tally: Tally,
    pub(super) keys: Keys,
    pub(super) slots: Slots,
    pub(super) waits: Waits,
    pub(super) runners: Runners,
    pub(super) outbox: Outbox,
    pub(super) watchers: Watchers,
    pub(super) signals: Signals,
}

/// One invocation.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) tracked: Tracked,
    pub(super) place: Cursor,
    pub(super) registration: Option<RegistrationKey>,
    pub(super) running: Option<RunningKey>,
    pub(super) retention: Retention,
    /// The end of its retention, once it has ended.
    pub(super) kept_until: Timestamp,
    /// The idempotency keys that stand for it.
    pub(super) names: Vec<(TaskId, Box<str>)>,
    pub(super) last_claim: Option<LastClaim>,
    pub(super) history: Vec<HistoryEntry>,
}

/// The last attempt to claim that had an effect, so that its repeat is answered and not performed.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastClaim {
    pub(super) token: ClaimToken,
    pub(super) was_granted: bool,
}

impl Entry {
    pub(super) fn record(&self) -> &StatusRecord {
        &self.tracked.record
    }

    /// How long it is kept, by how it ended.
    fn kept_for(&self) -> Duration {
        if self.record().status == Status::Failed { self.retention.failures } else { self.retention.results }
    }

    /// Whether it may stand for another call with its registration key.
    fn waits(&self) -> bool {
        let is_aside = self.record().status == Status::Scheduled && self.record().reason == Reason::PutAside;
        !is_aside && (self.record().is_queued() || self.record().status == Status::ConcurrencyControlled)
    }

    fn follow(&mut self, next: StatusRecord, change: Change) -> StatusRecord {
        let runner = match change.by {
            By::Owner(runner) | By::Claimer(runner) => Some(runner),
            By::System => None,
        };
        self.history.push(line(&next, runner, change.detail));
        std::mem::replace(&mut self.tracked.record, next)
    }
}

/// The line of history that a record makes.
pub(super) fn line(record: &StatusRecord, runner: Option<RunnerId>, detail: Option<Box<str>>) -> HistoryEntry {
    let StatusRecord { status, at, version, epoch, reason, .. } = *record;
    HistoryEntry { status, at, version, epoch, runner, reason, detail }
}

impl State {
    /// What is known of an invocation that an index names.
    pub(super) fn entry(&self, id: InvocationId) -> &Entry {
        self.entries.get(&id).expect("indexes name what exists")
    }

    pub(super) fn entry_mut(&mut self, id: InvocationId) -> &mut Entry {
        self.entries.get_mut(&id).expect("indexes name what exists")
    }

    /// Puts the record that `change` makes in the place of the old one, and every index in line with it. Slots are
    /// for the caller: what it takes, keeps or frees depends on the verb.
    pub(super) fn enter(&mut self, id: InvocationId, next: StatusRecord, change: Change) {
        let entry = self.entries.get_mut(&id).expect("callers have looked it up");
        let before = entry.follow(next, change);
        let now = entry.record();
        self.tally.leave(before.status);
        self.tally.enter(now.status);
        self.runners.moved(id, before.owner, now.owner);
        self.waits.end(id);
        match (before.is_queued(), now.is_queued()) {
            (false, true) => {
                self.queued.insert(entry.place);
                self.tally.enqueue(&entry.tracked.queue);
            }
            (true, false) => {
                self.queued.remove(&entry.place);
                self.tally.dequeue(&entry.tracked.queue);
            }
            (true, true) | (false, false) => {}
        }
        if let Some(key) = &entry.registration {
            self.keys.follow(id, key, entry.waits());
        }
        if entry.record().status.is_final() {
            self.end(id);
        }
    }

    /// Tells of an end to everybody who wants to know.
    fn end(&mut self, id: InvocationId) {
        let entry = self.entries.get_mut(&id).expect("it has just ended");
        entry.kept_until = entry.record().at + entry.kept_for();
        self.retained.insert(Cursor { at: entry.kept_until, id });
        if entry.record().status != Status::Success {
            self.unsuccessful.insert(entry.place);
        }
        let record = entry.record();
        self.watchers.tell(id, record);
        if self.outbox.ended(&entry.tracked, record.at) {
            self.signals.outbox();
        }
    }

    /// Like [`State::enter`], and frees the slot of what isn't owned any more; gives the hints of those who got it.
    pub(super) fn enter_and_free(&mut self, id: InvocationId, next: StatusRecord, change: Change) -> Vec<Message> {
        let (is_owned, at) = (next.status.is_owned(), next.at);
        self.enter(id, next, change);
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

    /// Brings a parked invocation back, which holds a slot now and keeps it until it is claimed or ends.
    fn hand_slot(&mut self, id: InvocationId, now: Timestamp) -> Message {
        let change = Change::new(Status::Rerouted, By::System, Reason::SlotHandedOver);
        let next = advance(self.entry(id).record(), &change, now).expect("what is parked may be rerouted");
        self.enter(id, next, change);
        self.entry(id).tracked.message()
    }

    /// Keeps an invocation that has ended for longer.
    pub(super) fn keep(&mut self, id: InvocationId, until: Timestamp) {
        let ended = self.entries.get_mut(&id).filter(|entry| entry.record().status.is_final());
        let Some(entry) = ended.filter(|entry| entry.kept_until < until) else { return };
        self.retained.remove(&Cursor { at: entry.kept_until, id });
        entry.kept_until = until;
        self.retained.insert(Cursor { at: until, id });
    }

    /// Drops an invocation that has ended.
    pub(super) fn forget(&mut self, id: InvocationId) {
        if !self.entries.get(&id).is_some_and(|entry| entry.record().status.is_final()) {
            return;
        }
        let Some(entry) = self.entries.remove(&id) else { return };
        self.order.remove(&entry.place);
        self.retained.remove(&Cursor { at: entry.kept_until, id });
        self.unsuccessful.remove(&entry.place);
        self.tally.leave(entry.record().status);
        self.outbox.forget(id);
        for name in &entry.names {
            self.keys.forget(name);
        }
    }

    /// Forgets everything but those who listen and what they want.
    pub(super) fn purge(&mut self) {
        self.watchers.dismiss();
        let (signals, outbox) = (std::mem::take(&mut self.signals), std::mem::take(&mut self.outbox));
        *self = Self { signals, outbox: outbox.purged(), ..Self::default() };
    }
}
