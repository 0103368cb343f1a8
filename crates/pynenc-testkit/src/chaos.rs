//! A broker that does what brokers may do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::{Broker, InvocationId, QueueName, Result, async_trait};

/// One in so many pushed hints is lost, and one in so many popped ones is given again.
const ODDS: u64 = 8;

/// Loses some of the hints that are pushed and repeats some that are popped, the same ones for the same seed and the
/// same calls, until it is told to be calm.
#[derive(Debug)]
pub struct ChaosBroker {
    inner: Arc<dyn Broker>,
    chaos: Mutex<Chaos>,
}

#[derive(Debug)]
struct Chaos {
    seed: u64,
    is_calm: bool,
    echoes: VecDeque<Echo>,
}

/// A hint that is to be given again to whoever serves the same queues.
#[derive(Debug)]
struct Echo {
    queues: Vec<QueueName>,
    invocation: InvocationId,
}

impl ChaosBroker {
    /// The broker, with the chaos of `seed`.
    pub fn new(inner: Arc<dyn Broker>, seed: u64) -> Self {
        Self { inner, chaos: Mutex::new(Chaos { seed, is_calm: false, echoes: VecDeque::new() }) }
    }

    /// Passes everything through from now on. What was lost stays lost.
    pub fn calm(&self) {
        let mut chaos = self.chaos();
        chaos.is_calm = true;
        chaos.echoes.clear();
    }

    fn chaos(&self) -> MutexGuard<'_, Chaos> {
        self.chaos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Broker for ChaosBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let kept: Vec<_> = {
            let mut chaos = self.chaos();
            messages.iter().filter(|_| !chaos.strikes()).cloned().collect()
        };
        self.inner.push(&kept).await
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let mut ids = self.chaos().echoed(pop);
        if ids.len() == pop.max {
            return Ok(ids);
        }
        // Who has something to give doesn't wait for more.
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

    async fn len(&self, queue: &QueueName) -> Result<QueueLen> {
        self.inner.len(queue).await
    }

    async fn place(&self, queue: &QueueName, id: InvocationId) -> Result<Option<u64>> {
        self.inner.place(queue, id).await
    }

    async fn purge(&self) -> Result<()> {
        self.chaos().echoes.clear();
        self.inner.purge().await
    }
}

impl Chaos {
    /// Whether chance wants it, by the generator `SplitMix64`: small, and the same everywhere.
    fn strikes(&mut self) -> bool {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        !self.is_calm && (mixed ^ (mixed >> 31)).is_multiple_of(ODDS)
    }

    fn echoed(&mut self, pop: &Pop) -> Vec<InvocationId> {
        let mut ids = Vec::new();
        self.echoes.retain(|echo| {
            let is_given = ids.len() < pop.max && echo.queues == pop.queues;
            ids.extend(is_given.then_some(echo.invocation));
            !is_given
        });
        ids
    }

    fn remember(&mut self, pop: &Pop, popped: &[InvocationId]) {
        for &invocation in popped {
            if self.strikes() {
                self.echoes.push_back(Echo { queues: pop.queues.clone(), invocation });
            }
        }
    }
}
