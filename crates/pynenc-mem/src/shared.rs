//! What every store stands on: one mutex around its data, and the clock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pynenc_core::{Clock, Timestamp};

/// Data behind one mutex, with the time at which it is looked at.
pub(crate) struct Shared<T> {
    clock: Arc<dyn Clock>,
    data: Mutex<T>,
}

impl<T: Default> Shared<T> {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, data: Mutex::default() }
    }
}

impl<T> Shared<T> {
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The data. A panic of another holder leaves it usable: every step checks first and writes last.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One atomic step at one point in time.
    pub(crate) fn step<R>(&self, step: impl FnOnce(&mut T, Timestamp) -> R) -> R {
        let mut data = self.lock();
        // Read behind the lock, so that steps are in the order of their times.
        let now = self.clock.now();
        step(&mut data, now)
    }
}

impl<T> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("clock", &self.clock).finish_non_exhaustive()
    }
}
