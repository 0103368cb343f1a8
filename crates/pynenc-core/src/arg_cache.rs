//! Content that is too large to travel with a call.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::id::Digest;

/// Keeps content by its digest.
#[async_trait]
pub trait ArgCache: fmt::Debug + Send + Sync + 'static {
    /// Whether content is to be externalized at all.
    fn is_enabled(&self) -> bool {
        true
    }

    /// Keeps content.
    ///
    /// # Behavior
    ///
    /// - content is read back as it was put
    /// - putting the same content twice keeps it once
    async fn put(&self, digest: Digest, content: Bytes) -> Result<()>;

    /// Reads content.
    ///
    /// # Behavior
    ///
    /// - what is unknown is `None`
    async fn get(&self, digest: Digest) -> Result<Option<Bytes>>;

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

    async fn put(&self, _digest: Digest, _content: Bytes) -> Result<()> {
        Ok(())
    }

    async fn get(&self, _digest: Digest) -> Result<Option<Bytes>> {
        Ok(None)
    }

    async fn purge(&self) -> Result<()> {
        Ok(())
    }
}
