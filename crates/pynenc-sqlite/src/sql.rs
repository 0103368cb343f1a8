//! The SQL of the operations. No other statement reads or writes the tables of pynenc.

use std::ops::Bound;
use std::sync::LazyLock;

use pynenc_kv::{KeyRange, Order, Table};

/// An operation on a table. Keys are the first parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Reads the value of a key.
    Get,
    /// Stores a value, the second parameter.
    Put,
    /// Deletes a key.
    Delete,
    /// Reads the keys from the first parameter until before the second one, at most as many as the third one says.
    Ascending,
    /// Reads the same range from its end.
    Descending,
    /// Deletes a range.
    DeleteRange,
}

impl Operation {
    /// The number of operations.
    pub(crate) const COUNT: usize = 6;

    const ALL: [Self; Self::COUNT] =
        [Self::Get, Self::Put, Self::Delete, Self::Ascending, Self::Descending, Self::DeleteRange];

    fn sql(self, table: Table) -> String {
        let table = table.name();
        match self {
            Self::Get => format!("SELECT v FROM pynenc_{table} WHERE k = ?1"),
            // Without other indexes and triggers, this is one search in the tree. `ON CONFLICT .. DO UPDATE` needs two.
            Self::Put => format!("INSERT OR REPLACE INTO pynenc_{table} (k, v) VALUES (?1, ?2)"),
            Self::Delete => format!("DELETE FROM pynenc_{table} WHERE k = ?1"),
            Self::Ascending => {
                format!("SELECT k, v FROM pynenc_{table} WHERE k >= ?1 AND k < ?2 ORDER BY k LIMIT ?3")
            }
            Self::Descending => {
                format!("SELECT k, v FROM pynenc_{table} WHERE k >= ?1 AND k < ?2 ORDER BY k DESC LIMIT ?3")
            }
            Self::DeleteRange => format!("DELETE FROM pynenc_{table} WHERE k >= ?1 AND k < ?2"),
        }
    }
}

impl From<Order> for Operation {
    fn from(order: Order) -> Self {
        match order {
            Order::Ascending => Self::Ascending,
            Order::Descending => Self::Descending,
        }
    }
}

static SQL: LazyLock<Vec<[String; Operation::COUNT]>> =
    LazyLock::new(|| Table::ALL.iter().map(|table| Operation::ALL.map(|operation| operation.sql(*table))).collect());

/// The SQL of an operation on a table.
pub(crate) fn sql(table: Table, operation: Operation) -> &'static str {
    &SQL[table as usize][operation as usize]
}

/// The keys of one app. Each begins with the number of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AppKeys(u16);

impl AppKeys {
    /// The length of the number in front of a key.
    pub(crate) const PREFIX: usize = size_of::<u16>();

    pub(crate) fn new(number: u16) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u16 {
        self.0
    }

    /// Writes the stored form of a key into a buffer.
    pub(crate) fn key(self, key: &[u8], stored: &mut Vec<u8>) {
        stored.clear();
        stored.extend_from_slice(&self.0.to_be_bytes());
        stored.extend_from_slice(key);
    }

    /// Writes the first stored key of a range, and the first one behind it, into buffers.
    pub(crate) fn range(self, range: KeyRange<'_>, first: &mut Vec<u8>, behind: &mut Vec<u8>) {
        match range.start {
            Bound::Unbounded => self.key(&[], first),
            Bound::Included(start) => self.key(start, first),
            Bound::Excluded(start) => self.next_key(start, first),
        }
        match range.end {
            Bound::Unbounded => Self(self.0.saturating_add(1)).key(&[], behind),
            Bound::Excluded(end) => self.key(end, behind),
            Bound::Included(end) => self.next_key(end, behind),
        }
    }

    /// Writes the first key that is greater than this one.
    fn next_key(self, key: &[u8], stored: &mut Vec<u8>) {
        self.key(key, stored);
        stored.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: Bound<&[u8]>, end: Bound<&[u8]>, expected: (&[u8], &[u8])) {
        let (mut first, mut behind) = (vec![9], vec![9]);
        AppKeys::new(0x0102).range(KeyRange { start, end, order: Order::Ascending }, &mut first, &mut behind);
        assert_eq!((&first[..], &behind[..]), expected);
    }

    #[test]
    fn a_range_stays_within_the_keys_of_its_app() {
        check(Bound::Unbounded, Bound::Unbounded, (&[1, 2], &[1, 3]));
        check(Bound::Included(b"a"), Bound::Excluded(b"b"), (&[1, 2, b'a'], &[1, 2, b'b']));
        check(Bound::Excluded(b"a"), Bound::Included(b"b"), (&[1, 2, b'a', 0], &[1, 2, b'b', 0]));
    }
}
