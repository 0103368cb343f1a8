//! The values of one field of a cron text.

use std::fmt;

/// A set of values below 64, in ascending order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Values(u64);

impl Values {
    pub(super) fn insert(&mut self, value: u8) {
        self.0 |= 1 << value;
    }

    pub(super) fn contains(self, value: u8) -> bool {
        self.0 & (1 << value) != 0
    }

    pub(super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) fn first(self) -> Option<u8> {
        self.at_or_after(0)
    }

    pub(super) fn last(self) -> Option<u8> {
        self.at_or_before(63)
    }

    /// Returns the smallest value that is at least `value`.
    pub(super) fn at_or_after(self, value: u8) -> Option<u8> {
        let rest = self.0 & u64::MAX.checked_shl(value.into())?;
        (rest != 0).then(|| rest.trailing_zeros() as u8)
    }

    /// Returns the largest value that is at most `value`.
    pub(super) fn at_or_before(self, value: u8) -> Option<u8> {
        let rest = self.0 & (u64::MAX >> (63 - value.min(63)));
        (rest != 0).then(|| 63 - rest.leading_zeros() as u8)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |value| self.contains(*value))
    }
}

impl Extend<u8> for Values {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.insert(value));
    }
}

impl FromIterator<u8> for Values {
    fn from_iter<I: IntoIterator<Item = u8>>(values: I) -> Self {
        let mut set = Self::default();
        set.extend(values);
        set
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
