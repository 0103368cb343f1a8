//! The parts of this process that wait for something to happen in a store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pynenc_core::{InvocationId, StatusRecord};

use crate::decisions::orchestrator::Effects;
use crate::local::{Consumers, Listeners, Subscribers, Ticket};
use crate::stores::committed::{Committed, Hinted, Sent};
use crate::stores::key_value::{KeyValue, Topic};

/// Watchers, signal streams, waiting consumers and subscribers of this process.
#[derive(Debug, Default)]
pub(crate) struct Process {
    listeners: Mutex<Listeners>,
    waiting: Mutex<Waiting>,
    pub(crate) subscribers: Subscribers,
    subscribed: [AtomicBool; Topic::ALL.len()],
    seen: Mutex<News>,
}

/// The consumers that wait for hints.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) consumers: Consumers,
    /// Grows when queues may have new hints.
    pub(crate) changes: u64,
}

/// Numbers in the store that grow when something happens.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) hints: u64,
    pub(crate) outbox: u64,
    pub(crate) events: u64,
    pub(crate) definitions: u64,
}

impl Process {
    pub(crate) fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that notifications of a topic arrive.
    pub(crate) fn subscribe(&self, topic: Topic, data: &dyn KeyValue) {
        if !self.subscribed[topic as usize].swap(true, Ordering::AcqRel) {
            data.subscribe(topic);
        }
    }

    /// Notifies those who wait for what a step has brought about.
    pub(crate) fn notify(&self, committed: &Committed) {
        if !committed.completed.is_empty() || !committed.signals.is_empty() {
            let mut listeners = self.listeners();
            for (id, record) in &committed.completed {
                listeners.completed(*id, record);
            }
            for signal in &committed.signals {
                match *signal {
                    Sent::Cancel(owner, id) => listeners.cancel_requested(owner, id),
                    Sent::Outbox => listeners.outbox_grew(),
                }
            }
        }
        if !committed.hints.is_empty() {
            let mut waiting = self.waiting();
            waiting.changes += 1;
            committed.hints.iter().for_each(|hinted| waiting.wake(hinted));
        }
        committed.triggers.iter().for_each(|notification| self.subscribers.notify(*notification));
    }

    /// The watched invocations among some, or all watched ones.
    pub(crate) fn watched(&self, among: Option<&[InvocationId]>) -> Vec<InvocationId> {
        self.listeners().watched(among)
    }

    /// Reports the final states of watched invocations, and that others don't exist.
    pub(crate) fn found(&self, found: &[(InvocationId, Option<StatusRecord>)]) {
        let mut listeners = self.listeners();
        for (id, record) in found {
            listeners.found(*id, record.as_ref());
        }
    }

    /// Notifies those who wait for numbers that have grown.
    pub(crate) fn compare(&self, news: News) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *seen, news);
        drop(seen);
        if before.outbox != news.outbox {
            self.listeners().outbox_grew();
        }
        if before.hints != news.hints {
            let mut waiting = self.waiting();
            waiting.changes += 1;
            waiting.consumers.wake_all();
        }
        if before.events != news.events {
            self.subscribers.notify(pynenc_core::trigger_store::Notification::Events);
        }
        if before.definitions != news.definitions {
            self.subscribers.notify(pynenc_core::trigger_store::Notification::Definitions);
        }
    }
}

/// An invocation that is watched while it is submitted.
#[derive(Debug)]
pub(crate) struct Submitting<'a> {
    process: &'a Process,
    id: InvocationId,
}

impl<'a> Submitting<'a> {
    pub(crate) fn new(process: &'a Process, id: InvocationId) -> Self {
        process.listeners().submitting(id);
        Self { process, id }
    }
}

impl Drop for Submitting<'_> {
    fn drop(&mut self) {
        self.process.listeners().submitted(self.id);
    }
}

impl Waiting {
    fn wake(&mut self, hinted: &Hinted) {
        let Hinted { queue, ready, due } = hinted;
        self.consumers.wake_sleepers(queue, usize::try_from(*ready).unwrap_or(usize::MAX));
        if let Some(due) = due.filter(|due| !self.consumers.covers(queue, *due, Ticket::NOBODY)) {
            self.consumers.wake_late_sleeper(queue, due);
        }
    }
}
