//! The decisions of the argument cache: content by its digest.

use std::ops::Bound;

use bytes::Bytes;
use pynenc_core::{Digest, Result, Timestamp};

use crate::storage::{Map, Set, Storage, collections};
use crate::table::Table;

/// The number of expired items that one step drops, so that no step is long.
const DROPPED: usize = 100;

collections! {
    /// The data of the argument cache.
    pub struct Contents {
        bytes: S::Map<Digest, Bytes> = map(Table::Content),
        kept: S::Map<Digest, Timestamp> = map(Table::ContentKept),
        ends: S::Set<(Timestamp, Digest)> = set(Table::ContentEnd),
    }
}

impl<S: Storage> Contents<S> {
    /// Extends the lifetime of content. Reports whether the content is stored.
    pub fn keep(&mut self, digest: Digest, until: Timestamp, now: Timestamp) -> Result<bool> {
        let Some(before) = self.kept.get(&digest)?.copied().filter(|until| *until > now) else { return Ok(false) };
        if until > before {
            self.ends.remove(&(before, digest))?;
            self.ends.insert((until, digest))?;
            self.kept.insert(digest, until)?;
        }
        Ok(true)
    }

    /// Stores content.
    pub fn put(&mut self, digest: Digest, content: &Bytes, until: Timestamp, now: Timestamp) -> Result<()> {
        if self.keep(digest, until, now)? || until <= now {
            return Ok(());
        }
        self.remove(digest)?;
        self.bytes.insert(digest, content.clone())?;
        self.kept.insert(digest, until)?;
        self.ends.insert((until, digest))
    }

    /// Reads content, and extends its lifetime.
    pub fn get(&mut self, digest: Digest, until: Timestamp, now: Timestamp) -> Result<Option<Bytes>> {
        if !self.keep(digest, until, now)? {
            return Ok(None);
        }
        Ok(self.bytes.get(&digest)?.cloned())
    }

    /// Removes content.
    pub fn remove(&mut self, digest: Digest) -> Result<()> {
        let Some(until) = self.kept.remove(&digest)? else { return Ok(()) };
        self.bytes.delete(digest)?;
        self.ends.remove(&(until, digest))
    }

    /// Drops content whose time is over.
    pub fn drop_expired(&mut self, now: Timestamp) -> Result<()> {
        let mut expired = Vec::new();
        for end in self.ends.ascending(Bound::Unbounded).take(DROPPED) {
            let (until, digest) = end?;
            if until > now {
                break;
            }
            expired.push(digest);
        }
        expired.into_iter().try_for_each(|digest| self.remove(digest))
    }
}
