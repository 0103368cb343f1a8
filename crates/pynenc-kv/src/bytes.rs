//! Collections over the bytes of a transaction.
//!
//! A value is decoded when it is first asked for, and kept for the step. Changes are written when the step is over, so a
//! step that fails before has written nothing.

mod index;
mod table;

use std::cell::RefCell;
use std::fmt;

use pynenc_core::Result;

use crate::key::Key;
use crate::storage::{Storage, Value};
use crate::table::Table;
use crate::transaction::{KeyRange, Transaction};

use self::index::{BytesGroups, BytesSet, Index};
use self::table::{BytesCell, BytesMap};

/// The collections of one transaction.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'t>(&'t RefCell<&'t mut dyn Transaction>);

impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bytes").finish_non_exhaustive()
    }
}

impl<'t> Bytes<'t> {
    /// The collections of a transaction.
    pub(crate) fn new(transaction: &'t RefCell<&'t mut dyn Transaction>) -> Self {
        Self(transaction)
    }

    fn get(self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.borrow_mut().get(table, key)
    }

    fn put(self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.borrow_mut().put(table, key, value)
    }

    fn delete(self, table: Table, key: &[u8]) -> Result<()> {
        self.0.borrow_mut().delete(table, key)
    }

    fn range(self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.borrow_mut().range(table, range, limit)
    }

    fn clear(self, table: Table) -> Result<()> {
        self.0.borrow_mut().clear(table)
    }
}

impl<'t> Storage for Bytes<'t> {
    type Cell<T: Value + Default> = BytesCell<'t, T>;
    type Map<K: Key, V: Value> = BytesMap<'t, K, V>;
    type Set<K: Key> = BytesSet<'t, K>;
    type Groups<G: Key, K: Key> = BytesGroups<'t, G, K>;

    fn cell<T: Value + Default>(&self, name: &'static str) -> BytesCell<'t, T> {
        BytesCell::new(*self, name)
    }

    fn map<K: Key, V: Value>(&self, table: Table) -> BytesMap<'t, K, V> {
        BytesMap::new(*self, table)
    }

    fn set<K: Key>(&self, table: Table) -> BytesSet<'t, K> {
        BytesSet::new(Index::new(*self, table))
    }

    fn groups<G: Key, K: Key>(&self, table: Table) -> BytesGroups<'t, G, K> {
        BytesGroups::new(Index::new(*self, table))
    }
}

fn key_bytes(key: &impl Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    key.write(&mut bytes);
    bytes
}

/// Reads a key of which `bytes` are all.
fn read_key<K: Key>(mut bytes: &[u8]) -> Result<K> {
    let key = K::read(&mut bytes)?;
    if bytes.is_empty() { Ok(key) } else { Err(pynenc_core::Error::corrupt("a stored key has extra bytes at its end")) }
}
