//! Short functions for durations.

use std::time::Duration;

/// Returns `n` milliseconds.
pub const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Returns `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Returns `n` minutes.
pub const fn minutes(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(60))
}

/// Returns `n` hours.
pub const fn hours(n: u64) -> Duration {
    minutes(n.saturating_mul(60))
}
