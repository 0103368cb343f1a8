//! The truth, in memory: every verb is one step under one mutex.

mod block;
mod claim;
mod inspect;
mod keys;
mod knots;
mod listing;
mod outbox;
mod register;
mod runners;
mod slots;
mod state;
mod streams;
mod tally;
mod transition;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::lane::StoreId;
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Counts, Cursor, Ended, Find, Heartbeat, HeartbeatReply,
    HistoryEntry, Inspected, Introduction, OutboxEntry, OutboxInterest, Page, Registered, RunnerInfo, Signal, Tracked,
    Transition, TransitionReply,
};
use pynenc_core::record::Registration;
use pynenc_core::{Clock, InvocationId, Orchestrator, Result, RunnerId};

use self::state::State;
use crate::shared::Shared;

/// An orchestrator that lives in this process.
#[derive(Debug)]
pub struct MemOrchestrator {
    state: Shared<State>,
}

impl MemOrchestrator {
    /// An orchestrator that knows nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Shared::new(clock) }
    }
}

#[async_trait]
impl Orchestrator for MemOrchestrator {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        Ok(self.state.step(|state, now| registrations.iter().map(|one| state.register(one, now)).collect()))
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        self.state.step(|state, now| {
            state.runners.check(claim.runner, now)?;
            Ok(claim.ids.iter().map(|id| state.claim(*id, claim, now)).collect())
        })
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        Ok(self.state.step(|state, now| transitions.iter().map(|one| state.transition(one, now)).collect()))
    }

    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>> {
        Ok(self.state.step(|state, now| ids.iter().map(|id| state.cancel(*id, now)).collect()))
    }

    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
        let state = self.state.lock();
        Ok(ids.iter().map(|id| state.entries.get(id).map(|entry| entry.tracked.clone())).collect())
    }

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspected>>> {
        Ok(self.state.step(|state, now| ids.iter().map(|id| state.inspect(*id, now)).collect()))
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        Ok(self.state.lock().find(find))
    }

    async fn queued(&self, after: Option<Cursor>, unchanged_for: Duration, limit: usize) -> Result<Page<Tracked>> {
        Ok(self.state.step(|state, now| state.queued(after, now - unchanged_for, limit)))
    }

    async fn count(&self) -> Result<Counts> {
        Ok(self.state.lock().tally.counts())
    }

    async fn history(&self, id: InvocationId) -> Result<Vec<HistoryEntry>> {
        Ok(self.state.lock().entries.get(&id).map(|entry| entry.history.clone()).unwrap_or_default())
    }

    async fn owned(&self, runner: RunnerId) -> Result<Vec<Tracked>> {
        let state = self.state.lock();
        Ok(state.runners.owned(runner).map(|id| state.entry(id).tracked.clone()).collect())
    }

    async fn block(&self, block: &Block) -> Result<Blocked> {
        Ok(self.state.step(|state, now| state.block(block, now)))
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Ended>> {
        Ok(self.state.lock().watch(ids))
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        Ok(self.state.lock().signals.listen(runner))
    }

    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        Ok(self.state.step(|state, now| state.heartbeat(heartbeat, now)))
    }

    async fn introduce(&self, runner: RunnerId, introduction: &Introduction) -> Result<()> {
        self.state.lock().runners.introduce(runner, introduction);
        Ok(())
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        Ok(self.state.lock().runners.list())
    }

    async fn leave(&self, runner: RunnerId) -> Result<()> {
        self.state.step(|state, now| state.runners.leave(runner, now));
        Ok(())
    }

    async fn expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        Ok(self.state.step(|state, now| {
            let owned = state.runners.expired(limit, now);
            owned.into_iter().map(|(runner, id)| (runner, state.entry(id).tracked.clone())).collect()
        }))
    }

    async fn lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        Ok(self.state.step(|state, now| state.runners.lease(service, runner, length, now)))
    }

    async fn want(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        self.state.step(|state, now| state.outbox.want(interests, now, now + length));
        Ok(())
    }

    async fn outbox(&self, listeners: &[Box<str>], limit: usize, again_after: Duration) -> Result<Vec<OutboxEntry>> {
        Ok(self.state.step(|state, now| state.outbox.take(listeners, limit, again_after, now)))
    }

    async fn outbox_done(&self, sequences: &[u64]) -> Result<()> {
        let mut state = self.state.lock();
        for sequence in sequences {
            state.outbox.done(*sequence);
        }
        Ok(())
    }

    async fn outlived(&self, limit: usize) -> Result<Vec<InvocationId>> {
        Ok(self.state.step(|state, now| state.outlived(now, limit)))
    }

    async fn keep(&self, ids: &[InvocationId], length: Duration) -> Result<()> {
        self.state.step(|state, now| ids.iter().for_each(|id| state.keep(*id, now + length)));
        Ok(())
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let mut state = self.state.lock();
        for id in ids {
            state.forget(*id);
        }
        Ok(())
    }

    async fn purge(&self) -> Result<()> {
        self.state.lock().purge();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}
