//! The argument cache: large values that are stored once and referenced by their digest.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::component::Component;
use crate::error::Result;
use crate::id::Digest;

/// Stores content by its digest, and drops content some time after its last use.
///
/// # Behavior
///
/// - after a purge the cache is empty
#[async_trait]
pub trait ArgCache: Component {
    /// Reports which content is stored, and extends its lifetime. Callers ask before they send content.
    ///
    /// # Behavior
    ///
    /// - stored content is reported as stored, and unknown content isn't
    /// - a renewal keeps stored content for at least `keep` from now
    async fn renew(&self, digests: &[Digest], keep: Duration) -> Result<Vec<bool>>;

    /// Stores content.
    ///
    /// # Behavior
    ///
    /// - content is read back as it was put
    /// - putting the same content twice stores it once
    /// - content expires when it wasn't used for its lifetime
    /// - no use shortens the lifetime of content
    async fn put(&self, digest: Digest, content: Bytes, keep: Duration) -> Result<()>;

    /// Reads content.
    ///
    /// # Behavior
    ///
    /// - reading unknown content gives `None`
    /// - a read keeps content for at least `keep` from now
    async fn get(&self, digest: Digest, keep: Duration) -> Result<Option<Bytes>>;

    /// Removes content, for example content that was altered. The next call that needs it puts it again.
    ///
    /// # Behavior
    ///
    /// - removed content is unknown, and other content stays
    async fn remove(&self, digest: Digest) -> Result<()>;
}
