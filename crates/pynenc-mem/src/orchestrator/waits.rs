//! Waits between invocations.

use std::collections::BTreeSet;

use pynenc_core::InvocationId;
use rustc_hash::FxHashMap;

/// The waits of paused invocations, in both directions.
#[derive(Debug, Default)]
pub(super) struct Waits {
    awaited: FxHashMap<InvocationId, BTreeSet<InvocationId>>,
    waiters: FxHashMap<InvocationId, BTreeSet<InvocationId>>,
}

impl Waits {
    pub(super) fn add(&mut self, waiter: InvocationId, on: &[InvocationId]) {
        self.awaited.entry(waiter).or_default().extend(on);
        for awaited in on {
            self.waiters.entry(*awaited).or_default().insert(waiter);
        }
    }

    /// Ends every wait of `waiter`.
    pub(super) fn end(&mut self, waiter: InvocationId) {
        let Some(awaited) = self.awaited.remove(&waiter) else { return };
        for awaited in &awaited {
            self.drop_waiter(*awaited, waiter);
        }
    }

    /// The invocations that a paused one waits for.
    pub(super) fn of(&self, waiter: InvocationId) -> impl Iterator<Item = InvocationId> + '_ {
        self.awaited.get(&waiter).into_iter().flatten().copied()
    }

    /// The invocations that wait for one.
    pub(super) fn waiters(&self, awaited: InvocationId) -> impl Iterator<Item = InvocationId> + '_ {
        self.waiters.get(&awaited).into_iter().flatten().copied()
    }

    /// The number of invocations that wait for one.
    pub(super) fn count(&self, awaited: InvocationId) -> usize {
        self.waiters.get(&awaited).map_or(0, BTreeSet::len)
    }

    fn drop_waiter(&mut self, awaited: InvocationId, waiter: InvocationId) {
        let Some(waiters) = self.waiters.get_mut(&awaited) else { return };
        waiters.remove(&waiter);
        if waiters.is_empty() {
            self.waiters.remove(&awaited);
        }
    }
}
