//! A lock whose owners take turns.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock for few threads that need it again and again. A thread that waits for it gets it before any thread that asks
/// later.
pub(crate) struct Turns<T> {
    next: Mutex<()>,
    present: Mutex<T>,
}

impl<T> fmt::Debug for Turns<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

impl<T> Turns<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { next: Mutex::new(()), present: Mutex::new(value) }
    }

    /// Waits for the lock. At most two threads may wait.
    pub(crate) fn take(&self) -> MutexGuard<'_, T> {
        // The thread that waits for the present owner keeps the next turn from the others.
        let _next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lock, unless another thread has it or waits for it.
    pub(crate) fn try_take(&self) -> Option<MutexGuard<'_, T>> {
        let _next = self.next.try_lock().ok()?;
        self.present.try_lock().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn nobody_takes_the_lock_in_front_of_a_waiting_thread() {
        let turns = Arc::new(Turns::new(Vec::new()));
        let mut owner = turns.take();
        let waiting = turns.clone();
        let thread = std::thread::spawn(move || waiting.take().push("waiting"));
        while turns.next.try_lock().is_ok() {
            std::thread::yield_now();
        }
        owner.push("owner");
        drop(owner);
        turns.take().push("later");
        thread.join().unwrap();
        assert_eq!(*turns.try_take().unwrap(), ["owner", "waiting", "later"]);
    }
}
