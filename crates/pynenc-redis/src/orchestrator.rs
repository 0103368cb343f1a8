//! The truth, on Redis: every verb is one script.

pub(crate) mod hub;
mod listing;
pub(crate) mod replies;
mod runners;
pub(crate) mod waiting;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::broker::Pop;
use pynenc_core::lane::StoreId;
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Counts, Cursor, Ended, Find, Heartbeat, HeartbeatReply,
    HistoryEntry, Inspected, Introduction, OutboxEntry, OutboxInterest, Page, Registered, RunnerInfo, Signal, Tracked,
    Transition, TransitionReply,
};
use pynenc_core::record::Registration;
use pynenc_core::{Broker, Error, ErrorKind, InvocationId, Lane, Orchestrator, Result, RunnerId, StateBackend};

use crate::client::{BATCH, RedisStore, bytes, list};
use crate::codec::{self, Pack};
use crate::keys::{Family, Key};
use crate::lane::RedisLane;
use crate::script::{self, Verb};

/// An orchestrator on Redis.
#[derive(Debug, Clone)]
pub struct RedisOrchestrator {
    store: RedisStore,
}

impl RedisOrchestrator {
    /// An orchestrator on this server.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Orchestrator for RedisOrchestrator {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        let items = registrations.iter().map(register_item).collect::<Result<Vec<_>>>()?;
        let register = || async {
            let replies = self.store.run_chunked(Verb::Register, &[], &items, 1).await?;
            replies.into_iter().zip(registrations).map(|(reply, one)| replies::registered(one, reply)).collect()
        };
        self.store.intact(register).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        let claimed = || async {
            let mut replies = Vec::with_capacity(claim.ids.len());
            for ids in claim.ids.chunks(BATCH) {
                let answer = self.store.run(Verb::Claim, &claim_arguments(claim, ids)).await?;
                let answers = granted_or_retired(answer, claim.runner)?;
                replies.extend(ids.iter().zip(answers).map(|(id, reply)| replies::claimed(*id, reply)));
            }
            Ok(replies)
        };
        let replies = self.store.intact_each(claimed).await?;
        replies
            .into_iter()
            .zip(&claim.ids)
            .map(|(reply, id)| reply.or_else(|error| replies::gone(*id, error)))
            .collect()
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        let items: Vec<_> = transitions.iter().map(transition_item).collect();
        let transition = || async {
            let replies = self.store.run_chunked(Verb::Transition, &[], &items, 1).await?;
            replies.into_iter().zip(transitions).map(|(reply, one)| replies::transitioned(one, reply)).collect()
        };
        self.store.intact(transition).await
    }

    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>> {
        let items = id_items(ids);
        let cancel = || async {
            let replies = self.store.run_chunked(Verb::Cancel, &[], &items, 1).await?;
            replies.into_iter().map(replies::cancelled).collect()
        };
        self.store.intact(cancel).await
    }

    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
        self.store.intact(|| listing::records(&self.store, ids)).await
    }

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspected>>> {
        self.store.intact(|| listing::inspect(&self.store, ids)).await
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        self.store.intact(|| listing::find(&self.store, find)).await
    }

    async fn queued(&self, after: Option<Cursor>, unchanged_for: Duration, limit: usize) -> Result<Page<Tracked>> {
        self.store.intact(|| listing::queued(&self.store, after, unchanged_for, limit)).await
    }

    async fn count(&self) -> Result<Counts> {
        self.store.intact(|| listing::count(&self.store)).await
    }

    async fn history(&self, id: InvocationId) -> Result<Vec<HistoryEntry>> {
        self.store.intact(|| listing::history(&self.store, id)).await
    }

    async fn owned(&self, runner: RunnerId) -> Result<Vec<Tracked>> {
        self.store.intact(|| runners::owned(&self.store, runner)).await
    }

    async fn block(&self, block: &Block) -> Result<Blocked> {
        self.store.intact(|| waiting::block(&self.store, block)).await
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Ended>> {
        waiting::watch(&self.store, ids).await
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        self.store.hub().open(&self.store).await?;
        self.store.hub().listen(runner, self.store.of(Key::Signals, runner.as_bytes())).await
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        runners::heartbeat(&self.store, heartbeat).await
    }

    async fn introduce(&self, runner: RunnerId, introduction: &Introduction) -> Result<()> {
        runners::introduce(&self.store, runner, introduction).await
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        self.store.intact(|| runners::list_all(&self.store)).await
    }

    async fn leave(&self, runner: RunnerId) -> Result<()> {
        self.store.run(Verb::Leave, &[runner.as_bytes().to_vec()]).await.map(drop)
    }

    async fn expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        self.store.intact(|| runners::expired(&self.store, limit)).await
    }

    async fn lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        runners::lease(&self.store, service, runner, length).await
    }

    async fn want(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        let mut arguments = vec![decimal(codec::millis(length))];
        for interest in interests {
            let OutboxInterest { listener, task, statuses } = interest;
            codec::check_names([&**listener, task.as_str()])?;
            for status in statuses {
                let field = [&[script::status_code(*status)], task.as_str().as_bytes()].concat();
                arguments.extend([field, listener.as_bytes().to_vec()]);
            }
        }
        self.store.run(Verb::Want, &arguments).await.map(drop)
    }

    async fn outbox(&self, listeners: &[Box<str>], limit: usize, again_after: Duration) -> Result<Vec<OutboxEntry>> {
        let mut arguments = vec![decimal(limit.min(BATCH) as u64), decimal(codec::millis(again_after))];
        arguments.extend(listeners.iter().map(|listener| listener.as_bytes().to_vec()));
        self.store.intact(|| async { replies::outbox(self.store.run(Verb::Outbox, &arguments).await?) }).await
    }

    async fn outbox_done(&self, sequences: &[u64]) -> Result<()> {
        for chunk in sequences.chunks(BATCH) {
            let arguments: Vec<_> = chunk.iter().copied().map(decimal).collect();
            self.store.run(Verb::OutboxDone, &arguments).await?;
        }
        Ok(())
    }

    async fn outlived(&self, limit: usize) -> Result<Vec<InvocationId>> {
        let read = || async {
            let ids = list(self.store.run(Verb::Outlived, &[decimal(limit as u64)]).await?)?;
            ids.into_iter().map(|id| codec::Parse::new(&bytes(id)?).id()).collect()
        };
        self.store.intact(read).await
    }

    async fn keep(&self, ids: &[InvocationId], length: Duration) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            let arguments: Vec<_> = [decimal(codec::millis(length))].into_iter().chain(id_items(chunk)).collect();
            self.store.run(Verb::Keep, &arguments).await?;
        }
        Ok(())
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            self.store.run(Verb::Forget, &id_items(chunk)).await?;
        }
        Ok(())
    }

    async fn purge(&self) -> Result<()> {
        self.store.purge(Family::Orchestrator).await?;
        self.store.hub().dismiss();
        self.store.send(redis::cmd("PUBLISH").arg(self.store.one(Key::News)).arg("P")).await.map(drop)
    }

    async fn weaknesses(&self) -> Result<Vec<String>> {
        self.store.weaknesses().await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }

    fn lane(&self, broker: &Arc<dyn Broker>, state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        let own = self.store_id();
        let is_shared = broker.store_id() == own && state.store_id() == own;
        is_shared.then(|| Arc::new(RedisLane::new(self.store.clone())) as Arc<dyn Lane>)
    }
}

