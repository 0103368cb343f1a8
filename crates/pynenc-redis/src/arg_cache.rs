//! Large arguments, by their digest.

use async_trait::async_trait;
use bytes::Bytes;
use pynenc_core::{ArgCache, Digest, Result};

use crate::client::{RedisStore, is_one, optional};
use crate::keys::{Family, Key};

/// An argument cache on Redis. Content goes when it wasn't used for the length of `redis.content_ttl`.
#[derive(Debug, Clone)]
pub struct RedisArgCache {
    store: RedisStore,
}

impl RedisArgCache {
    /// An argument cache on this server.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    fn key(&self, digest: Digest) -> Vec<u8> {
        self.store.of(Key::Content, digest.as_bytes())
    }

    fn seconds(&self) -> u64 {
        self.store.config().content_ttl.as_secs().max(1)
    }
}

#[async_trait]
impl ArgCache for RedisArgCache {
    async fn put(&self, digest: Digest, content: Bytes) -> Result<()> {
        let key = self.key(digest);
        // Asked first, so that content which is there travels no second time.
        if is_one(&self.store.send(redis::cmd("EXPIRE").arg(&key).arg(self.seconds())).await?) {
            return Ok(());
        }
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&content[..]).arg("EX").arg(self.seconds());
        self.store.send(&set).await.map(drop)
    }

    async fn get(&self, digest: Digest) -> Result<Option<Bytes>> {
        let mut read = redis::cmd("GETEX");
        read.arg(self.key(digest)).arg("EX").arg(self.seconds());
        Ok(optional(self.store.send(&read).await?)?.map(Bytes::from))
    }

    async fn purge(&self) -> Result<()> {
        self.store.purge(Family::ArgCache).await
    }
}
