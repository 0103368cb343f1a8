//! The orchestrator over a key-value store.

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
use pynenc_core::{Broker, Component, InvocationId, Lane, Orchestrator, Result, RunnerId, StateBackend, Timestamp};

use crate::decisions::orchestrator::{self, retired};
use crate::local::Watcher;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::key_value::{Durability, Topic};
use crate::stores::lane::KvLane;
use crate::stores::store::{KvStore, MANY, with};

/// An orchestrator over a key-value store.
#[derive(Debug, Clone)]
pub struct KvOrchestrator {
    store: KvStore,
}

type State<'t, 'c> = orchestrator::State<Bytes<'t>, &'c mut Committed>;

impl KvOrchestrator {
    /// The orchestrator of a store.
    pub fn new(store: KvStore) -> Self {
        Self { store }
    }

    async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        items: usize,
        mut step: impl FnMut(&mut State<'_, '_>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run = move |bytes: Bytes<'_>, now: Timestamp, committed: &mut Committed| {
            with(State::open(&bytes, committed), |state| step(state, now))
        };
        self.store.write(durability, items, run).await
    }

    async fn read<R: Send + 'static>(
        &self,
        items: usize,
        mut step: impl FnMut(&mut State<'_, '_>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run =
            move |bytes: Bytes<'_>, now: Timestamp| step(&mut State::open(&bytes, &mut Committed::default()), now);
        self.store.read(items, run).await
    }
}

impl Orchestrator for KvOrchestrator {
    fn lane(&self, broker: &Arc<dyn Broker>, state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        let id = Some(self.store.id());
        let is_shared = broker.store_id() == id && state.store_id() == id;
        is_shared.then(|| Arc::new(KvLane::new(self.store.clone())) as Arc<dyn Lane>)
    }
}

#[async_trait]
impl Component for KvOrchestrator {
    async fn purge(&self) -> Result<()> {
        self.write(Durability::Power, MANY, |state, _| state.purge()).await?;
        self.store.process().listeners().dismiss_watchers();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }

    async fn weaknesses(&self) -> Result<Vec<String>> {
        self.store.data().weaknesses().await
    }
}

#[async_trait]
impl Lifecycle for KvOrchestrator {
    async fn register(&self, registrations: &[Registration]) -> Result<Vec<Registered>> {
        let registrations = registrations.to_vec();
        self.write(Durability::Power, registrations.len(), move |state, now| {
            registrations.iter().map(|one| state.register(one, now)).collect()
        })
        .await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<ClaimReply>> {
        let claim = claim.clone();
        let (runner, items) = (claim.runner, claim.ids.len());
        let step = move |state: &mut State<'_, '_>, now| {
            if !state.may_claim(claim.runner, now)? {
                return Ok(None);
            }
            claim.ids.iter().map(|id| state.claim(*id, &claim, now)).collect::<Result<Vec<_>>>().map(Some)
        };
        self.write(Durability::Process, items, step).await?.ok_or_else(|| retired(runner))
    }

    async fn transition(&self, transitions: &[Transition]) -> Result<Vec<TransitionReply>> {
        let transitions = transitions.to_vec();
        self.write(Durability::Power, transitions.len(), move |state, now| {
            transitions.iter().map(|one| state.transition(one, now)).collect()
        })
        .await
    }

    async fn cancel(&self, ids: &[InvocationId]) -> Result<Vec<CancelReply>> {
        let ids = ids.to_vec();
        self.write(Durability::Power, ids.len(), move |state, now| {
            ids.iter().map(|id| state.cancel(*id, now)).collect()
        })
        .await
    }

    async fn records(&self, ids: &[InvocationId]) -> Result<Vec<Option<Tracked>>> {
        let ids = ids.to_vec();
        self.read(ids.len(), move |state, _| ids.iter().map(|id| state.tracked(*id)).collect()).await
    }

    async fn inspect(&self, ids: &[InvocationId]) -> Result<Vec<Option<Inspection>>> {
        let ids = ids.to_vec();
        self.read(ids.len(), move |state, now| ids.iter().map(|id| state.inspect(*id, now)).collect()).await
    }

    async fn find(&self, find: &Find) -> Result<Page<Tracked>> {
        let find = find.clone();
        self.read(MANY, move |state, now| state.find(&find, now)).await
    }

    async fn count(&self) -> Result<Counts> {
        self.read(MANY, |state, _| state.counts()).await
    }
}

#[async_trait]
impl Waiting for KvOrchestrator {
    async fn block(&self, block: &Block) -> Result<Blocked> {
        let block = block.clone();
        self.write(Durability::Process, block.on.len(), move |state, now| state.block(&block, now)).await
    }

    /// The watchers are added before the states are read, so no completion comes between.
    async fn watch(&self, ids: &[InvocationId]) -> Result<BoxStream<'static, Completion>> {
        let process = self.store.process();
        process.subscribe(Topic::Completions, self.store.data());
        let ids: Vec<InvocationId> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let watcher = Watcher::default();
        ids.iter().for_each(|id| process.listeners().watch(*id, &watcher));
        let items = ids.len();
        let step = move |state: &mut State<'_, '_>, _| {
            ids.iter().map(|id| Ok((*id, state.record(*id)?.cloned()))).collect::<Result<Vec<_>>>()
        };
        let found = self.read(items, step).await?;
        let mut listeners = process.listeners();
        found.into_iter().for_each(|(id, record)| listeners.found_by(&watcher, id, record));
        Ok(watcher.into_stream())
    }
}

#[async_trait]
impl Runners for KvOrchestrator {
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply> {
        let heartbeat = heartbeat.clone();
        self.write(Durability::Process, 1, move |state, now| state.heartbeat(&heartbeat, now)).await
    }

    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>> {
        self.store.process().subscribe(Topic::Signals, self.store.data());
        Ok(self.store.process().listeners().listen(runner))
    }

    async fn runners(&self) -> Result<Vec<RunnerInfo>> {
        self.read(MANY, |state, _| state.runners()).await
    }

    async fn retire_expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>> {
        self.write(Durability::Process, MANY, move |state, now| state.retire_expired(limit, now)).await
    }

    async fn acquire_lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool> {
        let service = service.to_owned();
        self.write(Durability::Process, 1, move |state, now| state.acquire_lease(&service, runner, length, now)).await
    }
}

#[async_trait]
impl Outbox for KvOrchestrator {
    async fn subscribe(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        let interests = interests.to_vec();
        self.write(Durability::Power, MANY, move |state, now| state.subscribe(&interests, now, now + length)).await
    }

    async fn take_outbox(&self, take: &OutboxTake) -> Result<Vec<OutboxEntry>> {
        let take = take.clone();
        self.write(Durability::Process, MANY, move |state, now| state.take_outbox(&take, now)).await
    }
}

#[async_trait]
impl Retention for KvOrchestrator {
    async fn outlived(&self, limit: usize, again_after: Duration) -> Result<Vec<InvocationId>> {
        self.write(Durability::Process, MANY, move |state, now| state.outlived(limit, again_after, now)).await
    }

    async fn forget(&self, ids: &[InvocationId]) -> Result<()> {
        let ids = ids.to_vec();
        self.write(Durability::Process, MANY, move |state, _| ids.iter().try_for_each(|id| state.forget(*id))).await
    }
}
