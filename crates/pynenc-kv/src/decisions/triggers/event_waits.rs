//! Waits of invocations for events.

use std::ops::Bound;

use pynenc_core::trigger_store::{EventWait, ReadyTake};
use pynenc_core::{InvocationId, Result, Timestamp};

use crate::storage::{Groups, Map, Storage, collections};
use crate::table::Table;

/// An event's name, and its key if the wait names one.
type Awaited = (Box<str>, Option<Box<str>>);

collections! {
    /// The waits, and the waiters whose event has arrived.
    pub(super) struct EventWaits {
        waiters: S::Groups<Awaited, InvocationId> = groups(Table::EventWaiter),
        by_waiter: S::Groups<InvocationId, Awaited> = groups(Table::EventAwaited),
        /// The ready waiters by the time from which they may be offered, which is zero for new ones.
        ready: S::Groups<(), (Timestamp, InvocationId)> = groups(Table::EventReady),
        /// The time of each ready waiter in the index.
        offers: S::Map<InvocationId, Timestamp> = map(Table::EventOffer),
    }
}

impl<S: Storage> EventWaits<S> {
    pub(super) fn add(&mut self, wait: &EventWait) -> Result<()> {
        let awaited = (wait.name.clone(), wait.key.clone());
        self.waiters.insert(&awaited, wait.waiter)?;
        self.by_waiter.insert(&wait.waiter, awaited)
    }

    /// Makes the waiters for an appended event ready.
    pub(super) fn event_arrived(&mut self, name: &str, key: Option<&str>) -> Result<()> {
        self.make_ready(&(name.into(), None))?;
        match key {
            Some(key) => self.make_ready(&(name.into(), Some(key.into()))),
            None => Ok(()),
        }
    }

    fn make_ready(&mut self, awaited: &Awaited) -> Result<()> {
        for waiter in self.waiters.remove_group(awaited)? {
            self.by_waiter.remove(&waiter, awaited)?;
            self.put_offer(waiter, Timestamp::default())?;
        }
        Ok(())
    }

    /// Sets the time of a waiter's last offer.
    fn put_offer(&mut self, waiter: InvocationId, at: Timestamp) -> Result<()> {
        if let Some(before) = self.offers.get(&waiter)?.copied() {
            self.ready.remove(&(), &(before, waiter))?;
        }
        self.ready.insert(&(), (at, waiter))?;
        self.offers.insert(waiter, at)
    }

    /// Ends the waits of handled waiters, then offers ready ones.
    pub(super) fn take(&mut self, take: &ReadyTake, now: Timestamp) -> Result<Vec<InvocationId>> {
        for waiter in &take.done {
            self.end(*waiter)?;
        }
        let mut open = Vec::new();
        for offer in self.ready.ascending(&(), Bound::Unbounded).take(take.limit) {
            let (at, waiter) = offer?;
            if at > Timestamp::default() && now < at + take.again_after {
                break;
            }
            open.push(waiter);
        }
        for waiter in &open {
            self.put_offer(*waiter, now)?;
        }
        Ok(open)
    }

    fn end(&mut self, waiter: InvocationId) -> Result<()> {
        if let Some(at) = self.offers.remove(&waiter)? {
            self.ready.remove(&(), &(at, waiter))?;
        }
        for awaited in self.by_waiter.remove_group(&waiter)? {
            self.waiters.remove(&awaited, &waiter)?;
        }
        Ok(())
    }
}