/// A registration as scripts take it.
pub(crate) fn register_item(registration: &Registration) -> Result<Vec<u8>> {
    let Registration { id, task, queue, due, registration: key, idempotency, .. } = registration;
    let name = idempotency.as_ref().map_or("", |name| &name.key);
    codec::check_names([task.as_str(), queue.as_str(), name])?;
    let pack = Pack::new()
        .bytes(id.as_bytes())
        .due(*due)
        .u8(key.is_some().into())
        .u8(idempotency.is_some().into())
        .sized(&codec::facts(registration));
    let Some(idempotency) = idempotency else { return Ok(pack.done()) };
    let name = [task.as_str().as_bytes(), b"\0", idempotency.key.as_bytes()].concat();
    Ok(pack.sized(&name).bytes(idempotency.arguments.as_bytes()).done())
}

/// The arguments of a claim of some of its candidates.
pub(crate) fn claim_arguments(claim: &Claim, ids: &[InvocationId]) -> Vec<Vec<u8>> {
    let runs_below = claim.runs_below.to_string().into_bytes();
    let mut arguments = vec![claim.runner.as_bytes().to_vec(), claim.token.as_bytes().to_vec(), runs_below];
    arguments.push(decimal(claim.left_out.len() as u64));
    arguments.extend(claim.left_out.iter().map(|task| task.as_str().as_bytes().to_vec()));
    arguments.extend(id_items(ids));
    arguments
}

/// The arguments of a claim of what is popped with it.
pub(crate) fn take_arguments(claim: &Claim, pop: &Pop) -> Vec<Vec<u8>> {
    let mut arguments = claim_arguments(claim, &[]);
    arguments.push(decimal(pop.max.min(BATCH) as u64));
    arguments.extend(pop.queues.iter().map(|queue| queue.as_str().as_bytes().to_vec()));
    arguments
}

/// The answers to a claim; an answer without any is that of a retired runner.
pub(crate) fn granted_or_retired(answer: redis::Value, runner: RunnerId) -> Result<Vec<redis::Value>> {
    if answer == redis::Value::Nil {
        return Err(Error::new(ErrorKind::Retired, "the runner was retired").with("runner", runner));
    }
    list(answer)
}

/// A transition as scripts take it.
pub(crate) fn transition_item(transition: &Transition) -> Vec<u8> {
    let Transition { id, expect, change } = transition;
    Pack::new()
        .bytes(id.as_bytes())
        .u32(expect.version)
        .u32(expect.epoch)
        .u8(script::status_code(change.to))
        .by(change.by)
        .u8(script::reason_code(change.reason))
        .due(change.due)
        .u8(change.detail.is_some().into())
        .bytes(change.detail.as_deref().unwrap_or_default().as_bytes())
        .done()
}

pub(crate) fn id_items(ids: &[InvocationId]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| id.as_bytes().to_vec()).collect()
}

/// A number as scripts take it.
pub(crate) fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}
