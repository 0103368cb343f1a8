//! Values over bytes: single ones, and maps.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;

use elsa::FrozenMap;
use pynenc_core::packed::{Packed, unpack};
use pynenc_core::{Error, Result};
use rustc_hash::FxBuildHasher;

use super::access::{Bytes, key_bytes, read_key};
use crate::key::Key;
use crate::storage::{Cell, Collection, Map, Value};
use crate::stores::transaction::{KeyRange, Order};
use crate::table::Table;

/// The first byte of each value. Another layout of a value's fields gets another number.
const LAYOUT: u8 = 2;

/// The number of keys that are read at once.
const PAGE: usize = 500;

fn encode<T: Packed>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(LAYOUT);
    value.pack(&mut bytes);
    bytes
}

fn decode<T: Packed>(bytes: &[u8], table: Table) -> Result<T> {
    let value = match bytes.split_first() {
        Some((&LAYOUT, value)) => unpack(value),
        Some((layout, _)) => Err(Error::corrupt("a stored value has a layout that this version doesn't know")
            .with("layout", layout)
            .with("known", LAYOUT)),
        None => Err(Error::corrupt("a stored value is empty")),
    };
    value.map_err(|error| error.with("table", table.name()))
}

/// A value as it was read, or as it has to be written.
struct Slot<V> {
    value: Option<V>,
    is_changed: bool,
}

/// A single value over bytes.
pub(crate) struct BytesCell<'t, T> {
    bytes: Bytes<'t>,
    name: &'static str,
    value: OnceCell<T>,
    is_changed: bool,
}

impl<T> fmt::Debug for BytesCell<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesCell").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'t, T> BytesCell<'t, T> {
    pub(super) fn new(bytes: Bytes<'t>, name: &'static str) -> Self {
        Self { bytes, name, value: OnceCell::new(), is_changed: false }
    }
}

impl<T: Value + Default> BytesCell<'_, T> {
    fn load(&self) -> Result<&T> {
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let stored = self.bytes.get(Table::Meta, self.name.as_bytes())?;
        let value = stored.map(|bytes| decode(&bytes, Table::Meta)).transpose()?;
        Ok(self.value.get_or_init(|| value.unwrap_or_default()))
    }
}

impl<T: Value + Default> Collection for BytesCell<'_, T> {
    fn clear(&mut self) -> Result<()> {
        self.value = OnceCell::from(T::default());
        self.is_changed = true;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_changed) {
            self.bytes.put(Table::Meta, self.name.as_bytes(), &encode(self.load()?))?;
        }
        Ok(())
    }
}

impl<T: Value + Default> Cell<T> for BytesCell<'_, T> {
    fn get(&self) -> Result<&T> {
        self.load()
    }

    fn get_mut(&mut self) -> Result<&mut T> {
        self.load()?;
        self.is_changed = true;
        Ok(self.value.get_mut().expect("the value was loaded"))
    }
}

/// A map over bytes.
pub(crate) struct BytesMap<'t, K, V> {
    bytes: Bytes<'t>,
    table: Table,
    cache: FrozenMap<K, Box<Slot<V>>, FxBuildHasher>,
}

impl<K, V> fmt::Debug for BytesMap<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesMap").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<'t, K: Key, V: Value> BytesMap<'t, K, V> {
    pub(super) fn new(bytes: Bytes<'t>, table: Table) -> Self {
        Self { bytes, table, cache: FrozenMap::default() }
    }

    fn load(&self, key: &K) -> Result<&Slot<V>> {
        if let Some(slot) = self.cache.get(key) {
            return Ok(slot);
        }
        let stored = self.bytes.get(self.table, &key_bytes(key))?;
        let value = stored.map(|bytes| decode(&bytes, self.table)).transpose()?;
        Ok(self.cache.insert(key.clone(), Box::new(Slot { value, is_changed: false })))
    }

    fn load_mut(&mut self, key: &K) -> Result<&mut Slot<V>> {
        self.load(key)?;
        Ok(self.cache.as_mut().get_mut(key).expect("the value was loaded"))
    }
}

impl<K: Key, V: Value> Collection for BytesMap<'_, K, V> {
    fn clear(&mut self) -> Result<()> {
        self.cache.as_mut().clear();
        self.bytes.delete_range(self.table, KeyRange::ALL)
    }

    fn flush(&mut self) -> Result<()> {
        for (key, slot) in self.cache.as_mut().iter_mut().filter(|(_, slot)| slot.is_changed) {
            match &slot.value {
                Some(value) => self.bytes.put(self.table, &key_bytes(key), &encode(value))?,
                None => self.bytes.delete(self.table, &key_bytes(key))?,
            }
            slot.is_changed = false;
        }
        Ok(())
    }
}

impl<K: Key, V: Value> Map<K, V> for BytesMap<'_, K, V> {
    fn get(&self, key: &K) -> Result<Option<&V>> {
        Ok(self.load(key)?.value.as_ref())
    }

    fn get_mut(&mut self, key: &K) -> Result<Option<&mut V>> {
        let slot = self.load_mut(key)?;
        slot.is_changed |= slot.value.is_some();
        Ok(slot.value.as_mut())
    }

    fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> Result<&mut V> {
        let slot = self.load_mut(key)?;
        slot.is_changed = true;
        Ok(slot.value.get_or_insert_with(make))
    }

    fn insert(&mut self, key: K, value: V) -> Result<()> {
        self.cache.as_mut().insert(key, Box::new(Slot { value: Some(value), is_changed: true }));
        Ok(())
    }

    fn remove(&mut self, key: &K) -> Result<Option<V>> {
        let slot = self.load_mut(key)?;
        slot.is_changed |= slot.value.is_some();
        Ok(slot.value.take())
    }

    fn delete(&mut self, key: K) -> Result<()> {
        self.cache.as_mut().insert(key, Box::new(Slot { value: None, is_changed: true }));
        Ok(())
    }

    fn keys(&mut self) -> Result<Vec<K>> {
        let mut keys = BTreeSet::new();
        let mut start = Bound::Unbounded;
        loop {
            let from = start.as_ref().map(|key: &Vec<u8>| &key[..]);
            let range = KeyRange { start: from, end: Bound::Unbounded, order: Order::Ascending };
            let page = self.bytes.range(self.table, range, PAGE)?;
            let is_last = page.len() < PAGE;
            for (key, _) in &page {
                keys.insert(read_key::<K>(key)?);
            }
            match page.into_iter().next_back() {
                Some((last, _)) if !is_last => start = Bound::Excluded(last),
                _ => break,
            }
        }
        for (key, slot) in self.cache.as_mut().iter() {
            if slot.value.is_some() {
                keys.insert(key.clone());
            } else {
                keys.remove(key);
            }
        }
        Ok(keys.into_iter().collect())
    }
}
