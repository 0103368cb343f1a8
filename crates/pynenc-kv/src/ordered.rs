//! A sorted set for items that usually come in their order.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Bound;

/// An item that comes at most this many positions before the last one is put in its place.
const NEAR: usize = 32;

/// A sorted set. Adding an item near the end and removing the first one take constant time, which is the usual case for
/// items that are ordered by time. All other changes take logarithmic time, on average.
#[derive(Debug, Clone)]
pub struct Ordered<T> {
    /// In order. The first slot isn't empty.
    slots: VecDeque<Slot<T>>,
    /// How many slots are empty.
    empty: usize,
    /// The items that came too late for a slot.
    late: BTreeSet<T>,
}

/// A position of the order. It stays when its item is removed, so that the others don't have to move.
#[derive(Debug, Clone)]
struct Slot<T> {
    item: T,
    is_empty: bool,
}

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), empty: 0, late: BTreeSet::new() }
    }
}

impl<T: Ord + Clone> Ordered<T> {
    pub fn insert(&mut self, item: T) {
        let position = match self.slots.back() {
            Some(last) if last.item >= item => self.position(&item),
            _ => self.slots.len(),
        };
        let is_near = self.slots.len() - position <= NEAR;
        match self.slots.get_mut(position) {
            Some(slot) if slot.item == item => {
                self.empty -= usize::from(slot.is_empty);
                slot.is_empty = false;
            }
            _ if self.late.contains(&item) => {}
            _ if is_near => self.slots.insert(position, Slot { item, is_empty: false }),
            _ => drop(self.late.insert(item)),
        }
    }

    pub fn remove(&mut self, item: &T) {
        let position = self.position(item);
        match self.slots.get_mut(position) {
            Some(slot) if slot.item == *item => {
                self.empty += usize::from(!slot.is_empty);
                slot.is_empty = true;
                self.drop_empty_slots();
            }
            _ => drop(self.late.remove(item)),
        }
    }

    pub fn contains(&self, item: &T) -> bool {
        let slot = self.slots.get(self.position(item)).filter(|slot| slot.item == *item);
        slot.map_or_else(|| self.late.contains(item), |slot| !slot.is_empty)
    }

    pub fn first(&self) -> Option<&T> {
        let slot = self.slots.front().map(|slot| &slot.item);
        slot.into_iter().chain(self.late.first()).min()
    }

    pub fn pop_first(&mut self) -> Option<T> {
        let first = self.first()?.clone();
        self.remove(&first);
        Some(first)
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.empty + self.late.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items from `begin` on.
    pub fn ascending(&self, begin: Bound<T>) -> impl Iterator<Item = &T> {
        let start = match &begin {
            Bound::Unbounded => 0,
            Bound::Included(begin) => self.position(begin),
            Bound::Excluded(begin) => self.slots.partition_point(|slot| slot.item <= *begin),
        };
        let slots = self.slots.range(start..).filter(|slot| !slot.is_empty);
        merged(slots.map(|slot| &slot.item), self.late.range((begin, Bound::Unbounded)), Ordering::Less)
    }

    /// The items up to `end`, the greatest one first.
    pub fn descending(&self, end: Bound<T>) -> impl Iterator<Item = &T> {
        let stop = match &end {
            Bound::Unbounded => self.slots.len(),
            Bound::Included(end) => self.slots.partition_point(|slot| slot.item <= *end),
            Bound::Excluded(end) => self.position(end),
        };
        let slots = self.slots.range(..stop).rev().filter(|slot| !slot.is_empty);
        merged(slots.map(|slot| &slot.item), self.late.range((Bound::Unbounded, end)).rev(), Ordering::Greater)
    }

    /// The position of the item, or of the first one after it.
    fn position(&self, item: &T) -> usize {
        match self.slots.front() {
            Some(first) if first.item < *item => self.slots.partition_point(|slot| slot.item < *item),
            _ => 0,
        }
    }

    /// Drops the empty slots at the front, and all of them once they are the majority.
    fn drop_empty_slots(&mut self) {
        while self.slots.front().is_some_and(|slot| slot.is_empty) {
            self.slots.pop_front();
            self.empty -= 1;
        }
        if self.empty > self.slots.len() / 2 {
            self.slots.retain(|slot| !slot.is_empty);
            self.empty = 0;
        }
    }
}

impl<T: Ord + Clone> FromIterator<T> for Ordered<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut ordered = Self::default();
        items.into_iter().for_each(|item| ordered.insert(item));
        ordered
    }
}

/// Merges two iterators whose items are in an order.
fn merged<'a, T: Ord + 'a>(
    one: impl Iterator<Item = &'a T>,
    other: impl Iterator<Item = &'a T>,
    order: Ordering,
) -> impl Iterator<Item = &'a T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if second.cmp(first) == order => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Act {
        Insert(u16),
        Remove(u16),
        PopFirst,
    }

    /// Items mostly grow from act to act.
    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => (0..60u16).prop_map(Act::Insert),
            2 => (0..400u16).prop_map(Act::Remove),
            1 => Just(Act::PopFirst),
        ];
        let grown = |(index, act)| match act {
            Act::Insert(item) => Act::Insert(index as u16 + item),
            act => act,
        };
        let grow = move |acts: Vec<Act>| acts.into_iter().enumerate().map(grown).collect();
        prop::collection::vec(act, 0..400).prop_map(grow)
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_tree(acts in acts(), bound in 0..400u16) {
            let (mut ordered, mut tree) = (Ordered::default(), BTreeSet::new());
            for act in acts {
                match act {
                    Act::Insert(item) => {
                        ordered.insert(item);
                        tree.insert(item);
                    }
                    Act::Remove(item) => {
                        ordered.remove(&item);
                        tree.remove(&item);
                    }
                    Act::PopFirst => prop_assert_eq!(ordered.pop_first(), tree.pop_first()),
                }
                prop_assert_eq!((ordered.len(), ordered.first()), (tree.len(), tree.first()));
            }
            (0..1000).try_for_each(|item| {
                prop_assert_eq!(ordered.contains(&item), tree.contains(&item), "{}", item);
                Ok(())
            })?;
            for bound in [Bound::Unbounded, Bound::Included(bound), Bound::Excluded(bound)] {
                prop_assert!(ordered.ascending(bound).eq(tree.range((bound, Bound::Unbounded))));
                prop_assert!(ordered.descending(bound).eq(tree.range((Bound::Unbounded, bound)).rev()));
            }
        }
    }

    #[test]
    fn removed_items_leave_no_memory_behind() {
        let mut ordered: Ordered<u32> = (0..10_000).collect();
        (1..9_999).for_each(|item| ordered.remove(&item));
        assert!(ordered.slots.len() < 10 && ordered.ascending(Bound::Unbounded).eq(&[0, 9_999]));
    }
}
