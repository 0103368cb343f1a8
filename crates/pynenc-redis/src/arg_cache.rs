//! Large content, by its digest.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pynenc_core::{ArgCache, Digest, Result};

use crate::client::{BATCH, RedisStore, list, number, optional};
use crate::codec::millis;
use crate::keys::{Family, Key};
use crate::orchestrator::decimal;
use crate::script::Verb;

/// An argument cache on Redis, where the server drops what isn't used any more.
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

    /// Renews, and tells of each whether it is there; what `is_fresh` was written a moment ago.
    async fn renewed(&self, digests: &[Digest], keep: Duration, is_fresh: bool) -> Result<Vec<bool>> {
        let mut are_there = Vec::with_capacity(digests.len());
        for chunk in digests.chunks(BATCH) {
            let mut arguments = vec![decimal(whole(keep)), decimal(is_fresh.into())];
            arguments.extend(chunk.iter().map(|digest| digest.as_bytes().to_vec()));
            for reply in list(self.store.run(Verb::ContentRenew, &arguments).await?)? {
                are_there.push(number(&reply)? == 1);
            }
        }
        Ok(are_there)
    }
}

#[async_trait]
impl ArgCache for RedisArgCache {
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>> {
        self.renewed(digests, keep, false).await
    }

    /// Content goes as an argument of a plain command: one of a script would be sent again if the server didn't know
    /// the script. Two who put the same at once write the same, and neither makes the other's time shorter.
    async fn put(&self, digest: Digest, content: Bytes, keep: Duration) -> Result<()> {
        let mut set = redis::cmd("SET");
        set.arg(self.key(digest)).arg(&content[..]).arg("NX").arg("PX").arg(whole(keep));
        self.store.send(&set).await?;
        self.renewed(&[digest], keep, true).await.map(drop)
    }

    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Bytes>> {
        let arguments = [decimal(whole(keep)), digest.as_bytes().to_vec()];
        let read = || async { Ok(optional(self.store.run(Verb::ContentRead, &arguments).await?)?.map(Bytes::from)) };
        self.store.intact(read).await
    }

    async fn remove(&self, digest: Digest) -> Result<()> {
        self.store.send(redis::cmd("UNLINK").arg(self.key(digest))).await.map(drop)
    }

    async fn purge(&self) -> Result<()> {
        self.store.purge(Family::ArgCache).await
    }
}

/// The server takes no time of zero.
fn whole(keep: Duration) -> u64 {
    millis(keep).max(1)
}
