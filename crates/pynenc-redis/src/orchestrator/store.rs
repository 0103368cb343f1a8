//! The orchestrator itself; its parts are in the other files.

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::component::StoreId;
use pynenc_core::{Broker, Component, Lane, Orchestrator, Result, StateBackend};

use crate::client::Client;
use crate::keys::{Family, Key};
use crate::lane::RedisLane;
use crate::store::RedisStore;

/// An orchestrator on Redis.
#[derive(Debug, Clone)]
pub struct RedisOrchestrator {
    pub(super) store: RedisStore,
}

impl RedisOrchestrator {
    /// An orchestrator in this store.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    pub(super) fn client(&self) -> &Client {
        self.store.client()
    }
}

#[async_trait]
impl Component for RedisOrchestrator {
    async fn purge(&self) -> Result<()> {
        self.client().purge(Family::Orchestrator).await?;
        // Another version may use the app now.
        self.client().send(redis::cmd("DEL").arg(self.client().key(Key::Layout))).await?;
        self.store.pubsub().dismiss_watchers();
        let channel = self.client().key(Key::Notifications);
        self.client().send(redis::cmd("PUBLISH").arg(channel).arg("P")).await.map(drop)
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.client().store_id())
    }

    async fn weaknesses(&self) -> Result<Vec<String>> {
        crate::start_check::weaknesses(self.client()).await
    }
}

impl Orchestrator for RedisOrchestrator {
    fn lane(&self, broker: &Arc<dyn Broker>, state: &Arc<dyn StateBackend>) -> Option<Arc<dyn Lane>> {
        let own = self.store_id();
        let is_shared = broker.store_id() == own && state.store_id() == own;
        is_shared.then(|| Arc::new(RedisLane::new(self.store.clone())) as Arc<dyn Lane>)
    }
}
