//! The time of a store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::clock::Sleep;
use pynenc_core::{Clock, Result, Timestamp};
use pynenc_kv::{Table, Transaction};

/// The key of the stored time.
const KEY: &[u8] = b"sqlite time";
/// The stored time is this much behind at most. Storing it more often would make each transaction larger.
const STEP: Duration = Duration::from_secs(1);

/// The host's time, which never falls behind the times in the store.
///
/// If the host's clock is set back, this clock goes on at half its pace until the host has caught up. So leases still run
/// out, and times of day become right again. A process that starts meanwhile learns the time from the store.
pub(crate) struct StoreClock {
    host: Arc<dyn Clock>,
    shown: Mutex<Shown>,
}

/// Milliseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Shown {
    /// The latest time that this clock has shown.
    latest: u64,
    /// The host's time at that moment.
    host: u64,
}

impl Shown {
    fn advance(&mut self, host: u64) {
        let elapsed = host.saturating_sub(self.host);
        if host >= self.latest {
            (self.latest, self.host) = (host, host);
        } else {
            self.latest += elapsed / 2;
            self.host = host - elapsed % 2;
        }
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreClock").field("host", &self.host).field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl StoreClock {
    pub(crate) fn new(host: Arc<dyn Clock>) -> Self {
        Self { host, shown: Mutex::default() }
    }

    /// Reads the stored time at the beginning of a transaction, and goes on from there if it is later.
    pub(crate) fn read(&self, transaction: &mut dyn Transaction) -> Result<Timestamp> {
        let stored = transaction.get(Table::Meta, KEY)?;
        let stored = stored.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        if stored > self.now().as_millis() {
            self.shown().latest = stored;
        }
        Ok(Timestamp::from_millis(stored))
    }

    /// Stores the time in a transaction that has written anything else.
    pub(crate) fn store(&self, stored: Timestamp, transaction: &mut dyn Transaction) -> Result<()> {
        let now = self.now();
        if now < stored + STEP {
            return Ok(());
        }
        transaction.put(Table::Meta, KEY, &now.as_millis().to_be_bytes())
    }
}

impl StoreClock {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        let mut shown = self.shown();
        shown.advance(self.host.now().as_millis());
        Timestamp::from_millis(shown.latest)
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        let (now, host) = (self.now(), self.host.now());
        let is_behind = host < now;
        // At half the pace, unless the host catches up before.
        let until = if is_behind { deadline.min(host + deadline.since(now) * 2) } else { deadline };
        self.host.sleep_until(until)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that can be set back.
    #[derive(Debug, Clone, Default)]
    struct HostClock(Arc<AtomicU64>);

    impl Clock for HostClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::Relaxed))
        }

        fn sleep_until(&self, _: Timestamp) -> Sleep {
            unreachable!("the test doesn't sleep")
        }
    }

    #[test]
    fn time_goes_on_slower_until_a_host_that_was_set_back_has_caught_up() {
        let host = HostClock::default();
        let clock = StoreClock::new(Arc::new(host.clone()));
        for (set_to, shown) in [(50_000, 50_000), (20_000, 50_000), (20_700, 50_350), (90_000, 90_000)] {
            host.0.store(set_to, Ordering::Relaxed);
            assert_eq!(clock.now(), Timestamp::from_millis(shown), "host: {set_to}");
        }
    }
}
