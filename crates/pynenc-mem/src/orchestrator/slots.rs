//! Concurrency slots: the semaphore of each running key, with its holders and its parked invocations.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::{Digest, InvocationId};
use rustc_hash::FxHashMap;

/// The slots of every running key that has holders or parked invocations.
///
/// A holder is claimed, or was handed a slot and isn't claimed yet.
#[derive(Debug, Default)]
pub(super) struct Slots {
    keys: FxHashMap<Digest, Key>,
    uses: FxHashMap<InvocationId, Use>,
    last: u64,
}

#[derive(Debug, Default)]
struct Key {
    holders: BTreeSet<InvocationId>,
    parked: BTreeMap<u64, Parked>,
}

#[derive(Debug)]
struct Parked {
    id: InvocationId,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Holds(Digest),
    Parked(Digest, u64),
}

impl Slots {
    /// Takes a slot unless the invocation has one. Reports whether it has one now. No invocation overtakes parked ones.
    pub(super) fn take(&mut self, key: Digest, id: InvocationId, limit: u32) -> bool {
        if self.uses.get(&id) == Some(&Use::Holds(key)) {
            return true;
        }
        let slots = self.keys.entry(key).or_default();
        let is_free = slots.parked.is_empty() && slots.holders.len() < limit as usize;
        if is_free {
            slots.holders.insert(id);
            self.uses.insert(id, Use::Holds(key));
        }
        is_free
    }

    /// Parks an invocation behind the others.
    pub(super) fn park(&mut self, key: Digest, id: InvocationId, limit: u32) {
        self.last += 1;
        let slots = self.keys.entry(key).or_default();
        debug_assert!(!slots.holders.is_empty(), "a parked invocation gets its slot from a holder");
        slots.parked.insert(self.last, Parked { id, limit: limit as usize });
        self.uses.insert(id, Use::Parked(key, self.last));
    }

    /// Removes an invocation from its key, whether it holds a slot or is parked.
    pub(super) fn leave(&mut self, id: InvocationId) {
        let Some(usage) = self.uses.remove(&id) else { return };
        let (Use::Holds(key) | Use::Parked(key, _)) = usage;
        let Some(slots) = self.keys.get_mut(&key) else { return };
        match usage {
            Use::Holds(_) => drop(slots.holders.remove(&id)),
            Use::Parked(_, turn) => drop(slots.parked.remove(&turn)),
        }
        if slots.holders.is_empty() && slots.parked.is_empty() {
            self.keys.remove(&key);
        }
    }

    /// Gives a free slot to the first parked invocation, and returns it.
    pub(super) fn hand_over(&mut self, key: Digest) -> Option<InvocationId> {
        let slots = self.keys.get_mut(&key)?;
        let first = slots.parked.first_entry()?;
        if slots.holders.len() >= first.get().limit {
            return None;
        }
        let id = first.remove().id;
        slots.holders.insert(id);
        self.uses.insert(id, Use::Holds(key));
        Some(id)
    }

    /// The number of invocations parked on a key.
    pub(super) fn parked_count(&self, key: Digest) -> usize {
        self.keys.get(&key).map_or(0, |slots| slots.parked.len())
    }

    /// The key on which an invocation is parked.
    pub(super) fn awaited_by(&self, id: InvocationId) -> Option<Digest> {
        match self.uses.get(&id)? {
            Use::Parked(key, _) => Some(*key),
            Use::Holds(_) => None,
        }
    }

    /// The key of the slot that an invocation holds.
    pub(super) fn held_by(&self, id: InvocationId) -> Option<Digest> {
        match self.uses.get(&id)? {
            Use::Holds(key) => Some(*key),
            Use::Parked(..) => None,
        }
    }

    pub(super) fn holders(&self, key: Digest) -> impl Iterator<Item = InvocationId> + '_ {
        self.keys.get(&key).into_iter().flat_map(|slots| slots.holders.iter().copied())
    }

    pub(super) fn parked(&self, key: Digest) -> impl Iterator<Item = InvocationId> + '_ {
        self.keys.get(&key).into_iter().flat_map(|slots| slots.parked.values().map(|parked| parked.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

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
            let (key, mut slots, mut model) = (Digest::of(b"key"), Slots::default(), Model::default());
            for act in acts {
                match act {
                    Act::Claim(number) if model.parked.contains(&id(number)) => {}
                    Act::Claim(number) => {
                        let had = model.holders.contains(&id(number));
                        let granted = had || model.holders.len() < limit as usize;
                        prop_assert_eq!(slots.take(key, id(number), limit), granted);
                        if granted {
                            model.holders.insert(id(number));
                        } else {
                            slots.park(key, id(number), limit);
                            model.parked.push_back(id(number));
                        }
                    }
                    Act::Leave(number) => {
                        slots.leave(id(number));
                        let handed: Vec<_> = std::iter::from_fn(|| slots.hand_over(key)).collect();
                        prop_assert_eq!(handed, model.leave(id(number), limit as usize));
                    }
                }
                prop_assert!(slots.holders(key).eq(model.holders.iter().copied()));
                prop_assert!(slots.parked(key).eq(model.parked.iter().copied()));
                prop_assert!(slots.holders(key).count() <= limit as usize);
            }
            (0..12).for_each(|number| slots.leave(id(number)));
            prop_assert!(slots.keys.is_empty() && slots.uses.is_empty());
        }
    }

    #[test]
    fn an_invocation_with_a_smaller_limit_waits_for_more_slots() {
        let (key, mut slots) = (Digest::of(b"key"), Slots::default());
        assert!(slots.take(key, id(1), 2) && slots.take(key, id(2), 2));
        slots.park(key, id(3), 1);
        slots.leave(id(1));
        assert_eq!(slots.hand_over(key), None);
        assert!(!slots.take(key, id(4), 2), "no invocation overtakes a parked one");
        slots.leave(id(2));
        assert_eq!(slots.hand_over(key), Some(id(3)));
    }
}
