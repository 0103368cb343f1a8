//! Opening collections over bytes.

use super::access::Bytes;
use super::counted::BytesCounted;
use super::index::Index;
use super::sets::{BytesGroups, BytesSet};
use super::table::{BytesCell, BytesMap};
use crate::key::Key;
use crate::storage::{Storage, Value};
use crate::table::Table;

impl<'t> Storage for Bytes<'t> {
    type Cell<T: Value + Default> = BytesCell<'t, T>;
    type Map<K: Key, V: Value> = BytesMap<'t, K, V>;
    type Set<K: Key> = BytesSet<'t, K>;
    type Groups<G: Key, K: Key> = BytesGroups<'t, G, K>;
    type Counted<G: Key, K: Key> = BytesCounted<'t, G, K>;

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

    fn counted<G: Key, K: Key>(&self, (table, counts): (Table, Table)) -> BytesCounted<'t, G, K> {
        BytesCounted::new(self.groups(table), self.map(counts))
    }
}
