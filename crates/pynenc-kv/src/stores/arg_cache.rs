//! The argument cache over a key-value store.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes as Content;
use pynenc_core::component::StoreId;
use pynenc_core::{ArgCache, Component, Digest, Result, Timestamp};

use crate::decisions::contents::Contents;
use crate::storage::Collection;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::key_value::Durability;
use crate::stores::store::{KvStore, with};

/// An argument cache over a key-value store.
#[derive(Debug, Clone)]
pub struct KvArgCache {
    store: KvStore,
}

impl KvArgCache {
    /// The argument cache of a store.
    pub fn new(store: KvStore) -> Self {
        Self { store }
    }

    async fn write<R: Send + 'static>(
        &self,
        durability: Durability,
        mut step: impl FnMut(&mut Contents<Bytes<'_>>, Timestamp) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run = move |bytes: Bytes<'_>, now: Timestamp, _: &mut Committed| {
            with(Contents::open(&bytes), |contents| step(contents, now))
        };
        self.store.write(durability, run).await
    }
}

#[async_trait]
impl Component for KvArgCache {
    async fn purge(&self) -> Result<()> {
        self.write(Durability::Power, |contents, _| contents.clear()).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

#[async_trait]
impl ArgCache for KvArgCache {
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>> {
        let digests = digests.to_vec();
        self.write(Durability::Power, move |contents, now| {
            digests.iter().map(|digest| contents.keep(*digest, now + keep, now)).collect()
        })
        .await
    }

    async fn put(&self, digest: Digest, content: Content, keep: Duration) -> Result<()> {
        self.write(Durability::Power, move |contents, now| {
            contents.drop_expired(now)?;
            contents.put(digest, &content, now + keep, now)
        })
        .await
    }

    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Content>> {
        self.write(Durability::Process, move |contents, now| contents.get(digest, now + keep, now)).await
    }

    async fn remove(&self, digest: Digest) -> Result<()> {
        self.write(Durability::Process, move |contents, _| contents.remove(digest)).await
    }
}
