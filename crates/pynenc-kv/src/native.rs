//! Collections in the memory of this process. Nothing is encoded, and no operation fails.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::ops::Bound;

use pynenc_core::Result;
use rustc_hash::FxHashMap;

use crate::key::Key;
use crate::ordered::Ordered;
use crate::storage::{Cell, Collection, Groups, Map, Set, Storage, Value};
use crate::table::Table;

/// The collections of this process's memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Native;

impl Storage for Native {
    type Cell<T: Value + Default> = NativeCell<T>;
    type Map<K: Key, V: Value> = FxHashMap<K, V>;
    type Set<K: Key> = Ordered<K>;
    type Groups<G: Key, K: Key> = NativeGroups<G, K>;
    type Counted<G: Key, K: Key> = NativeGroups<G, K>;

    fn cell<T: Value + Default>(&self, _: &'static str) -> NativeCell<T> {
        NativeCell::default()
    }

    fn map<K: Key, V: Value>(&self, _: Table) -> FxHashMap<K, V> {
        FxHashMap::default()
    }

    fn set<K: Key>(&self, _: Table) -> Ordered<K> {
        Ordered::default()
    }

    fn groups<G: Key, K: Key>(&self, _: Table) -> NativeGroups<G, K> {
        NativeGroups(FxHashMap::default())
    }

    fn counted<G: Key, K: Key>(&self, _: (Table, Table)) -> NativeGroups<G, K> {
        NativeGroups(FxHashMap::default())
    }
}

/// One value in memory.
#[derive(Debug, Default)]
pub struct NativeCell<T>(T);

impl<T: Value + Default> Collection for NativeCell<T> {
    fn clear(&mut self) -> Result<()> {
        *self = Self::default();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T: Value + Default> Cell<T> for NativeCell<T> {
    #[inline]
    fn get(&self) -> Result<&T> {
        Ok(&self.0)
    }

    #[inline]
    fn get_mut(&mut self) -> Result<&mut T> {
        Ok(&mut self.0)
    }
}

impl<K: Key, V: Value, H: BuildHasher + Default> Collection for HashMap<K, V, H> {
    fn clear(&mut self) -> Result<()> {
        *self = Self::default();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<K: Key, V: Value, H: BuildHasher + Default> Map<K, V> for HashMap<K, V, H> {
    #[inline]
    fn get(&self, key: &K) -> Result<Option<&V>> {
        Ok(self.get(key))
    }

    #[inline]
    fn get_mut(&mut self, key: &K) -> Result<Option<&mut V>> {
        Ok(self.get_mut(key))
    }

    #[inline]
    fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> Result<&mut V> {
        Ok(self.entry(key.clone()).or_insert_with(make))
    }

    #[inline]
    fn insert(&mut self, key: K, value: V) -> Result<()> {
        self.insert(key, value);
        Ok(())
    }

    #[inline]
    fn remove(&mut self, key: &K) -> Result<Option<V>> {
        Ok(self.remove(key))
    }

    #[inline]
    fn delete(&mut self, key: K) -> Result<()> {
        self.remove(&key);
        Ok(())
    }

    fn keys(&mut self) -> Result<Vec<K>> {
        let mut keys: Vec<K> = HashMap::keys(self).cloned().collect();
        keys.sort_unstable();
        Ok(keys)
    }
}

impl<K: Key> Collection for Ordered<K> {
    fn clear(&mut self) -> Result<()> {
        *self = Self::default();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<K: Key> Set<K> for Ordered<K> {
    #[inline]
    fn insert(&mut self, key: K) -> Result<()> {
        self.insert(key);
        Ok(())
    }

    #[inline]
    fn remove(&mut self, key: &K) -> Result<()> {
        self.remove(key);
        Ok(())
    }

    #[inline]
    fn contains(&self, key: &K) -> Result<bool> {
        Ok(self.contains(key))
    }

    #[inline]
    fn ascending(&self, begin: Bound<K>) -> impl Iterator<Item = Result<K>> {
        self.ascending(begin).map(|key| Ok(key.clone()))
    }

    #[inline]
    fn descending(&self, end: Bound<K>) -> impl Iterator<Item = Result<K>> {
        self.descending(end).map(|key| Ok(key.clone()))
    }
}

/// The number of groups that stay although they have no keys: a queue is often empty for a moment.
const KEPT: usize = 64;

/// Sorted sets by group. Groups without keys leave no memory behind, but for a few.
#[derive(Debug)]
pub struct NativeGroups<G, K>(FxHashMap<G, Ordered<K>>);

impl<G: Hash + Eq, K: Ord + Clone> NativeGroups<G, K> {
    /// Whether to drop a group that has no keys.
    fn has_enough(&self) -> bool {
        self.0.len() > KEPT
    }
}

impl<G: Key, K: Key> Collection for NativeGroups<G, K> {
    fn clear(&mut self) -> Result<()> {
        self.0 = FxHashMap::default();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<G: Key, K: Key> Groups<G, K> for NativeGroups<G, K> {
    #[inline]
    fn insert(&mut self, group: &G, key: K) -> Result<()> {
        match self.0.get_mut(group) {
            Some(keys) => keys.insert(key),
            None => self.0.entry(group.clone()).or_default().insert(key),
        }
        Ok(())
    }

    #[inline]
    fn remove(&mut self, group: &G, key: &K) -> Result<()> {
        if let Some(keys) = self.0.get_mut(group) {
            keys.remove(key);
            if keys.is_empty() && self.has_enough() {
                self.0.remove(group);
            }
        }
        Ok(())
    }

    fn contains(&self, group: &G, key: &K) -> Result<bool> {
        Ok(self.0.get(group).is_some_and(|keys| keys.contains(key)))
    }

    fn remove_group(&mut self, group: &G) -> Result<Vec<K>> {
        let keys = self.0.remove(group);
        Ok(keys.iter().flat_map(|keys| keys.ascending(Bound::Unbounded)).cloned().collect())
    }

    #[inline]
    fn pop_first(&mut self, group: &G, most: usize, removed: &mut Vec<K>) -> Result<()> {
        if let Some(keys) = self.0.get_mut(group) {
            removed.extend(std::iter::from_fn(|| keys.pop_first()).take(most));
            if keys.is_empty() && self.has_enough() {
                self.0.remove(group);
            }
        }
        Ok(())
    }

    #[inline]
    fn ascending<'a>(&'a self, group: &G, begin: Bound<K>) -> impl Iterator<Item = Result<K>> + use<'a, G, K> {
        let keys = self.0.get(group).into_iter();
        keys.flat_map(move |keys| keys.ascending(begin.clone())).map(|key| Ok(key.clone()))
    }

    fn descending<'a>(&'a self, group: &G) -> impl Iterator<Item = Result<K>> + use<'a, G, K> {
        let keys = self.0.get(group).into_iter();
        keys.flat_map(|keys| keys.descending(Bound::Unbounded)).map(|key| Ok(key.clone()))
    }

    #[inline]
    fn count(&self, group: &G) -> Result<u64> {
        Ok(self.0.get(group).map_or(0, Ordered::len) as u64)
    }

    #[inline]
    fn count_up_to(&self, group: &G, _: usize) -> Result<usize> {
        Ok(self.0.get(group).map_or(0, Ordered::len))
    }

    #[inline]
    fn first(&self, group: &G) -> Result<Option<K>> {
        Ok(self.0.get(group).and_then(Ordered::first).cloned())
    }
}
