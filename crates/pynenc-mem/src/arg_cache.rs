//! The argument cache in memory: content by its digest.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pynenc_core::{ArgCache, Clock, Component, Digest, Result};
use pynenc_kv::decisions::contents::Contents;
use pynenc_kv::native::Native;
use pynenc_kv::storage::Collection;

use crate::shared::Shared;

/// An argument cache in the memory of this process.
#[derive(Debug)]
pub struct MemArgCache {
    contents: Shared<Contents<Native>>,
}

impl MemArgCache {
    /// An empty cache.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { contents: Shared::new(clock, Contents::open(&Native)) }
    }
}

#[async_trait]
impl Component for MemArgCache {
    async fn purge(&self) -> Result<()> {
        self.contents.lock().clear()
    }
}

#[async_trait]
impl ArgCache for MemArgCache {
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>> {
        self.contents.step(|contents, now| {
            contents.drop_expired(now)?;
            digests.iter().map(|digest| contents.keep(*digest, now + keep, now)).collect()
        })
    }

    async fn put(&self, digest: Digest, content: Bytes, keep: Duration) -> Result<()> {
        self.contents.step(|contents, now| {
            contents.drop_expired(now)?;
            contents.put(digest, &content, now + keep, now)
        })
    }

    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Bytes>> {
        self.contents.step(|contents, now| {
            contents.drop_expired(now)?;
            contents.get(digest, now + keep, now)
        })
    }

    async fn remove(&self, digest: Digest) -> Result<()> {
        self.contents.lock().remove(digest)
    }
}
