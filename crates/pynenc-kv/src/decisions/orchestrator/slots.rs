//! Concurrency slots: the semaphore of each running key, with its holders and its parked invocations.

use std::ops::Bound;

use pynenc_core::packed::{Packed, Unpack, packed_struct, unknown_variant};
use pynenc_core::{Digest, InvocationId, Result};

use crate::storage::{Cell, Groups, Map, Storage, collections};
use crate::table::Table;

collections! {
    /// The slots of every running key that has holders or parked invocations.
    ///
    /// A holder is claimed, or was handed a slot and isn't claimed yet.
    pub(super) struct Slots {
        holders: S::Counted<Digest, InvocationId> = counted((Table::SlotHolder, Table::SlotCount)),
        /// Parked invocations, with the number of their turn.
        line: S::Groups<Digest, (u64, InvocationId)> = groups(Table::SlotLine),
        uses: S::Map<InvocationId, Use> = map(Table::SlotUse),
        last_turn: S::Cell<u64> = cell("last_turn"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Holds(Digest),
    Parked(Turn),
}

/// The turn of a parked invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    key: Digest,
    number: u64,
    limit: u32,
}

packed_struct!(Turn { key, number, limit });

impl Packed for Use {
    fn pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Holds(key) => {
                to.push(0);
                key.pack(to);
            }
            Self::Parked(turn) => {
                to.push(1);
                turn.pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpack<'_>) -> Result<Self> {
        match from.variant()? {
            0 => Packed::unpack(from).map(Self::Holds),
            1 => Packed::unpack(from).map(Self::Parked),
            found => Err(unknown_variant("Use", found)),
        }
    }
}

impl<S: Storage> Slots<S> {
    /// Takes a slot unless the invocation has one. Reports whether it has one now. No invocation overtakes parked ones.
    pub(super) fn take(&mut self, key: Digest, id: InvocationId, limit: u32) -> Result<bool> {
        if self.uses.get(&id)? == Some(&Use::Holds(key)) {
            return Ok(true);
        }
        let is_free = self.has_slot(key, limit)? && self.line.is_empty(&key)?;
        if is_free {
            self.holders.insert(&key, id)?;
            self.uses.insert(id, Use::Holds(key))?;
        }
        Ok(is_free)
    }

    /// Whether fewer than `limit` invocations hold a slot.
    fn has_slot(&self, key: Digest, limit: u32) -> Result<bool> {
        Ok(self.holders.count_up_to(&key, limit as usize)? < limit as usize)
    }

    /// Parks an invocation behind the others.
    pub(super) fn park(&mut self, key: Digest, id: InvocationId, limit: u32) -> Result<()> {
        let last = self.last_turn.get_mut()?;
        *last += 1;
        let number = *last;
        self.line.insert(&key, (number, id))?;
        self.uses.insert(id, Use::Parked(Turn { key, number, limit }))
    }

    /// Removes an invocation from its key, whether it holds a slot or is parked.
    pub(super) fn leave(&mut self, id: InvocationId) -> Result<()> {
        match self.uses.remove(&id)? {
            Some(Use::Holds(key)) => self.holders.remove(&key, &id),
            Some(Use::Parked(turn)) => self.line.remove(&turn.key, &(turn.number, id)),
            None => Ok(()),
        }
    }

    /// Gives a free slot to the first parked invocation, and returns it.
    pub(super) fn hand_over(&mut self, key: Digest) -> Result<Option<InvocationId>> {
        let Some((number, id)) = self.line.first(&key)? else { return Ok(None) };
        let Some(Use::Parked(Turn { limit, .. })) = self.uses.get(&id)?.copied() else { return Ok(None) };
        if !self.has_slot(key, limit)? {
            return Ok(None);
        }
        self.line.remove(&key, &(number, id))?;
        self.holders.insert(&key, id)?;
        self.uses.insert(id, Use::Holds(key))?;
        Ok(Some(id))
    }

    /// The number of invocations parked on a key. Above `most` it may be any number that is greater.
    pub(super) fn parked_up_to(&self, key: Digest, most: usize) -> Result<usize> {
        self.line.count_up_to(&key, most)
    }

    /// The number of invocations ahead of a parked one. Counts them one by one: only people ask.
    pub(super) fn parked_before(&self, id: InvocationId) -> Result<Option<u64>> {
        let Some(Use::Parked(turn)) = self.uses.get(&id)? else { return Ok(None) };
        let mut before = 0;
        for parked in self.line.ascending(&turn.key, Bound::Unbounded) {
            if parked?.1 == id {
                break;
            }
            before += 1;
        }
        Ok(Some(before))
    }

    /// The key on which an invocation is parked.
    pub(super) fn awaited_by(&self, id: InvocationId) -> Result<Option<Digest>> {
        Ok(match self.uses.get(&id)? {
            Some(Use::Parked(turn)) => Some(turn.key),
            Some(Use::Holds(_)) | None => None,
        })
    }

    /// The key of the slot that an invocation holds.
    pub(super) fn held_by(&self, id: InvocationId) -> Result<Option<Digest>> {
        Ok(match self.uses.get(&id)? {
            Some(Use::Holds(key)) => Some(*key),
            Some(Use::Parked(_)) | None => None,
        })
    }

    pub(super) fn holders(&self, key: Digest) -> impl Iterator<Item = Result<InvocationId>> {
        self.holders.ascending(&key, Bound::Unbounded)
    }

    pub(super) fn parked(&self, key: Digest) -> impl Iterator<Item = Result<InvocationId>> {
        self.line.ascending(&key, Bound::Unbounded).map(|parked| Ok(parked?.1))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;
    use crate::native::Native;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, VecDeque};

    fn id(number: u8) -> InvocationId {
        InvocationId::from_bytes([number; 16])
    }

    #[derive(Debug, Clone)]
    enum Act {
        Claim(u8),
        Leave(u8),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![(0..12u8).prop_map(Act::Claim), (0..12u8).prop_map(Act::Leave)];
        prop::collection::vec(act, 0..200)
    }

    /// The reference model: a set of holders and a queue.
    #[derive(Default)]
    struct Model {
        holders: BTreeSet<InvocationId>,
        parked: VecDeque<InvocationId>,
    }

    impl Model {
        fn leave(&mut self, id: InvocationId, limit: usize) -> Vec<InvocationId> {
            self.holders.remove(&id);
            self.parked.retain(|waiting| *waiting != id);
            let free = limit - self.holders.len();
            let handed: Vec<_> = self.parked.drain(..free.min(self.parked.len())).collect();
            self.holders.extend(&handed);
            handed
        }
    }

    proptest! {
        /// The limit holds, no invocation is parked beside a free slot, and the first parked is the first served.
        #[test]
        fn slots_agree_with_the_model(limit in 1..4u32, acts in acts()) {
            let (key, mut slots, mut model) = (Digest::of(b"key"), Slots::open(&Native), Model::default());
            for act in acts {
                match act {
                    Act::Claim(number) if model.parked.contains(&id(number)) => {}
                    Act::Claim(number) => {
                        let had = model.holders.contains(&id(number));
                        let granted = had || model.holders.len() < limit as usize;
                        prop_assert_eq!(slots.take(key, id(number), limit).unwrap(), granted);
                        if granted {
                            model.holders.insert(id(number));
                        } else {
                            slots.park(key, id(number), limit).unwrap();
                            model.parked.push_back(id(number));
                        }
                    }
                    Act::Leave(number) => {
                        slots.leave(id(number)).unwrap();
                        let handed: Vec<_> = std::iter::from_fn(|| slots.hand_over(key).unwrap()).collect();
                        prop_assert_eq!(handed, model.leave(id(number), limit as usize));
                    }
                }
                prop_assert!(slots.holders(key).map(Result::unwrap).eq(model.holders.iter().copied()));
                prop_assert!(slots.parked(key).map(Result::unwrap).eq(model.parked.iter().copied()));
                for (index, id) in model.parked.iter().enumerate() {
                    prop_assert_eq!(slots.parked_before(*id).unwrap(), Some(index as u64));
                }
                prop_assert!(slots.holders(key).count() <= limit as usize);
            }
            (0..12).for_each(|number| slots.leave(id(number)).unwrap());
            prop_assert!(slots.holders.is_empty(&key).unwrap() && slots.line.is_empty(&key).unwrap());
            prop_assert!(slots.uses.is_empty());
        }
    }

    #[test]
    fn an_invocation_with_a_smaller_limit_waits_for_more_slots() {
        let (key, mut slots) = (Digest::of(b"key"), Slots::open(&Native));
        assert!(slots.take(key, id(1), 2).unwrap() && slots.take(key, id(2), 2).unwrap());
        slots.park(key, id(3), 1).unwrap();
        slots.leave(id(1)).unwrap();
        assert_eq!(slots.hand_over(key).unwrap(), None);
        assert!(!slots.take(key, id(4), 2).unwrap(), "no invocation overtakes a parked one");
        slots.leave(id(2)).unwrap();
        assert_eq!(slots.hand_over(key).unwrap(), Some(id(3)));
    }
}
