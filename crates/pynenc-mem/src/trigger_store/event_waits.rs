//! Waits of invocations for events.

use std::collections::BTreeMap;

use pynenc_core::trigger_store::{EventWait, ReadyTake};
use pynenc_core::{InvocationId, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

/// An event's name, and its key if the wait names one.
type Awaited = (Box<str>, Option<Box<str>>);

/// The waits, and the waiters whose event has arrived.
#[derive(Debug, Default)]
pub(super) struct EventWaits {
    waiters: FxHashMap<Awaited, FxHashSet<InvocationId>>,
    by_waiter: FxHashMap<InvocationId, FxHashSet<Awaited>>,
    /// With the time of the last offer.
    ready: BTreeMap<InvocationId, Option<Timestamp>>,
}

impl EventWaits {
    pub(super) fn add(&mut self, wait: &EventWait) {
        let awaited = (wait.name.clone(), wait.key.clone());
        self.waiters.entry(awaited.clone()).or_default().insert(wait.waiter);
        self.by_waiter.entry(wait.waiter).or_default().insert(awaited);
    }

    /// Makes the waiters for an appended event ready.
    pub(super) fn event_arrived(&mut self, name: &str, key: Option<&str>) {
        self.make_ready(&(name.into(), None));
        if let Some(key) = key {
            self.make_ready(&(name.into(), Some(key.into())));
        }
    }

    fn make_ready(&mut self, awaited: &Awaited) {
        for waiter in self.waiters.remove(awaited).into_iter().flatten() {
            self.remove_wait(waiter, awaited);
            self.ready.insert(waiter, None);
        }
    }

    fn remove_wait(&mut self, waiter: InvocationId, awaited: &Awaited) {
        let Some(waits) = self.by_waiter.get_mut(&waiter) else { return };
        waits.remove(awaited);
        if waits.is_empty() {
            self.by_waiter.remove(&waiter);
        }
    }

    /// Ends the waits of handled waiters, then offers ready ones.
    pub(super) fn take(&mut self, take: &ReadyTake, now: Timestamp) -> Vec<InvocationId> {
        take.done.iter().for_each(|waiter| self.end(*waiter));
        let is_open = |offer: &Option<Timestamp>| offer.is_none_or(|at| now >= at + take.again_after);
        let open = self.ready.iter_mut().filter(|(_, offer)| is_open(offer)).take(take.limit);
        let offer = |(waiter, offer): (&InvocationId, &mut Option<Timestamp>)| {
            *offer = Some(now);
            *waiter
        };
        open.map(offer).collect()
    }

    fn end(&mut self, waiter: InvocationId) {
        self.ready.remove(&waiter);
        for awaited in self.by_waiter.remove(&waiter).into_iter().flatten() {
            if let Some(waiters) = self.waiters.get_mut(&awaited) {
                waiters.remove(&waiter);
                if waiters.is_empty() {
                    self.waiters.remove(&awaited);
                }
            }
        }
    }
}
