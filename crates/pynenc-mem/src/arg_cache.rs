//! Large arguments, by their digest.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use pynenc_core::{ArgCache, Digest, Result};
use rustc_hash::FxHashMap;

/// An argument cache that lives in this process.
#[derive(Default)]
pub struct MemArgCache {
    contents: Mutex<FxHashMap<Digest, Bytes>>,
}

impl MemArgCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    fn contents(&self) -> MutexGuard<'_, FxHashMap<Digest, Bytes>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemArgCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemArgCache").field("contents", &self.contents().len()).finish()
    }
}

#[async_trait]
impl ArgCache for MemArgCache {
    async fn put(&self, digest: Digest, content: Bytes) -> Result<()> {
        self.contents().entry(digest).or_insert(content);
        Ok(())
    }

    async fn get(&self, digest: Digest) -> Result<Option<Bytes>> {
        Ok(self.contents().get(&digest).cloned())
    }

    async fn purge(&self) -> Result<()> {
        self.contents().clear();
        Ok(())
    }
}
