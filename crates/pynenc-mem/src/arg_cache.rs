//! The argument cache in memory: content by its digest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pynenc_core::{ArgCache, Clock, Component, Digest, Result, Timestamp};
use rustc_hash::FxHashMap;

use crate::shared::Shared;

/// An argument cache in the memory of this process.
#[derive(Debug)]
pub struct MemArgCache {
    contents: Shared<Contents>,
}

impl MemArgCache {
    /// An empty cache.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { contents: Shared::new(clock) }
    }

    fn step<R>(&self, step: impl FnOnce(&mut Contents, Timestamp) -> R) -> R {
        self.contents.step(|contents, now| {
            contents.drop_expired(now);
            step(contents, now)
        })
    }
}

#[async_trait]
impl Component for MemArgCache {
    async fn purge(&self) -> Result<()> {
        *self.contents.lock() = Contents::default();
        Ok(())
    }
}

#[async_trait]
impl ArgCache for MemArgCache {
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>> {
        Ok(self.step(|contents, now| digests.iter().map(|digest| contents.keep(*digest, now + keep)).collect()))
    }

    async fn put(&self, digest: Digest, content: Bytes, keep: Duration) -> Result<()> {
        self.step(|contents, now| {
            contents.kept.entry(digest).or_insert(Kept { content, until: now });
            contents.keep(digest, now + keep);
        });
        Ok(())
    }

    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Bytes>> {
        Ok(self.step(|contents, now| {
            contents.keep(digest, now + keep);
            contents.kept.get(&digest).map(|kept| kept.content.clone())
        }))
    }

    async fn remove(&self, digest: Digest) -> Result<()> {
        self.step(|contents, _| contents.remove(digest));
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Contents {
    kept: FxHashMap<Digest, Kept>,
    expiries: BTreeSet<(Timestamp, Digest)>,
}

#[derive(Debug)]
struct Kept {
    content: Bytes,
    until: Timestamp,
}

impl Contents {
    /// Extends the lifetime of content. Reports whether the content is stored.
    fn keep(&mut self, digest: Digest, until: Timestamp) -> bool {
        let Some(kept) = self.kept.get_mut(&digest) else { return false };
        if until > kept.until {
            self.expiries.remove(&(kept.until, digest));
            kept.until = until;
            self.expiries.insert((until, digest));
        }
        true
    }

    fn remove(&mut self, digest: Digest) {
        if let Some(kept) = self.kept.remove(&digest) {
            self.expiries.remove(&(kept.until, digest));
        }
    }

    fn drop_expired(&mut self, now: Timestamp) {
        while let Some((until, digest)) = self.expiries.first().copied().filter(|(until, _)| *until <= now) {
            self.expiries.remove(&(until, digest));
            self.kept.remove(&digest);
        }
    }
}
