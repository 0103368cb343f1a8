//! The lane over a key-value store: one transaction for all steps of an item, or none of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, Registered, TransitionReply};
use pynenc_core::{Lane, QueueName, Result, Timestamp};

use crate::decisions::orchestrator::retired;
use crate::local::Watcher;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::consumer::{Consumer, Dues};
use crate::stores::key_value::{Durability, Topic};
use crate::stores::process::Submitting;
use crate::stores::store::KvStore;
use crate::stores::work::{self, Answer, Work};

/// The lane of components in one key-value store.
#[derive(Debug, Clone)]
pub(crate) struct KvLane {
    store: KvStore,
    /// The queues that the last claim of popped hints has emptied.
    empty: Arc<Mutex<Option<EmptyQueues>>>,
    /// The number of invocations that the last claim of popped hints has found. The next one will find about as many.
    popped: Arc<AtomicUsize>,
}

/// Queues that are empty until hints come or are due.
#[derive(Debug)]
struct EmptyQueues {
    queues: Vec<QueueName>,
    dues: Dues,
    /// The number of changes before the claim.
    changes: u64,
}

impl KvLane {
    pub(crate) fn new(store: KvStore) -> Self {
        Self { store, empty: Arc::default(), popped: Arc::default() }
    }

    async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        items: usize,
        step: impl FnMut(&mut Work<'_, '_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        work::write(&self.store, durability, items, step).await
    }

    /// The next due times of queues that are known to be empty; `None` if they may have hints.
    fn known_empty(&self, pop: &Pop) -> Option<Dues> {
        let empty = self.empty.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let is_unchanged = empty.changes == self.store.process().waiting().changes;
        (is_unchanged && empty.queues == pop.queues).then_some(empty.dues)
    }
}

#[async_trait]
impl Lane for KvLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        self.write(Durability::Power, submissions.len(), move |work| {
            submissions.iter().map(|submission| work.submit(submission)).collect()
        })
        .await
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        if pop.max > 0 && !pop.wait.is_zero() {
            // The consumer sleeps before the queues are found unchanged, so a hint that comes in between wakes it.
            let deadline = self.store.clock().now() + pop.wait;
            let mut consumer = Consumer::new(self.store.clone(), &pop.queues);
            consumer.sleep(&Dues::new(), deadline);
            if let Some(dues) = self.known_empty(pop) {
                consumer.sleep(&dues, deadline);
                consumer.wait().await;
            }
        }
        Ok(Found::Waiting)
    }

    async fn claim(&self, claim: &Claim, pop: Option<&Pop>) -> Result<Vec<Claimed>> {
        let (runner, popped) = (claim.runner, pop.cloned());
        let items = if pop.is_some() { self.popped.load(Ordering::Relaxed) } else { claim.ids.len() };
        let (claim, changes) = (claim.clone(), self.store.process().waiting().changes);
        let step = move |work: &mut Work<'_, '_>| {
            if !work.state.may_claim(claim.runner, work.now)? {
                return Ok(None);
            }
            let Some(pop) = &popped else {
                let claimed = claim.ids.iter().map(|id| work.claim(*id, &claim)).collect::<Result<Vec<_>>>()?;
                return Ok(Some((claimed, None)));
            };
            let ids = work.take(pop)?;
            let dues = if ids.len() < pop.max { Some(work.dues(&pop.queues)?) } else { None };
            let claimed = ids.into_iter().map(|id| work.claim(id, &claim)).collect::<Result<Vec<_>>>()?;
            Ok(Some((claimed, dues)))
        };
        let (claimed, dues) = self.write(Durability::Process, items, step).await?.ok_or_else(|| retired(runner))?;
        if let Some(pop) = pop {
            self.popped.store(claimed.len(), Ordering::Relaxed);
            let empty = dues.map(|dues| EmptyQueues { queues: pop.queues.clone(), dues, changes });
            *self.empty.lock().unwrap_or_else(PoisonError::into_inner) = empty;
        }
        Ok(claimed)
    }

    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let (id, block, claim) = (submission.registration.id, block.clone(), claim.cloned());
        let process = self.store.process();
        process.subscribe(Topic::Completions, self.store.data());
        let watcher = Watcher::default();
        let submitting = Submitting::new(process, id);
        process.listeners().watch(id, &watcher);
        let run = move |bytes: Bytes<'_>, now: Timestamp, committed: &mut Committed| {
            let mut work = Work::open(bytes, now, committed);
            let answer = work.call(&submission, &block, claim.as_ref())?;
            // A stale caller has made no call.
            if !matches!(answer, Answer::Refused(_)) {
                work.finish()?;
            }
            Ok(answer)
        };
        let answer = self.store.write(Durability::Power, 1, run).await;
        drop(submitting);
        if let Ok(Answer::Waiting { child, waiter, claimed }) = answer {
            return Ok(Called::Waiting { child, waiter, claimed, end: Some(watcher.into_stream()) });
        }
        process.listeners().unwatch(id, &watcher);
        match answer? {
            Answer::Waiting { child, waiter, claimed } => Ok(Called::Waiting { child, waiter, claimed, end: None }),
            Answer::Registered(registered) => Ok(Called::Registered(registered)),
            Answer::Cycle(cycle) => Ok(Called::Cycle(cycle)),
            Answer::Refused(refusal) => Ok(Called::Refused(refusal)),
        }
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        self.write(Durability::Power, settlements.len(), move |work| {
            settlements.iter().map(|settlement| work.settle(settlement)).collect()
        })
        .await
    }
}
