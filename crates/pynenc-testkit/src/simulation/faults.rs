//! Components that fail: before their effect, after it, or by losing a hint; and that let others run in between.

use std::future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::BoxStream;
use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Counts, Cursor, Ended, Find, Heartbeat, HeartbeatReply,
    HistoryEntry, Inspected, Introduction, OutboxEntry, OutboxInterest, Page, Registered, RunnerInfo, Signal, Tracked,
    Transition, TransitionReply,
};
use pynenc_core::record::{InvocationRecord, Outcome, Payload, Registration};
use pynenc_core::state_backend::{Appended, Journal, JournalEntry, JournalOpening, OutcomeWrite};
use pynenc_core::{
    Broker, Error, InvocationId, Lane, Orchestrator, QueueName, Result, RunnerId, StateBackend, async_trait,
};

use super::mutation::{Mutation, WrongLane};

/// How often what goes wrong, in thousandths of the calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) refused: u32,
    pub(super) reply_lost: u32,
    pub(super) hint_dropped: u32,
    pub(super) hint_repeated: u32,
}

/// Where faults come from: a seed, until calm is ordered.
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

    fn strikes(&self, rate: u32) -> bool {
        let drawn = self.rng.lock().unwrap_or_else(PoisonError::into_inner).u32(0..1000);
        drawn < rate && !self.is_calm.load(Ordering::Relaxed)
    }

    async fn before(&self) -> Result<()> {
        others_first().await;
        if self.strikes(self.rates.refused) { Err(Error::unavailable("refused")) } else { Ok(()) }
    }

    async fn after<T>(&self, reply: T) -> Result<T> {
        others_first().await;
        if self.strikes(self.rates.reply_lost) { Err(Error::unavailable("the reply was lost")) } else { Ok(reply) }
    }
}

/// Lets the scheduler choose who goes on, or who dies here.
pub(super) async fn others_first() {
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

/// A component with faults around it.
#[derive(Debug)]
pub(super) struct Faulty<T: ?Sized> {
    pub(super) inner: Arc<T>,
    pub(super) faults: Arc<Faults>,
}

/// Calls the component with faults before and after.
macro_rules! faulty {
    ($self:ident.$method:ident($($argument:expr),*)) => {{
        $self.faults.before().await?;
        let reply = $self.inner.$method($($argument),*).await?;
        $self.faults.after(reply).await
    }};
}

#[async_trait]
impl Broker for Faulty<dyn Broker> {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let mut kept = Vec::with_capacity(messages.len());
        for message in messages {
            let is_kept = !self.faults.strikes(self.faults.rates.hint_dropped);
            kept.extend(is_kept.then(|| message.clone()));
        }
        faulty!(self.push(&kept))
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let mut ids = self.inner.pop(pop).await?;
        others_first().await;
        if let Some(first) = ids.first().copied().filter(|_| self.faults.strikes(self.faults.rates.hint_repeated)) {
            ids.push(first);
        }
        Ok(ids)
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        faulty!(self.remove(queue, ids))
    }

    async fn len(&self, queue: &QueueName) -> Result<QueueLen> {
        faulty!(self.len(queue))
    }

    async fn place(&self, queue: &QueueName, id: InvocationId) -> Result<Option<u64>> {
        faulty!(self.place(queue, id))
    }

    async fn purge(&self) -> Result<()> {
        self.inner.purge().await
    }
}

#[async_trait]
impl StateBackend for Faulty<dyn StateBackend> {
    async fn put_invocations(&self, records: &[Arc<InvocationRecord>]) -> Result<()> {
        faulty!(self.put_invocations(records))
    }

    async fn invocations(&self, ids: &[InvocationId]) -> Result<Vec<Option<Arc<InvocationRecord>>>> {
        faulty!(self.invocations(ids))
    }

    async fn children(&self, parent: InvocationId) -> Result<Vec<InvocationId>> {
        faulty!(self.children(parent))
    }

    async fn put_outcomes(&self, outcomes: &[OutcomeWrite]) -> Result<()> {
        if self.faults.mutation == Mutation::OutcomesWithoutEpoch {
            let alike: Vec<_> = outcomes.iter().map(|outcome| OutcomeWrite { epoch: 0, ..outcome.clone() }).collect();
            return faulty!(self.put_outcomes(&alike));
        }
        faulty!(self.put_outcomes(outcomes))
    }

