//! Component wrappers that fail before or after a call, lose or repeat hints, and yield to the scheduler in between.

use std::future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::BoxStream;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Completion, Counts, Find, Heartbeat, HeartbeatReply, Inspection,
    Lifecycle, Outbox, OutboxEntry, OutboxInterest, OutboxTake, Registered, Retention, RunnerInfo, Runners, Signal,
    Tracked, Transition, TransitionReply, Waiting,
};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Registration};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, Listing, OutcomeWrite};
use pynenc_core::{
    Broker, Component, Error, InvocationId, Lane, Orchestrator, QueueName, Result, RunnerId, StateBackend, async_trait,
};

use super::mutation::{MutatedLane, Mutation};
use crate::wrap::wrap;

/// The frequency of each fault, in thousandths of the calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) refused: u32,
    pub(super) reply_lost: u32,
    pub(super) hint_dropped: u32,
    pub(super) hint_repeated: u32,
}

/// A source of random faults from a seed, until the simulation is calm.
#[derive(Debug)]
pub(super) struct Faults {
    rates: Rates,
    mutation: Mutation,
    is_calm: Arc<AtomicBool>,
    rng: Mutex<fastrand::Rng>,
}

impl Faults {
    pub(super) fn new(seed: u64, rates: Rates, mutation: Mutation, is_calm: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self { rates, mutation, is_calm, rng: Mutex::new(fastrand::Rng::with_seed(seed)) })
    }

    fn draws_fault(&self, rate: u32) -> bool {
        let drawn = self.rng.lock().unwrap_or_else(PoisonError::into_inner).u32(0..1000);
        drawn < rate && !self.is_calm.load(Ordering::Relaxed)
    }

    async fn before(&self) -> Result<()> {
        yield_to_scheduler().await;
        if self.draws_fault(self.rates.refused) { Err(Error::unavailable("refused")) } else { Ok(()) }
    }

    async fn after<T>(&self, reply: T) -> Result<T> {
        yield_to_scheduler().await;
        if self.draws_fault(self.rates.reply_lost) { Err(Error::unavailable("the reply was lost")) } else { Ok(reply) }
    }
}

/// Lets the scheduler choose the next future, or kill this one.
pub(super) async fn yield_to_scheduler() {
    let mut has_yielded = false;
    future::poll_fn(|cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A component with injected faults.
#[derive(Debug)]
pub(super) struct Faulty<T: ?Sized> {
    pub(super) inner: Arc<T>,
    pub(super) faults: Arc<Faults>,
}

impl<T: ?Sized> Faulty<T> {
    /// Makes a call, with a possible fault before and after it.
    async fn guard<R>(&self, call: impl Future<Output = Result<R>>) -> Result<R> {
        self.faults.before().await?;
        let reply = call.await?;
        self.faults.after(reply).await
    }
}

#[async_trait]
impl<T: Component + ?Sized> Component for Faulty<T> {
    async fn purge(&self) -> Result<()> {
        self.inner.purge().await
    }
}

#[async_trait]
impl Broker for Faulty<dyn Broker> {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let mut kept = Vec::with_capacity(messages.len());
        for message in messages {
            let is_kept = !self.faults.draws_fault(self.faults.rates.hint_dropped);
            kept.extend(is_kept.then(|| message.clone()));
        }
        self.guard(self.inner.push(&kept)).await
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let mut ids = self.inner.pop(pop).await?;
        yield_to_scheduler().await;
        if let Some(first) = ids.first().copied().filter(|_| self.faults.draws_fault(self.faults.rates.hint_repeated)) {
            ids.push(first);
        }
        Ok(ids)
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        self.guard(self.inner.remove(queue, ids)).await
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        self.guard(self.inner.queue(queue, position_of)).await
    }
}

#[async_trait]
impl StateBackend for Faulty<dyn StateBackend> {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        self.guard(self.inner.put_invocations(records)).await
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        self.guard(self.inner.invocations(ids)).await
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        if self.faults.mutation == Mutation::OutcomesWithoutEpoch {
            let without_epoch: Vec<_> =
                outcomes.iter().map(|outcome| OutcomeWrite { epoch: 0, ..outcome.clone() }).collect();
            return self.guard(self.inner.put_outcomes(&without_epoch)).await;
        }
        self.guard(self.inner.put_outcomes(outcomes)).await
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        self.guard(self.inner.outcome(id, epoch)).await
    }

    async fn list(&self, listing: &Listing, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        self.guard(self.inner.list(listing, after, limit)).await
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        self.guard(self.inner.open_journal(opening)).await
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        self.guard(self.inner.journal(id)).await
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        self.guard(self.inner.append_journal(id, epoch, entries)).await
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        self.guard(self.inner.put_workflow_data(workflow, key, value)).await
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        self.guard(self.inner.workflow_data(workflow, key)).await
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        self.guard(self.inner.forget(ids)).await
    }
}

wrap! { parts of Orchestrator for Faulty<dyn Orchestrator> }

impl Orchestrator for Faulty<dyn Orchestrator> {
    fn lane(&self, broker: &Arc<dyn Broker>, state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        let orchestrator: Arc<dyn Orchestrator> =
            Arc::new(Self { inner: self.inner.clone(), faults: self.faults.clone() });
        MutatedLane::of(self.faults.mutation, broker, &orchestrator, state)
    }
}
