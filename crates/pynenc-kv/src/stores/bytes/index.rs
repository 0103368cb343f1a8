//! The keys of a table in their order, with changes that aren't written yet.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Bound;

use pynenc_core::Result;

use super::access::Bytes;
use crate::stores::transaction::{KeyRange, Order};
use crate::table::Table;

/// The numbers of keys that a scan reads at once: few at first, because most scans end soon.
const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 500;

/// The keys of a table, with the changes that aren't written yet.
pub(super) struct Index<'t> {
    bytes: Bytes<'t>,
    table: Table,
    /// Whether each changed key is in the set now.
    changes: BTreeMap<Vec<u8>, bool>,
    /// The first and the last key of each run of keys that were taken out together.
    taken: Vec<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Index<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("table", &self.table).finish_non_exhaustive()
    }
}

impl<'t> Index<'t> {
    pub(super) fn new(bytes: Bytes<'t>, table: Table) -> Self {
        Self { bytes, table, changes: BTreeMap::new(), taken: Vec::new() }
    }

    pub(super) fn contains(&self, key: &[u8]) -> Result<bool> {
        match self.changes.get(key) {
            Some(is_in) => Ok(*is_in),
            None => Ok(self.bytes.get(self.table, key)?.is_some()),
        }
    }

    /// Puts a key into the set, or takes it out.
    pub(super) fn set(&mut self, key: Vec<u8>, is_in: bool) {
        self.changes.insert(key, is_in);
    }

    /// Takes the first keys of a range out of the set, at most `most` of them.
    pub(super) fn take_first(&mut self, range: Range, most: usize) -> Result<Vec<Vec<u8>>> {
        let first = self.ascending(range).with_page(most).take(most).collect::<Result<Vec<_>>>()?;
        first.iter().for_each(|key| self.set(key.clone(), false));
        if let [first, .., last] = &first[..] {
            self.taken.push((first.clone(), last.clone()));
        }
        Ok(first)
    }

    /// The keys of a range, in ascending order.
    pub(super) fn ascending(&self, range: Range) -> Scan<'_, 't> {
        Scan::new(self, range, Order::Ascending)
    }

    /// The keys of a range, in descending order.
    pub(super) fn descending(&self, range: Range) -> Scan<'_, 't> {
        Scan::new(self, range, Order::Descending)
    }

    pub(super) fn clear(&mut self) -> Result<()> {
        self.changes.clear();
        self.taken.clear();
        self.bytes.delete_range(self.table, KeyRange::ALL)
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        for (first, last) in std::mem::take(&mut self.taken) {
            // All stored keys between the two were taken out. Some may be back.
            if self.changes.range::<Vec<u8>, _>(&first..=&last).any(|(_, is_in)| *is_in) {
                continue;
            }
            self.changes.retain(|key, _| *key < first || *key > last);
            let (start, end) = (Bound::Included(&first[..]), Bound::Included(&last[..]));
            self.bytes.delete_range(self.table, KeyRange { start, end, order: Order::Ascending })?;
        }
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
pub(super) struct Range {
    pub(super) start: Bound<Vec<u8>>,
    pub(super) end: Bound<Vec<u8>>,
}

impl Range {
    fn key_range(&self, order: Order) -> KeyRange<'_> {
        let (start, end) = (self.start.as_ref().map(|key| &key[..]), self.end.as_ref().map(|key| &key[..]));
        KeyRange { start, end, order }
    }
}

/// A scan of the stored keys, merged with the changes.
pub(super) struct Scan<'a, 't> {
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
    pub(super) fn with_page(mut self, keys: usize) -> Self {
        self.next_page = keys.clamp(1, LARGEST_PAGE);
        self
    }

    pub(super) fn next_key(&mut self) -> Result<Option<Vec<u8>>> {
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
