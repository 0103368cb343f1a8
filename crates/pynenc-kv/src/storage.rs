//! The collections that the decisions stand on.
//!
//! The same code decides over collections of this process's memory, which are plain maps and sorted sets, and over those
//! of a [`Transaction`](crate::Transaction), which read and write bytes.

use std::fmt;
use std::ops::Bound;

use pynenc_core::Result;
use pynenc_core::packed::Packed;

use crate::key::Key;
use crate::table::Table;

/// A value of a collection.
pub trait Value: Packed + fmt::Debug + 'static {}

impl<T: Packed + fmt::Debug + 'static> Value for T {}

/// A kind of collections.
pub trait Storage: fmt::Debug {
    /// One value.
    type Cell<T: Value + Default>: Cell<T>;
    /// Values by key.
    type Map<K: Key, V: Value>: Map<K, V>;
    /// Keys in their order.
    type Set<K: Key>: Set<K>;
    /// Keys in their order, for each of many groups.
    type Groups<G: Key, K: Key>: Groups<G, K>;
    /// The same, with fast counts. Only missing keys may be inserted, and only existing ones removed.
    type Counted<G: Key, K: Key>: Groups<G, K>;

    /// Opens the value that has a name.
    fn cell<T: Value + Default>(&self, name: &'static str) -> Self::Cell<T>;

    /// Opens the map of a table.
    fn map<K: Key, V: Value>(&self, table: Table) -> Self::Map<K, V>;

    /// Opens the set of a table.
    fn set<K: Key>(&self, table: Table) -> Self::Set<K>;

    /// Opens the groups of a table.
    fn groups<G: Key, K: Key>(&self, table: Table) -> Self::Groups<G, K>;

    /// Opens the groups of the first table, whose counts are in the second one.
    fn counted<G: Key, K: Key>(&self, tables: (Table, Table)) -> Self::Counted<G, K>;
}

/// The operations that all collections have in common.
pub trait Collection: fmt::Debug {
    /// Deletes everything.
    fn clear(&mut self) -> Result<()>;

    /// Writes the changes to the store, if the collection has them in a cache.
    fn flush(&mut self) -> Result<()>;
}

/// One value, which has its default as long as it wasn't changed.
pub trait Cell<T>: Collection {
    /// Reads the value.
    fn get(&self) -> Result<&T>;

    /// Changes the value.
    fn get_mut(&mut self) -> Result<&mut T>;
}

/// Values by key.
pub trait Map<K, V>: Collection {
    /// Reads the value of a key.
    fn get(&self, key: &K) -> Result<Option<&V>>;

    /// Changes the value of a key.
    fn get_mut(&mut self, key: &K) -> Result<Option<&mut V>>;

    /// Changes the value of a key, after a missing one was added.
    fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> Result<&mut V>;

    /// Stores a value, and replaces the earlier value of the key.
    fn insert(&mut self, key: K, value: V) -> Result<()>;

    /// Removes a key with its value.
    fn remove(&mut self, key: &K) -> Result<Option<V>>;

    /// Removes a key, which saves reading its value.
    fn delete(&mut self, key: K) -> Result<()>;

    /// All keys in their order. For maps that are never large.
    fn keys(&mut self) -> Result<Vec<K>>;

    /// Whether the map has a key.
    fn contains(&self, key: &K) -> Result<bool> {
        Ok(self.get(key)?.is_some())
    }
}

/// Keys in their order.
pub trait Set<K>: Collection {
    /// Adds a key.
    fn insert(&mut self, key: K) -> Result<()>;

    /// Removes a key.
    fn remove(&mut self, key: &K) -> Result<()>;

    /// Whether the set has a key.
    fn contains(&self, key: &K) -> Result<bool>;

    /// The keys from `begin` on.
    fn ascending(&self, begin: Bound<K>) -> impl Iterator<Item = Result<K>>;

    /// The keys up to `end`, the greatest one first.
    fn descending(&self, end: Bound<K>) -> impl Iterator<Item = Result<K>>;
}

/// Keys in their order, for each of many groups.
pub trait Groups<G, K>: Collection {
    /// Adds a key to a group.
    fn insert(&mut self, group: &G, key: K) -> Result<()>;

    /// Removes a key from a group.
    fn remove(&mut self, group: &G, key: &K) -> Result<()>;

    /// Whether a group has a key.
    fn contains(&self, group: &G, key: &K) -> Result<bool>;

    /// Removes a group, and returns its keys.
    fn remove_group(&mut self, group: &G) -> Result<Vec<K>>;

    /// Removes the first keys of a group, at most `most` of them, and adds them to `removed`.
    fn pop_first(&mut self, group: &G, most: usize, removed: &mut Vec<K>) -> Result<()>;

    /// The keys of a group from `begin` on.
    fn ascending<'a>(&'a self, group: &G, begin: Bound<K>) -> impl Iterator<Item = Result<K>> + use<'a, Self, G, K>;

    /// The keys of a group, the greatest one first.
    fn descending<'a>(&'a self, group: &G) -> impl Iterator<Item = Result<K>> + use<'a, Self, G, K>;

    /// The number of keys of a group.
    fn count(&self, group: &G) -> Result<u64>;

    /// The number of keys of a group; more than `most` if it has more.
    fn count_up_to(&self, group: &G, most: usize) -> Result<usize>;

    /// The first key of a group.
    fn first(&self, group: &G) -> Result<Option<K>> {
        self.ascending(group, Bound::Unbounded).next().transpose()
    }

    /// Whether a group has no keys.
    fn is_empty(&self, group: &G) -> Result<bool> {
        Ok(self.first(group)?.is_none())
    }
}

/// Defines a struct whose fields are collections and other structs of this kind.
///
/// A collection has the method of [`Storage`] that opens it, with its table or name. The field behind `with` is no
/// collection: it is passed to `open`.
macro_rules! collections {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident {
            $(
                $(#[$field_attribute:meta])*
                $field_visibility:vis $field:ident: $type:ty $(= $open:ident($place:expr))?,
            )+
        }
        $(with {
            $(#[$other_attribute:meta])*
            $other_visibility:vis $other:ident: $other_type:ident
        })?
    ) => {
        $(#[$attribute])*
        #[derive(Debug)]
        $visibility struct $name<S: $crate::storage::Storage $(, $other_type)?> {
            $($(#[$field_attribute])* $field_visibility $field: $type,)+
            $($(#[$other_attribute])* $other_visibility $other: $other_type,)?
        }

        impl<S: $crate::storage::Storage $(, $other_type)?> $name<S $(, $other_type)?> {
            /// Opens the collections.
            $visibility fn open(storage: &S $(, $other: $other_type)?) -> Self {
                Self {
                    $($field: $crate::storage::collections!(@open storage, $type $(, $open, $place)?),)+
                    $($other,)?
                }
            }
        }

        impl<S: $crate::storage::Storage $(, $other_type: std::fmt::Debug)?> $crate::storage::Collection
            for $name<S $(, $other_type)?>
        {
            fn clear(&mut self) -> pynenc_core::Result<()> {
                $($crate::storage::Collection::clear(&mut self.$field)?;)+
                Ok(())
            }

            fn flush(&mut self) -> pynenc_core::Result<()> {
                $($crate::storage::Collection::flush(&mut self.$field)?;)+
                Ok(())
            }
        }
    };
    (@open $storage:ident, $type:ty) => { <$type>::open($storage) };
    (@open $storage:ident, $type:ty, $open:ident, $place:expr) => { $storage.$open($place) };
}

pub(crate) use collections;
