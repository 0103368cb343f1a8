//! Waits between invocations.

use std::ops::Bound;

use pynenc_core::{InvocationId, Result};

use crate::storage::{Groups, Storage, collections};
use crate::table::Table;

collections! {
    /// The waits of paused invocations, in both directions.
    pub(super) struct Waits {
        awaited: S::Groups<InvocationId, InvocationId> = groups(Table::Awaited),
        waiters: S::Groups<InvocationId, InvocationId> = groups(Table::Waiter),
    }
}

impl<S: Storage> Waits<S> {
    pub(super) fn add(&mut self, waiter: InvocationId, on: &[InvocationId]) -> Result<()> {
        for awaited in on {
            self.awaited.insert(&waiter, *awaited)?;
            self.waiters.insert(awaited, waiter)?;
        }
        Ok(())
    }

    /// Ends every wait of `waiter`.
    pub(super) fn end(&mut self, waiter: InvocationId) -> Result<()> {
        for awaited in self.awaited.remove_group(&waiter)? {
            self.waiters.remove(&awaited, &waiter)?;
        }
        Ok(())
    }

    /// The invocations that a paused one waits for.
    pub(super) fn of(&self, waiter: InvocationId) -> impl Iterator<Item = Result<InvocationId>> {
        self.awaited.ascending(&waiter, Bound::Unbounded)
    }

    /// The invocations that wait for one.
    pub(super) fn waiters(&self, awaited: InvocationId) -> impl Iterator<Item = Result<InvocationId>> {
        self.waiters.ascending(&awaited, Bound::Unbounded)
    }

    /// The number of invocations that wait for one. Above `most` it may be any number that is greater.
    pub(super) fn count_up_to(&self, awaited: InvocationId, most: usize) -> Result<usize> {
        self.waiters.count_up_to(&awaited, most)
    }
}
