//! The orchestrator in memory: every method is one step under one mutex.

mod block;
mod claim;
mod counts;
mod deadlock;
mod heartbeat;
mod inspect;
mod keys;
mod listing;
mod outbox;
mod register;
mod runners;
mod signals;
mod slots;
mod state;
mod transition;
mod waits;
mod watch;
mod watchers;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use pynenc_core::component::StoreId;
use pynenc_core::orchestrator::{
    Block, Blocked, CancelReply, Claim, ClaimReply, Completion, Counts, Find, Heartbeat, HeartbeatReply, Inspection,
    Lifecycle, Outbox, OutboxEntry, OutboxInterest, OutboxTake, Registered, Retention, RunnerInfo, Runners, Signal,
    Tracked, Transition, TransitionReply, Waiting,
};
use pynenc_core::page::Page;
use pynenc_core::record::Registration;
use pynenc_core::{Clock, Component, InvocationId, Orchestrator, Result, RunnerId};

use self::state::State;
use crate::shared::Shared;

/// An orchestrator in the memory of this process.
#[derive(Debug)]
pub struct MemOrchestrator {
    state: Shared<State>,
}

impl MemOrchestrator {
    /// An orchestrator without invocations.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Shared::new(clock) }
    }
}

impl Orchestrator for MemOrchestrator {}

#[async_trait]
impl Component for MemOrchestrator {
    async fn purge(&self) -> Result<()> {
        self.state.lock().purge();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl Lifecycle for MemOrchestrator {
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

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspection>>> {
        Ok(self.state.step(|state, now| ids.iter().map(|id| state.inspect(*id, now)).collect()))
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        Ok(self.state.step(|state, now| state.find(find, now)))
    }

    async fn count(&self) -> Result<Counts> {
        Ok(self.state.lock().counters.counts())
    }
}

#[async_trait]
impl Waiting for MemOrchestrator {
    async fn block(&self, block: &Block) -> Result<Blocked> {
        Ok(self.state.step(|state, now| state.block(block, now)))
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>> {
        Ok(self.state.lock().watch(ids))
    }
}

#[async_trait]
impl Runners for MemOrchestrator {
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        Ok(self.state.step(|state, now| state.heartbeat(heartbeat, now)))
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        Ok(self.state.lock().signals.listen(runner))
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        Ok(self.state.lock().runners.list())
    }

    async fn retire_expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        Ok(self.state.step(|state, now| {
            let owned = state.runners.retire_expired(limit, now);
            owned.into_iter().map(|(runner, id)| (runner, state.entry(id).tracked.clone())).collect()
        }))
    }

    async fn acquire_lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        Ok(self.state.step(|state, now| state.runners.acquire_lease(service, runner, length, now)))
    }
}

#[async_trait]
impl Outbox for MemOrchestrator {
    async fn subscribe(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        self.state.step(|state, now| state.outbox.subscribe(interests, now, now + length));
        Ok(())
    }

    async fn take_outbox(&self, take: &OutboxTake) -> Result<Vec<OutboxEntry>> {
        Ok(self.state.step(|state, now| state.outbox.take(take, now)))
    }
}

#[async_trait]
impl Retention for MemOrchestrator {
    async fn outlived(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>> {
        Ok(self.state.step(|state, now| state.outlived(limit, again_after, now)))
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let mut state = self.state.lock();
        for id in ids {
            state.forget(*id);
        }
        Ok(())
    }
}
