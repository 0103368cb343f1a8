//! Those who wait for events.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::trigger_store::EventWait;
use pynenc_core::{InvocationId, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};

/// An event's name, and its key where one is waited for.
type Line = (Box<str>, Option<Box<str>>);

/// Who waits for what, and whose events have come.
#[derive(Debug, Default)]
pub(super) struct Waits {
    waiting: FxHashMap<Line, FxHashSet<InvocationId>>,
    by_waiter: FxHashMap<InvocationId, FxHashSet<Line>>,
    /// With the time of the last offer.
    awoken: BTreeMap<InvocationId, Option<Timestamp>>,
}

impl Waits {
    pub(super) fn add(&mut self, wait: &EventWait) {
        let line = (wait.name.clone(), wait.key.clone());
        self.waiting.entry(line.clone()).or_default().insert(wait.waiter);
        self.by_waiter.entry(wait.waiter).or_default().insert(line);
    }

    /// Awakes those who wait for an event that has come.
    pub(super) fn came(&mut self, name: &str, key: Option<&str>) {
        self.awake(&(name.into(), None));
        if let Some(key) = key {
            self.awake(&(name.into(), Some(key.into())));
        }
    }

    fn awake(&mut self, line: &Line) {
        for waiter in self.waiting.remove(line).into_iter().flatten() {
            self.leave(waiter, line);
            self.awoken.insert(waiter, None);
        }
    }

    fn leave(&mut self, waiter: InvocationId, line: &Line) {
        let Some(lines) = self.by_waiter.get_mut(&waiter) else { return };
        lines.remove(line);
        if lines.is_empty() {
            self.by_waiter.remove(&waiter);
        }
    }

    pub(super) fn awoken(&mut self, limit: usize, again_after: Duration, now: Timestamp) -> Vec<InvocationId> {
        let is_open = |offer: &Option<Timestamp>| offer.is_none_or(|at| now >= at + again_after);
        let open = self.awoken.iter_mut().filter(|(_, offer)| is_open(offer)).take(limit);
        let offer = |(waiter, offer): (&InvocationId, &mut Option<Timestamp>)| {
            *offer = Some(now);
            *waiter
        };
        open.map(offer).collect()
    }

    pub(super) fn end(&mut self, waiter: InvocationId) {
        self.awoken.remove(&waiter);
        for line in self.by_waiter.remove(&waiter).into_iter().flatten() {
            if let Some(waiters) = self.waiting.get_mut(&line) {
                waiters.remove(&waiter);
                if waiters.is_empty() {
                    self.waiting.remove(&line);
                }
            }
        }
    }
}
