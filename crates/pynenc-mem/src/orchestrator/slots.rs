//! Running control: who holds the slots of a key, and who waits for one.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::{Digest, InvocationId};
use rustc_hash::FxHashMap;

/// The slots of every running key that somebody holds or waits for.
///
/// A holder is an invocation that is claimed, or one that was handed a slot and isn't claimed yet.
#[derive(Debug, Default)]
pub(super) struct Slots {
    keys: FxHashMap<Digest, Key>,
    places: FxHashMap<InvocationId, Place>,
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
enum Place {
    Holds(Digest),
    Parked(Digest, u64),
}

impl Slots {
    /// Whether the invocation holds a slot now, by this call or before. Nobody passes those who wait for one.
    pub(super) fn take(&mut self, key: Digest, id: InvocationId, limit: u32) -> bool {
        if self.places.get(&id) == Some(&Place::Holds(key)) {
            return true;
        }
        let slots = self.keys.entry(key).or_default();
        let is_free = slots.parked.is_empty() && slots.holders.len() < limit as usize;
        if is_free {
            slots.holders.insert(id);
            self.places.insert(id, Place::Holds(key));
        }
        is_free
    }

    /// Puts an invocation that found no slot behind the others who wait.
    pub(super) fn park(&mut self, key: Digest, id: InvocationId, limit: u32) {
        self.last += 1;
        let slots = self.keys.entry(key).or_default();
        debug_assert!(!slots.holders.is_empty(), "nobody would hand a slot to one who is parked behind no holder");
        slots.parked.insert(self.last, Parked { id, limit: limit as usize });
        self.places.insert(id, Place::Parked(key, self.last));
    }

    /// Takes an invocation out, whether it holds a slot or waits for one.
    pub(super) fn leave(&mut self, id: InvocationId) {
        let Some(place) = self.places.remove(&id) else { return };
        let (Place::Holds(key) | Place::Parked(key, _)) = place;
        let Some(slots) = self.keys.get_mut(&key) else { return };
        match place {
            Place::Holds(_) => drop(slots.holders.remove(&id)),
            Place::Parked(_, turn) => drop(slots.parked.remove(&turn)),
        }
        if slots.holders.is_empty() && slots.parked.is_empty() {
            self.keys.remove(&key);
        }
    }

    /// Gives a free slot to the first who waits, and tells who that is.
    pub(super) fn hand_over(&mut self, key: Digest) -> Option<InvocationId> {
        let slots = self.keys.get_mut(&key)?;
        let first = slots.parked.first_entry()?;
        if slots.holders.len() >= first.get().limit {
            return None;
        }
        let id = first.remove().id;
        slots.holders.insert(id);
        self.places.insert(id, Place::Holds(key));
        Some(id)
    }

    /// How many wait for a slot of a key.
    pub(super) fn line(&self, key: Digest) -> usize {
        self.keys.get(&key).map_or(0, |slots| slots.parked.len())
    }

    /// The key whose slot an invocation waits for.
    pub(super) fn awaited_by(&self, id: InvocationId) -> Option<Digest> {
        match self.places.get(&id)? {
            Place::Parked(key, _) => Some(*key),
            Place::Holds(_) => None,
        }
    }

    /// The key of which an invocation holds a slot.
    pub(super) fn held_by(&self, id: InvocationId) -> Option<Digest> {
        match self.places.get(&id)? {
            Place::Holds(key) => Some(*key),
            Place::Parked(..) => None,
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

    /// What slots are, said as plainly as can be.
    #[derive(Default)]
    struct Model {
        holders: BTreeSet<InvocationId>,
        line: VecDeque<InvocationId>,
    }

    impl Model {
        fn leave(&mut self, id: InvocationId, limit: usize) -> Vec<InvocationId> {
            self.holders.remove(&id);
            self.line.retain(|waiting| *waiting != id);
            let free = limit - self.holders.len();
            let handed: Vec<_> = self.line.drain(..free.min(self.line.len())).collect();
            self.holders.extend(&handed);
            handed
        }
    }

    proptest! {
        /// Never more holders than the limit, nobody parked beside a free slot, first come first served.
        #[test]
        fn slots_do_what_the_model_does(limit in 1..4u32, acts in acts()) {
            let (key, mut slots, mut model) = (Digest::of(b"key"), Slots::default(), Model::default());
            for act in acts {
                match act {
                    Act::Claim(number) if model.line.contains(&id(number)) => {}
                    Act::Claim(number) => {
                        let had = model.holders.contains(&id(number));
                        let granted = had || model.holders.len() < limit as usize;
                        prop_assert_eq!(slots.take(key, id(number), limit), granted);
                        if granted {
                            model.holders.insert(id(number));
                        } else {
                            slots.park(key, id(number), limit);
                            model.line.push_back(id(number));
                        }
                    }
                    Act::Leave(number) => {
                        slots.leave(id(number));
                        let handed: Vec<_> = std::iter::from_fn(|| slots.hand_over(key)).collect();
                        prop_assert_eq!(handed, model.leave(id(number), limit as usize));
                    }
                }
                prop_assert!(slots.holders(key).eq(model.holders.iter().copied()));
                prop_assert!(slots.parked(key).eq(model.line.iter().copied()));
                prop_assert!(slots.holders(key).count() <= limit as usize);
            }
            (0..12).for_each(|number| slots.leave(id(number)));
            prop_assert!(slots.keys.is_empty() && slots.places.is_empty());
        }
    }

    #[test]
    fn who_has_a_smaller_limit_waits_for_more_slots() {
        let (key, mut slots) = (Digest::of(b"key"), Slots::default());
        assert!(slots.take(key, id(1), 2) && slots.take(key, id(2), 2));
        slots.park(key, id(3), 1);
        slots.leave(id(1));
        assert_eq!(slots.hand_over(key), None);
        assert!(!slots.take(key, id(4), 2), "nobody passes the line");
        slots.leave(id(2));
        assert_eq!(slots.hand_over(key), Some(id(3)));
    }
}