    async fn outcome(&self, id: InvocationId, epoch: u64) -> Result<Option<Outcome>> {
        faulty!(self.outcome(id, epoch))
    }

    async fn open_journal(&self, opening: &JournalOpening) -> Result<Journal> {
        faulty!(self.open_journal(opening))
    }

    async fn journal(&self, id: InvocationId) -> Result<Option<Journal>> {
        faulty!(self.journal(id))
    }

    async fn append_journal(&self, id: InvocationId, epoch: u64, entries: &[JournalEntry]) -> Result<Vec<Appended>> {
        faulty!(self.append_journal(id, epoch, entries))
    }

    async fn workflow_runs(&self, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        faulty!(self.workflow_runs(after, limit))
    }

    async fn put_workflow_data(&self, workflow: InvocationId, key: &str, value: Payload) -> Result<()> {
        faulty!(self.put_workflow_data(workflow, key, value))
    }

    async fn workflow_data(&self, workflow: InvocationId, key: &str) -> Result<Option<Payload>> {
        faulty!(self.workflow_data(workflow, key))
    }

    async fn aged(&self, age: Duration, after: Option<Cursor>, limit: usize) -> Result<Page<InvocationId>> {
        faulty!(self.aged(age, after, limit))
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        faulty!(self.forget(ids))
    }

    async fn purge(&self) -> Result<()> {
        self.inner.purge().await
    }
}

#[async_trait]
impl Orchestrator for Faulty<dyn Orchestrator> {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        faulty!(self.register(registrations))
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        faulty!(self.claim(claim))
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        faulty!(self.transition(transitions))
    }

    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>> {
        faulty!(self.cancel(ids))
    }

    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
        faulty!(self.records(ids))
    }

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspected>>> {
        faulty!(self.inspect(ids))
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        faulty!(self.find(find))
    }

    async fn queued(&self, after: Option<Cursor>, unchanged_for: Duration, limit: usize) -> Result<Page<Tracked>> {
        faulty!(self.queued(after, unchanged_for, limit))
    }

    async fn count(&self) -> Result<Counts> {
        faulty!(self.count())
    }

    async fn history(&self, id: InvocationId) -> Result<Vec<HistoryEntry>> {
        faulty!(self.history(id))
    }

    async fn owned(&self, runner: RunnerId) -> Result<Vec<Tracked>> {
        faulty!(self.owned(runner))
    }

    async fn block(&self, block: &Block) -> Result<Blocked> {
        faulty!(self.block(block))
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Ended>> {
        faulty!(self.watch(ids))
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        faulty!(self.signals(runner))
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        faulty!(self.heartbeat(heartbeat))
    }

    async fn introduce(&self, runner: RunnerId, introduction: &Introduction) -> Result<()> {
        faulty!(self.introduce(runner, introduction))
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        faulty!(self.runners())
    }

    async fn leave(&self, runner: RunnerId) -> Result<()> {
        faulty!(self.leave(runner))
    }

    async fn expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        faulty!(self.expired(limit))
    }

    async fn lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        faulty!(self.lease(service, runner, length))
    }

    async fn want(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        faulty!(self.want(interests, length))
    }

    async fn outbox(&self, listeners: &[Box<str>], limit: usize, again_after: Duration) -> Result<Vec<OutboxEntry>> {
        faulty!(self.outbox(listeners, limit, again_after))
    }

    async fn outbox_done(&self, sequences: &[u64]) -> Result<()> {
        faulty!(self.outbox_done(sequences))
    }

    async fn outlived(&self, limit: usize) -> Result<Vec<InvocationId>> {
        faulty!(self.outlived(limit))
    }

    async fn keep(&self, ids: &[InvocationId], length: Duration) -> Result<()> {
        faulty!(self.keep(ids, length))
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        faulty!(self.forget(ids))
    }

    async fn purge(&self) -> Result<()> {
        self.inner.purge().await
    }

    fn lane(&self, broker: &Arc<dyn Broker>, state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        let orchestrator: Arc<dyn Orchestrator> =
            Arc::new(Self { inner: self.inner.clone(), faults: self.faults.clone() });
        WrongLane::of(self.faults.mutation, broker, &orchestrator, state)
    }
}
