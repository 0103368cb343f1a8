//! Sorted sets by group over bytes, with the number of keys of each group.

use std::ops::Bound;

use pynenc_core::Result;

use super::sets::BytesGroups;
use super::table::BytesMap;
use crate::key::Key;
use crate::storage::{Collection, Groups, Map};

/// Sorted sets by group, whose counts are read without reading the keys.
#[derive(Debug)]
pub(crate) struct BytesCounted<'t, G, K> {
    keys: BytesGroups<'t, G, K>,
    counts: BytesMap<'t, G, u64>,
}

impl<'t, G: Key, K: Key> BytesCounted<'t, G, K> {
    pub(super) fn new(keys: BytesGroups<'t, G, K>, counts: BytesMap<'t, G, u64>) -> Self {
        Self { keys, counts }
    }

    /// Counts keys less. A group without keys has no count.
    fn count_less(&mut self, group: &G, removed: usize) -> Result<()> {
        let left = self.count(group)?.saturating_sub(removed as u64);
        match left {
            0 => self.counts.delete(group.clone()),
            left => self.counts.insert(group.clone(), left),
        }
    }
}

impl<G: Key, K: Key> Collection for BytesCounted<'_, G, K> {
    fn clear(&mut self) -> Result<()> {
        self.keys.clear()?;
        self.counts.clear()
    }

    fn flush(&mut self) -> Result<()> {
        self.keys.flush()?;
        self.counts.flush()
    }
}

impl<'t, G: Key, K: Key> Groups<G, K> for BytesCounted<'t, G, K> {
    fn insert(&mut self, group: &G, key: K) -> Result<()> {
        *self.counts.get_or_insert_with(group, u64::default)? += 1;
        self.keys.insert(group, key)
    }

    fn remove(&mut self, group: &G, key: &K) -> Result<()> {
        self.count_less(group, 1)?;
        self.keys.remove(group, key)
    }

    fn contains(&self, group: &G, key: &K) -> Result<bool> {
        self.keys.contains(group, key)
    }

    fn remove_group(&mut self, group: &G) -> Result<Vec<K>> {
        self.counts.delete(group.clone())?;
        self.keys.remove_group(group)
    }

    fn pop_first(&mut self, group: &G, most: usize, removed: &mut Vec<K>) -> Result<()> {
        if most == 0 || self.count(group)? == 0 {
            return Ok(());
        }
        let before = removed.len();
        self.keys.pop_first(group, most, removed)?;
        self.count_less(group, removed.len() - before)
    }

    fn ascending<'a>(&'a self, group: &G, begin: Bound<K>) -> impl Iterator<Item = Result<K>> + use<'a, 't, G, K> {
        self.keys.ascending(group, begin)
    }

    fn descending<'a>(&'a self, group: &G) -> impl Iterator<Item = Result<K>> + use<'a, 't, G, K> {
        self.keys.descending(group)
    }

    fn count(&self, group: &G) -> Result<u64> {
        Ok(self.counts.get(group)?.copied().unwrap_or_default())
    }

    fn count_up_to(&self, group: &G, _: usize) -> Result<usize> {
        self.count(group).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn first(&self, group: &G) -> Result<Option<K>> {
        if self.count(group)? == 0 { Ok(None) } else { self.keys.first(group) }
    }
}
