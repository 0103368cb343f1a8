//! Time that a test moves.

use std::fmt;
use std::time::Duration;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Clock, Timestamp, async_trait};

/// The time by which a store under test decides.
///
/// A store that is given a clock is given a [`ManualClock`]. One with a clock of its own implements this by an offset
/// that it adds to its clock, so that the trials needn't wait for anything.
#[async_trait]
pub trait Time: fmt::Debug + Send + Sync + 'static {
    /// The store's present.
    async fn now(&self) -> Timestamp;

    /// Moves the store's present ahead.
    async fn advance(&self, by: Duration);
}

#[async_trait]
impl Time for ManualClock {
    async fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    async fn advance(&self, by: Duration) {
        Self::advance(self, by);
    }
}
