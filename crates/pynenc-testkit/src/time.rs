//! A store's time, under the control of a test.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pynenc_core::clock::ManualClock;
use pynenc_core::{Broker, Clock, Timestamp, async_trait};

/// The time that a store under test uses.
///
/// A store that takes a clock gets a [`ManualClock`]. A store with a clock of its own implements this trait with an
/// offset to its clock, so that trials don't have to wait.
#[async_trait]
pub trait Time: fmt::Debug + Send + Sync + 'static {
    /// The store's current time.
    async fn now(&self) -> Timestamp;

    /// Moves the store's time forward.
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

/// A clock for a store that performs its steps on threads of its own. Before time goes on, the store has performed every
/// earlier step.
#[derive(Debug)]
pub struct ThreadTime {
    clock: ManualClock,
    broker: Arc<dyn Broker>,
}

impl ThreadTime {
    /// Moves a clock that the store uses. The broker belongs to the store.
    pub fn new(clock: ManualClock, broker: Arc<dyn Broker>) -> Self {
        Self { clock, broker }
    }
}

#[async_trait]
impl Time for ThreadTime {
    async fn now(&self) -> Timestamp {
        Clock::now(&self.clock)
    }

    async fn advance(&self, by: Duration) {
        self.broker.push(&[]).await.expect("the store performs a step without work");
        self.clock.advance(by);
    }
}
