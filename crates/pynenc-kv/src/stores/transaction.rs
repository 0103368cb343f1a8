//! The operations of a transaction.

use std::ops::Bound;

use pynenc_core::Result;

use crate::table::Table;

/// A transaction: reads and writes of keys and values, both bytes.
///
/// Keys are ordered as bytes, the shorter one of two keys with a common beginning first. A key has 1 to 2,000 bytes. A
/// value may be empty, and may have several megabytes in [`Table::Content`], [`Table::Record`], [`Table::Outcome`] and
/// [`Table::Journal`].
///
/// A transaction sees its own writes. Write transactions are serializable: each sees all writes of those that committed
/// before it, and no other. A read transaction sees one state of the store, between two write transactions.
///
/// # Errors
///
/// An error of an operation means that the store failed, for example because a disk is full or a page is damaged. The
/// transaction has to be rolled back, whatever the step returns. [`Group`](crate::Group) takes care of that.
pub trait Transaction {
    /// Reads the value of a key; `None` if the table doesn't have the key.
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Stores a value, and replaces the earlier value of the key.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<()>;

    /// Deletes a key. It is no error if the table doesn't have the key.
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()>;

    /// Reads at most `limit` keys of a range with their values, in the order of the range.
    fn range(&mut self, table: Table, range: KeyRange<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>>;

    /// Deletes the keys of a range. Their order doesn't matter.
    fn delete_range(&mut self, table: Table, range: KeyRange<'_>) -> Result<()>;
}

/// The keys from `start` to `end`, in ascending or descending order. The range may be empty or inverted, and then it has
/// no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRange<'a> {
    /// Where the range begins.
    pub start: Bound<&'a [u8]>,
    /// Where the range ends.
    pub end: Bound<&'a [u8]>,
    /// The order of the keys.
    pub order: Order,
}

/// The order in which the keys of a range are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The smallest key first.
    Ascending,
    /// The greatest key first.
    Descending,
}

impl KeyRange<'_> {
    /// All keys, in ascending order.
    pub const ALL: Self = Self { start: Bound::Unbounded, end: Bound::Unbounded, order: Order::Ascending };

    /// Whether no key can be in the range. Some ordered collections panic on such a range.
    pub fn is_empty(&self) -> bool {
        match (self.start, self.end) {
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        }
    }
}
