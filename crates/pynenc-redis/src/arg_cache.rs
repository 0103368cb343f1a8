//! The argument cache on Redis: large content by its digest.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pynenc_core::{ArgCache, Component, Digest, Result};

use crate::arguments::{BATCH, decimal};
use crate::client::Client;
use crate::codec::millis;
use crate::keys::{Family, Key};
use crate::script;
use crate::store::RedisStore;
use crate::value::{is_one, list, optional};

/// An argument cache on Redis. The server expires content that is no longer used.
#[derive(Debug, Clone)]
pub struct RedisArgCache {
    store: RedisStore,
}

impl RedisArgCache {
    /// An argument cache in this store.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    fn client(&self) -> &Client {
        self.store.client()
    }

    fn key(&self, digest: Digest) -> Vec<u8> {
        self.client().key_of(Key::Content, digest.as_bytes())
    }

    /// Extends the lifetime of content, and reports which content is stored. `is_fresh` content was stored just now.
    async fn extend(&self, digests: &[Digest], keep: Duration, is_fresh: bool) -> Result<Vec<bool>> {
        let mut are_stored = Vec::with_capacity(digests.len());
        for chunk in digests.chunks(BATCH) {
            let mut arguments = vec![lifetime(keep), decimal(is_fresh.into())];
            arguments.extend(chunk.iter().map(|digest| digest.as_bytes().to_vec()));
            let replies = list(self.client().run(&script::RENEW_CONTENT, &arguments).await?)?;
            are_stored.extend(replies.iter().map(is_one));
        }
        Ok(are_stored)
    }
}

#[async_trait]
impl Component for RedisArgCache {
    async fn purge(&self) -> Result<()> {
        self.client().purge(Family::ArgCache).await
    }
}

#[async_trait]
impl ArgCache for RedisArgCache {
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>> {
        self.extend(digests, keep, false).await
    }

    /// Sends content with a plain command: a script's arguments would be sent twice if the server didn't know the
    /// script. Two callers that put the same content write the same bytes, and neither shortens the lifetime.
    async fn put(&self, digest: Digest, content: Bytes, keep: Duration) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(self.key(digest)).arg(&content[..]).arg("NX").arg("PX").arg(lifetime(keep));
        self.client().send(&set).await?;
        self.extend(&[digest], keep, true).await.map(drop)
    }

    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Bytes>> {
        let arguments = [lifetime(keep), digest.as_bytes().to_vec()];
        let read = || async {
            let content = optional(self.client().run(&script::GET_CONTENT, &arguments).await?)?;
            Ok(content.map(Bytes::from))
        };
        self.client().retry_if_garbled(read).await
    }

    async fn remove(&self, digest: Digest) -> Result<()> {
        self.client().send(redis::cmd("UNLINK").arg(self.key(digest))).await.map(drop)
    }
}

/// A lifetime in milliseconds. The server refuses a lifetime of zero.
fn lifetime(keep: Duration) -> Vec<u8> {
    decimal(millis(keep).max(1))
}
