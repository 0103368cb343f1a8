//! Sorted sets over bytes.

use std::marker::PhantomData;
use std::ops::Bound;

use pynenc_core::Result;

use super::access::{key_bytes, read_key};
use super::index::{Index, Range};
use crate::key::Key;
use crate::storage::{Collection, Groups, Set};

/// A sorted set over bytes.
#[derive(Debug)]
pub(crate) struct BytesSet<'t, K> {
    index: Index<'t>,
    keys: PhantomData<fn() -> K>,
}

impl<'t, K: Key> BytesSet<'t, K> {
    pub(super) fn new(index: Index<'t>) -> Self {
        Self { index, keys: PhantomData }
    }
}

impl<K: Key> Collection for BytesSet<'_, K> {
    fn clear(&mut self) -> Result<()> {
        self.index.clear()
    }

    fn flush(&mut self) -> Result<()> {
        self.index.flush()
    }
}

impl<K: Key> Set<K> for BytesSet<'_, K> {
    fn insert(&mut self, key: K) -> Result<()> {
        self.index.set(key_bytes(&key), true);
        Ok(())
    }

    fn remove(&mut self, key: &K) -> Result<()> {
        self.index.set(key_bytes(key), false);
        Ok(())
    }

    fn contains(&self, key: &K) -> Result<bool> {
        self.index.contains(&key_bytes(key))
    }

    fn ascending(&self, begin: Bound<K>) -> impl Iterator<Item = Result<K>> {
        let range = Range { start: begin.map(|key| key_bytes(&key)), end: Bound::Unbounded };
        self.index.ascending(range).map(|key| read_key(&key?))
    }

    fn descending(&self, end: Bound<K>) -> impl Iterator<Item = Result<K>> {
        let range = Range { start: Bound::Unbounded, end: end.map(|key| key_bytes(&key)) };
        self.index.descending(range).map(|key| read_key(&key?))
    }
}

/// Sorted sets by group over bytes.
#[derive(Debug)]
pub(crate) struct BytesGroups<'t, G, K> {
    index: Index<'t>,
    keys: PhantomData<fn() -> (G, K)>,
}

impl<'t, G: Key, K: Key> BytesGroups<'t, G, K> {
    pub(super) fn new(index: Index<'t>) -> Self {
        Self { index, keys: PhantomData }
    }

    fn key(group: &G, key: &K) -> Vec<u8> {
        let mut bytes = key_bytes(group);
        key.write(&mut bytes);
        bytes
    }

    /// The keys of a group from a bound on.
    fn range(group: &G, begin: Bound<K>) -> Range {
        let prefix = key_bytes(group);
        let start = match begin {
            Bound::Included(key) => Bound::Included(Self::key(group, &key)),
            Bound::Excluded(key) => Bound::Excluded(Self::key(group, &key)),
            Bound::Unbounded => Bound::Included(prefix.clone()),
        };
        Range { start, end: behind_prefix(prefix) }
    }
}

/// The bound behind all keys that begin with a prefix.
fn behind_prefix(mut prefix: Vec<u8>) -> Bound<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Bound::Excluded(prefix);
        }
    }
    Bound::Unbounded
}

/// Reads the key behind the group's.
fn read_behind_group<G: Key, K: Key>(bytes: &[u8]) -> Result<K> {
    read_key::<(G, K)>(bytes).map(|(_, key)| key)
}

impl<G: Key, K: Key> Collection for BytesGroups<'_, G, K> {
    fn clear(&mut self) -> Result<()> {
        self.index.clear()
    }

    fn flush(&mut self) -> Result<()> {
        self.index.flush()
    }
}

impl<'t, G: Key, K: Key> Groups<G, K> for BytesGroups<'t, G, K> {
    fn insert(&mut self, group: &G, key: K) -> Result<()> {
        self.index.set(Self::key(group, &key), true);
        Ok(())
    }

    fn remove(&mut self, group: &G, key: &K) -> Result<()> {
        self.index.set(Self::key(group, key), false);
        Ok(())
    }

    fn contains(&self, group: &G, key: &K) -> Result<bool> {
        self.index.contains(&Self::key(group, key))
    }

    fn remove_group(&mut self, group: &G) -> Result<Vec<K>> {
        let mut removed = Vec::new();
        self.pop_first(group, usize::MAX, &mut removed)?;
        Ok(removed)
    }

    fn pop_first(&mut self, group: &G, most: usize, removed: &mut Vec<K>) -> Result<()> {
        for key in self.index.take_first(Self::range(group, Bound::Unbounded), most)? {
            removed.push(read_behind_group::<G, K>(&key)?);
        }
        Ok(())
    }

    fn ascending<'a>(&'a self, group: &G, begin: Bound<K>) -> impl Iterator<Item = Result<K>> + use<'a, 't, G, K> {
        self.index.ascending(Self::range(group, begin)).map(|key| read_behind_group::<G, K>(&key?))
    }

    fn descending<'a>(&'a self, group: &G) -> impl Iterator<Item = Result<K>> + use<'a, 't, G, K> {
        self.index.descending(Self::range(group, Bound::Unbounded)).map(|key| read_behind_group::<G, K>(&key?))
    }

    fn count(&self, group: &G) -> Result<u64> {
        let keys = self.index.ascending(Self::range(group, Bound::Unbounded));
        keys.map(|key| key.map(|_| 1)).sum()
    }

    fn count_up_to(&self, group: &G, most: usize) -> Result<usize> {
        let most = most.saturating_add(1);
        let keys = self.index.ascending(Self::range(group, Bound::Unbounded)).with_page(most).take(most);
        keys.map(|key| key.map(|_| 1)).sum()
    }

    fn first(&self, group: &G) -> Result<Option<K>> {
        let mut keys = self.index.ascending(Self::range(group, Bound::Unbounded)).with_page(1);
        keys.next_key()?.map(|key| read_behind_group::<G, K>(&key)).transpose()
    }
}
