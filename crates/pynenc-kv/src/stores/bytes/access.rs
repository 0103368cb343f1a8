//! A transaction as the collections see it, and keys as bytes.

use std::cell::RefCell;
use std::fmt;

use pynenc_core::{Error, Result};

use crate::key::Key;
use crate::stores::transaction::{KeyRange, Transaction};
use crate::table::Table;

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

    pub(super) fn get(self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.borrow_mut().get(table, key)
    }

    pub(super) fn put(self, table: Table, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.borrow_mut().put(table, key, value)
    }

    pub(super) fn delete(self, table: Table, key: &[u8]) -> Result<()> {
        self.0.borrow_mut().delete(table, key)
    }

    pub(super) fn range(self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.0.borrow_mut().range(table, range, limit)
    }

    pub(super) fn delete_range(self, table: Table, range: KeyRange<'_>) -> Result<()> {
        self.0.borrow_mut().delete_range(table, range)
    }
}

pub(super) fn key_bytes(key: &impl Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    key.write(&mut bytes);
    bytes
}

/// Reads a key of which `bytes` are all.
pub(super) fn read_key<K: Key>(mut bytes: &[u8]) -> Result<K> {
    let key = K::read(&mut bytes)?;
    if bytes.is_empty() { Ok(key) } else { Err(Error::corrupt("a stored key has extra bytes at its end")) }
}
