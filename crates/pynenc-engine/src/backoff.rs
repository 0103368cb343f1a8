//! The pause before a store that failed is asked again.

use std::time::Duration;

/// The pause after this many failures before this one: 50 ms, doubled with each failure, at most 2 s.
pub fn store_backoff(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(6)).min(Duration::from_secs(2))
}
