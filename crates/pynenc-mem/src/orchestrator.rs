//! The orchestrator in memory: every method is one step under one mutex.

use std::collections::BTreeSet;
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
use pynenc_kv::decisions::orchestrator::{self, retired};
use pynenc_kv::local::{Listeners, Watcher};
use pynenc_kv::native::Native;

use crate::shared::Shared;

type State = orchestrator::State<Native, Listeners>;

/// An orchestrator in the memory of this process.
#[derive(Debug)]
pub struct MemOrchestrator {
    state: Shared<State>,
}

impl MemOrchestrator {
    /// An orchestrator without invocations.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { state: Shared::new(clock, State::open(&Native, Listeners::default())) }
    }
}

impl Orchestrator for MemOrchestrator {}

#[async_trait]
impl Component for MemOrchestrator {
    async fn purge(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.effects.dismiss_watchers();
        state.purge()
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl Lifecycle for MemOrchestrator {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        self.state.step(|state, now| registrations.iter().map(|one| state.register(one, now)).collect())
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        self.state.step(|state, now| {
            if !state.may_claim(claim.runner, now)? {
                return Err(retired(claim.runner));
            }
            claim.ids.iter().map(|id| state.claim(*id, claim, now)).collect()
        })
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        self.state.step(|state, now| transitions.iter().map(|one| state.transition(one, now)).collect())
    }

    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>> {
        self.state.step(|state, now| ids.iter().map(|id| state.cancel(*id, now)).collect())
    }

    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
        let state = self.state.lock();
        ids.iter().map(|id| state.tracked(*id)).collect()
    }

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspection>>> {
        self.state.step(|state, now| ids.iter().map(|id| state.inspect(*id, now)).collect())
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        self.state.step(|state, now| state.find(find, now))
    }

    async fn count(&self) -> Result<Counts> {
        self.state.lock().counts()
    }
}

#[async_trait]
impl Waiting for MemOrchestrator {
    async fn block(&self, block: &Block) -> Result<Blocked> {
        self.state.step(|state, now| state.block(block, now))
    }

    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>> {
        let (mut state, watcher) = (self.state.lock(), Watcher::default());
        for id in ids.iter().copied().collect::<BTreeSet<_>>() {
            let record = state.record(id)?.cloned();
            if record.as_ref().is_some_and(|record| !record.status.is_final()) {
                state.effects.watch(id, &watcher);
            } else {
                watcher.report((id, record));
            }
        }
        Ok(watcher.into_stream())
    }
}

#[async_trait]
impl Runners for MemOrchestrator {
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        self.state.step(|state, now| state.heartbeat(heartbeat, now))
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        Ok(self.state.lock().effects.listen(runner))
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        self.state.lock().runners()
    }

    async fn retire_expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        self.state.step(|state, now| state.retire_expired(limit, now))
    }

    async fn acquire_lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        self.state.step(|state, now| state.acquire_lease(service, runner, length, now))
    }
}

#[async_trait]
impl Outbox for MemOrchestrator {
    async fn subscribe(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        self.state.step(|state, now| state.subscribe(interests, now, now + length))
    }

    async fn take_outbox(&self, take: &OutboxTake) -> Result<Vec<OutboxEntry>> {
        self.state.step(|state, now| state.take_outbox(take, now))
    }
}

#[async_trait]
impl Retention for MemOrchestrator {
    async fn outlived(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>> {
        self.state.step(|state, now| state.outlived(limit, again_after, now))
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let mut state = self.state.lock();
        ids.iter().try_for_each(|id| state.forget(*id))
    }
}
