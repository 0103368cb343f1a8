//! The limit on logins: a client may try a few passwords, and then one each few seconds.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many passwords a client may try at once.
const BURST: NonZeroU32 = NonZeroU32::new(10).expect("ten isn't zero");
/// How long it takes until a client may try one more.
const REFILL: Duration = Duration::from_secs(6);
/// How many passwords are checked at once. A check needs 19 MiB and a core.
const CHECKS: usize = 2;

/// The limit on logins of each client, and on the checks that run at once.
#[derive(Debug)]
pub(super) struct LoginLimit {
    clients: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
    checks: Semaphore,
}

impl LoginLimit {
    pub(super) fn new() -> Self {
        let quota = Quota::with_period(REFILL).expect("the period isn't zero").allow_burst(BURST);
        Self {
            clients: RateLimiter::new(quota, HashMapStateStore::default(), DefaultClock::default()),
            checks: Semaphore::new(CHECKS),
        }
    }

    /// Counts a try of a client. Refuses it if the client has tried too often.
    pub(super) fn count(&self, client: IpAddr) -> bool {
        // Clients that may try as often as a new one are forgotten, so that their number is bounded.
        if self.clients.len() > 10_000 {
            self.clients.retain_recent();
        }
        self.clients.check_key(&client).is_ok()
    }

    /// Waits until a password may be checked.
    pub(super) async fn check(&self) -> Option<SemaphorePermit<'_>> {
        self.checks.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_try_a_few_passwords() {
        let limit = LoginLimit::new();
        let [first, second] = [1, 2].map(|last| IpAddr::from([127, 0, 0, last]));
        for _ in 0..BURST.get() {
            assert!(limit.count(first));
        }
        assert!(!limit.count(first));
        assert!(limit.count(second), "each client has a limit of its own");
    }
}
