//! The base of every store: its data behind one mutex, and the clock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pynenc_core::{Clock, Timestamp};

/// Data behind one mutex, with the clock that gives each step its time.
pub(crate) struct Shared<T> {
    clock: Arc<dyn Clock>,
    data: Mutex<T>,
}

impl<T> Shared<T> {
    pub(crate) fn new(clock: Arc<dyn Clock>, data: T) -> Self {
        Self { clock, data: Mutex::new(data) }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Locks the data. A panic of another holder leaves the data usable: every step checks first and writes last.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs one atomic step at one point in time.
    pub(crate) fn step<R>(&self, step: impl FnOnce(&mut T, Timestamp) -> R) -> R {
        let mut data = self.lock();
        // The time is read under the lock, so that the order of the steps is the order of their times.
        let now = self.clock.now();
        step(&mut data, now)
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("clock", &self.clock).finish_non_exhaustive()
    }
}
