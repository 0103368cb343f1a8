//! Sorted sets over bytes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Bound;

use pynenc_core::Result;

use super::access::{Bytes, key_bytes, read_key};
use crate::key::Key;
use crate::storage::{Collection, Groups, Set};
use crate::table::Table;
use crate::transaction::{KeyRange, Order};

/// The numbers of keys that a scan reads at once: few at first, because most scans end soon.
const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 500;

/// The keys of a table, with the changes that aren't written yet.
pub(super) struct Index<'t> {
    bytes: Bytes<'t>,
    table: Table,
    /// Whether each changed key is in the set now.
    changes: BTreeMap<Vec<u8>, bool>,
}

impl fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<'t> Index<'t> {
    pub(super) fn new(bytes: Bytes<'t>, table: Table) -> Self {
        Self { bytes, table, changes: BTreeMap::new() }
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        match self.changes.get(key) {
            Some(is_in) => Ok(*is_in),
            None => Ok(self.bytes.get(self.table, key)?.is_some()),
        }
    }

    /// The keys of a range, in ascending order.
    fn ascending(&self, range: Range) -> Scan<'_, 't> {
        Scan::new(self, range, Order::Ascending)
    }

    /// The keys of a range, in descending order.
    fn descending(&self, range: Range) -> Scan<'_, 't> {
        Scan::new(self, range, Order::Descending)
    }

    fn clear(&mut self) -> Result<()> {
        self.changes.clear();
        self.bytes.clear(self.table)
    }

    fn flush(&mut self) -> Result<()> {
        for (key, is_in) in std::mem::take(&mut self.changes) {
            if is_in {
                self.bytes.put(self.table, &key, &[])?;
            } else {
                self.bytes.delete(self.table, &key)?;
            }
        }
        Ok(())
    }
}

/// The bounds of a scan.
struct Range {
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
}

impl Range {
    fn key_range(&self, order: Order) -> KeyRange<'_> {
        let (start, end) = (self.start.as_ref().map(|key| &key[..]), self.end.as_ref().map(|key| &key[..]));
        KeyRange { start, end, order }
    }
}

/// A scan of the stored keys, merged with the changes.
struct Scan<'a, 't> {
    index: &'a Index<'t>,
    /// The keys that aren't read yet.
    rest: Range,
    order: Order,
    /// Stored keys, read ahead.
    stored: VecDeque<Vec<u8>>,
    next_page: usize,
    is_at_end: bool,
    changes: Box<dyn Iterator<Item = (&'a Vec<u8>, &'a bool)> + 'a>,
    /// The next change that isn't merged yet.
    change: Option<(&'a Vec<u8>, bool)>,
}

impl<'a, 't> Scan<'a, 't> {
    fn new(index: &'a Index<'t>, rest: Range, order: Order) -> Self {
        let is_at_end = rest.key_range(order).is_empty();
        let mut changes: Box<dyn Iterator<Item = _>> = if is_at_end || index.changes.is_empty() {
            Box::new(std::iter::empty())
        } else {
            let range = index.changes.range((rest.start.clone(), rest.end.clone()));
            if order == Order::Ascending { Box::new(range) } else { Box::new(range.rev()) }
        };
        let change = changes.next().map(|(key, is_in)| (key, *is_in));
        Self { index, rest, order, stored: VecDeque::new(), next_page: FIRST_PAGE, is_at_end, changes, change }
    }

    fn read_ahead(&mut self) -> Result<()> {
        if !self.stored.is_empty() || self.is_at_end {
            return Ok(());
        }
        let page = self.index.bytes.range(self.index.table, self.rest.key_range(self.order), self.next_page)?;
        self.is_at_end = page.len() < self.next_page;
        self.next_page = (self.next_page * 4).min(LARGEST_PAGE);
        self.stored.extend(page.into_iter().map(|(key, _)| key));
        if let Some(last) = self.stored.back().cloned() {
            match self.order {
                Order::Ascending => self.rest.start = Bound::Excluded(last),
                Order::Descending => self.rest.end = Bound::Excluded(last),
            }
        }
        Ok(())
    }

    /// Reads a number of keys at first.
    fn with_page(mut self, keys: usize) -> Self {
        self.next_page = keys.clamp(1, LARGEST_PAGE);
        self
    }

    fn next_key(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            self.read_ahead()?;
            let Some((changed, is_in)) = self.change else { return Ok(self.stored.pop_front()) };
            let is_stored_first = self.stored.front().is_some_and(|stored| match self.order {
                Order::Ascending => stored < changed,
                Order::Descending => stored > changed,
            });
            if is_stored_first {
                return Ok(self.stored.pop_front());
            }
            if self.stored.front() == Some(changed) {
                self.stored.pop_front();
            }
            self.change = self.changes.next().map(|(key, is_in)| (key, *is_in));
            if is_in {
                return Ok(Some(changed.clone()));
            }
        }
    }
}

impl Iterator for Scan<'_, '_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        self.next_key().transpose()
    }
}

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
        self.index.changes.insert(key_bytes(&key), true);
        Ok(())
    }

    fn remove(&mut self, key: &K) -> Result<()> {
        self.index.changes.insert(key_bytes(key), false);
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
        self.index.changes.insert(Self::key(group, &key), true);
        Ok(())
    }

    fn remove(&mut self, group: &G, key: &K) -> Result<()> {
        self.index.changes.insert(Self::key(group, key), false);
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
        let keys = self.index.ascending(Self::range(group, Bound::Unbounded)).with_page(most);
        let first = keys.take(most).collect::<Result<Vec<_>>>()?;
        for key in first {
            removed.push(read_behind_group::<G, K>(&key)?);
            self.index.changes.insert(key, false);
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
