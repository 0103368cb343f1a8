//! A broker that loses and repeats hints.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::{Broker, Component, InvocationId, QueueName, Result, async_trait};

/// One in this many pushed hints is lost, and one in this many popped hints is delivered again.
const ODDS: u64 = 8;

/// Loses some pushed hints and repeats some popped hints until [`ChaosBroker::calm`]. The same seed and the same calls
/// give the same faults.
#[derive(Debug)]
pub struct ChaosBroker {
    inner: Arc<dyn Broker>,
    chaos: Mutex<Chaos>,
}

#[derive(Debug)]
struct Chaos {
    seed: u64,
    is_calm: bool,
    duplicates: VecDeque<Duplicate>,
}

/// A hint that is delivered again to the next pop of the same queues.
#[derive(Debug)]
struct Duplicate {
    queues: Vec<QueueName>,
    invocation: InvocationId,
}

impl ChaosBroker {
    /// Wraps a broker. `seed` determines the faults.
    pub fn new(inner: Arc<dyn Broker>, seed: u64) -> Self {
        Self { inner, chaos: Mutex::new(Chaos { seed, is_calm: false, duplicates: VecDeque::new() }) }
    }

    /// Stops all further faults. Lost hints stay lost.
    pub fn calm(&self) {
        let mut chaos = self.chaos();
        chaos.is_calm = true;
        chaos.duplicates.clear();
    }

    fn chaos(&self) -> MutexGuard<'_, Chaos> {
        self.chaos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Component for ChaosBroker {
    async fn purge(&self) -> Result<()> {
        self.chaos().duplicates.clear();
        self.inner.purge().await
    }
}

#[async_trait]
impl Broker for ChaosBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let kept: Vec<_> = {
            let mut chaos = self.chaos();
            messages.iter().filter(|_| !chaos.draws_fault()).cloned().collect()
        };
        self.inner.push(&kept).await
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let mut ids = self.chaos().take_duplicates(pop);
        if ids.len() == pop.max {
            return Ok(ids);
        }
        // A pop that already has hints doesn't wait for more.
        let wait = if ids.is_empty() { pop.wait } else { Duration::ZERO };
        let rest = Pop { max: pop.max - ids.len(), wait, ..pop.clone() };
        let popped = self.inner.pop(&rest).await?;
        self.chaos().remember(pop, &popped);
        ids.extend(popped);
        Ok(ids)
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        self.inner.remove(queue, ids).await
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        self.inner.queue(queue, position_of).await
    }
}

impl Chaos {
    /// Draws a fault with the generator `SplitMix64`, which is small and gives the same sequence on every platform.
    fn draws_fault(&mut self) -> bool {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        !self.is_calm && (mixed ^ (mixed >> 31)).is_multiple_of(ODDS)
    }

    fn take_duplicates(&mut self, pop: &Pop) -> Vec<InvocationId> {
        let mut ids = Vec::new();
        self.duplicates.retain(|duplicate| {
            let is_given = ids.len() < pop.max && duplicate.queues == pop.queues;
            ids.extend(is_given.then_some(duplicate.invocation));
            !is_given
        });
        ids
    }

    fn remember(&mut self, pop: &Pop, popped: &[InvocationId]) {
        for &invocation in popped {
            if self.draws_fault() {
                self.duplicates.push_back(Duplicate { queues: pop.queues.clone(), invocation });
            }
        }
    }
}
