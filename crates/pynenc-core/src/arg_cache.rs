//! Content that is too large to travel with a call.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::id::Digest;

/// Keeps content by its digest, for some time after its last use.
#[async_trait]
pub trait ArgCache: fmt::Debug + Send + Sync + 'static {
    /// Whether content is to be externalized at all.
    fn is_enabled(&self) -> bool {
        true
    }

    /// Tells which content is there, before anybody sends it, and keeps that.
    ///
    /// # Behavior
    ///
    /// - what was put is there, and what is unknown isn't
    /// - what is there is kept for at least `keep` from now
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>>;

    /// Keeps content.
    ///
    /// # Behavior
    ///
    /// - content is read back as it was put
    /// - putting the same content twice keeps it once
    /// - content goes when it wasn't used for as long as it was to be kept
    /// - no use makes the time shorter for which content is kept
    async fn put(&self, digest: Digest, content: Bytes, keep: Duration) -> Result<()>;

    /// Reads content.
    ///
    /// # Behavior
    ///
    /// - what is unknown is `None`
    /// - what is read is kept for at least `keep` from now
    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Bytes>>;

    /// Drops content, such as one that was altered: the next call that has it puts it again.
    ///
    /// # Behavior
    ///
    /// - what is removed is unknown, and the rest stays
    async fn remove(&self, digest: Digest) -> Result<()>;

    /// Forgets everything.
    ///
    /// # Behavior
    ///
    /// - after a purge nothing is known
    async fn purge(&self) -> Result<()>;
}

/// The argument cache that keeps nothing: every argument travels with its call.
#[derive(Debug, Clone, Copy, Default)]
pub struct DisabledArgCache;

#[async_trait]
impl ArgCache for DisabledArgCache {
    fn is_enabled(&self) -> bool {
        false
    }

    async fn renew(&self, digests: &[Digest], _keep: Duration) -> Result<Vec<bool>> {
        Ok(vec![false; digests.len()])
    }

    async fn put(&self, _digest: Digest, _content: Bytes, _keep: Duration) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _digest: Digest, _keep: Duration) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn remove(&self, _digest: Digest) -> Result<()> {
        Ok(())
    }

    async fn purge(&self) -> Result<()> {
        Ok(())
    }
}
