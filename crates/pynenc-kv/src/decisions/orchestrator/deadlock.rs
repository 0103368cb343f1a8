//! Deadlock detection: finds a wait cycle before the wait that would close it.
//!
//! The wait graph has a node for each invocation and for each running key. A paused invocation needs all awaited
//! invocations to finish. A parked one needs one holder of its key to finish. (If the limit of a key changes between
//! deployments, it may need more of them. Such a deadlock isn't found.)
//!
//! The nodes that can continue are a least fixpoint that starts from the nodes without waits. The other nodes are stuck:
//! they are a wait cycle, or several that block each other.

use std::collections::VecDeque;

use pynenc_core::{Digest, InvocationId, Result};
use rustc_hash::{FxHashMap, FxHashSet};

use super::slots::Slots;
use super::waits::Waits;
use crate::storage::Storage;

/// A node of the wait graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// An invocation: stuck if one of the awaited nodes is.
    Invocation(InvocationId),
    /// A running key: stuck if all of its holders are.
    Key(Digest),
}

/// Returns the wait cycle from `waiter` back to `waiter`, if a wait for `on` would be a deadlock.
pub(super) fn wait_cycle<S: Storage>(
    waits: &Waits<S>,
    slots: &Slots<S>,
    waiter: InvocationId,
    on: &[Node],
) -> Result<Option<Vec<InvocationId>>> {
    let graph = Graph { waits, slots, waiter: Node::Invocation(waiter) };
    if !graph.connects(on)? {
        return Ok(None);
    }
    let stuck = graph.stuck(on)?;
    let Some(cycle) = graph.shortest_cycle(on, &stuck)? else { return Ok(None) };
    let calls = cycle.into_iter().filter_map(|node| match node {
        Node::Invocation(id) => Some(id),
        Node::Key(_) => None,
    });
    Ok(Some(calls.collect()))
}

struct Graph<'a, S: Storage> {
    waits: &'a Waits<S>,
    slots: &'a Slots<S>,
    waiter: Node,
}

impl<S: Storage> Graph<'_, S> {
    /// Visits the nodes that `node` waits for.
    fn visit_awaited(&self, node: Node, mut visit: impl FnMut(Node)) -> Result<()> {
        match node {
            Node::Invocation(id) => {
                for awaited in self.waits.of(id) {
                    visit(Node::Invocation(awaited?));
                }
                self.slots.awaited_by(id)?.map(Node::Key).into_iter().for_each(visit);
            }
            Node::Key(key) => {
                for holder in self.slots.holders(key) {
                    visit(Node::Invocation(holder?));
                }
            }
        }
        Ok(())
    }

    /// Visits the nodes that wait for `node`.
    fn visit_waiters(&self, node: Node, mut visit: impl FnMut(Node)) -> Result<()> {
        match node {
            Node::Invocation(id) => {
                for waiter in self.waits.waiters(id) {
                    visit(Node::Invocation(waiter?));
                }
                self.slots.held_by(id)?.map(Node::Key).into_iter().for_each(visit);
            }
            Node::Key(key) => {
                for parked in self.slots.parked(key) {
                    visit(Node::Invocation(parked?));
                }
            }
        }
        Ok(())
    }

    /// Whether a path leads from `on` to the start. The search goes from both ends, because one of them is nearly always a
    /// new invocation without waits. Each step is made at the cheaper end, so many parked invocations are visited last.
    fn connects(&self, on: &[Node]) -> Result<bool> {
        let (mut down, mut up) = (Search::from(on), Search::from(&[self.waiter]));
        while let (Some(lower), Some(upper)) = (down.peek(), up.peek()) {
            let width = self.width(upper, down.spent + 1)?;
            if up.spent + width <= down.spent + 1 {
                if down.seen.contains(&upper) {
                    return Ok(true);
                }
                up.skip(width);
                self.visit_waiters(upper, |next| up.add(next))?;
            } else {
                if up.seen.contains(&lower) {
                    return Ok(true);
                }
                down.skip(1);
                self.visit_awaited(lower, |next| down.add(next))?;
            }
        }
        Ok(false)
    }

    /// The number of waiters to visit. Above `most` it may be any number that is greater.
    fn width(&self, node: Node, most: usize) -> Result<usize> {
        match node {
            Node::Invocation(_) => Ok(1),
            Node::Key(key) => Ok(self.slots.parked_up_to(key, most)?.max(1)),
        }
    }

    /// The nodes reachable from `on` that can't continue before the start does.
    fn stuck(&self, on: &[Node]) -> Result<FxHashSet<Node>> {
        let mut stuck = self.reach(on)?;
        let mut fresh = Vec::new();
        for node in stuck.iter().copied() {
            if node != self.waiter && self.waits_for(node)? == 0 {
                fresh.push(node);
            }
        }
        let mut open_waits = FxHashMap::default();
        while let Some(free) = fresh.pop() {
            if !stuck.remove(&free) {
                continue;
            }
            let mut waiters = Vec::new();
            self.visit_waiters(free, |node| waiters.push(node))?;
            for node in waiters {
                if node != self.waiter && stuck.contains(&node) && self.is_freed(node, &mut open_waits)? {
                    fresh.push(node);
                }
            }
        }
        Ok(stuck)
    }

    fn waits_for(&self, node: Node) -> Result<usize> {
        let mut count = 0;
        self.visit_awaited(node, |_| count += 1)?;
        Ok(count)
    }

    /// Whether `node` can continue, now that one more of its awaited nodes can. One holder is enough for a key.
    fn is_freed(&self, node: Node, open_waits: &mut FxHashMap<Node, usize>) -> Result<bool> {
        if matches!(node, Node::Key(_)) {
            return Ok(true);
        }
        let open = match open_waits.get_mut(&node) {
            Some(open) => open,
            None => open_waits.entry(node).or_insert(self.waits_for(node)?),
        };
        *open -= 1;
        Ok(*open == 0)
    }

    fn reach(&self, on: &[Node]) -> Result<FxHashSet<Node>> {
        let mut search = Search::from(on);
        while let Some(node) = search.next() {
            if node != self.waiter {
                self.visit_awaited(node, |next| search.add(next))?;
            }
        }
        Ok(search.seen)
    }

    /// The shortest path from the start over stuck nodes back to the start.
    fn shortest_cycle(&self, on: &[Node], stuck: &FxHashSet<Node>) -> Result<Option<Vec<Node>>> {
        let mut before = FxHashMap::default();
        let mut open: VecDeque<(Node, Node)> = on.iter().map(|node| (*node, self.waiter)).collect();
        while let Some((node, from)) = open.pop_front() {
            if !stuck.contains(&node) || before.contains_key(&node) {
                continue;
            }
            before.insert(node, from);
            if node == self.waiter {
                return Ok(Some(self.path_back(&before)));
            }
            self.visit_awaited(node, |next| open.push_back((next, node)))?;
        }
        Ok(None)
    }

    fn path_back(&self, before: &FxHashMap<Node, Node>) -> Vec<Node> {
        let mut path = vec![self.waiter];
        let back = std::iter::successors(before.get(&self.waiter), |node| before.get(node));
        path.extend(back.take_while(|node| **node != self.waiter));
        path.push(self.waiter);
        path.reverse();
        path
    }
}

struct Search {
    seen: FxHashSet<Node>,
    open: Vec<Node>,
    spent: usize,
}

impl Search {
    fn from(nodes: &[Node]) -> Self {
        Self { seen: nodes.iter().copied().collect(), open: nodes.to_vec(), spent: 0 }
    }

    fn peek(&self) -> Option<Node> {
        self.open.last().copied()
    }

    /// Removes the node that [`Search::peek`] returned.
    fn skip(&mut self, cost: usize) {
        self.open.pop();
        self.spent += cost;
    }

    fn add(&mut self, node: Node) {
        if self.seen.insert(node) {
            self.open.push(node);
        }
    }

    fn next(&mut self) -> Option<Node> {
        self.open.pop()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use super::*;
    use crate::native::Native;
    use proptest::prelude::*;

    fn id(number: u32) -> InvocationId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        InvocationId::from_bytes(bytes)
    }

    fn calls(numbers: &[u32]) -> Vec<Node> {
        numbers.iter().map(|number| Node::Invocation(id(*number))).collect()
    }

    fn chain(length: u32) -> Waits<Native> {
        let mut waits = Waits::open(&Native);
        (0..length).for_each(|number| waits.add(id(number), &[id(number + 1)]).unwrap());
        waits
    }

    fn check(waits: &Waits<Native>, slots: &Slots<Native>, waiter: u32, on: &[u32], expected: Option<&[u32]>) {
        let expected = expected.map(|numbers| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>());
        assert_eq!(wait_cycle(waits, slots, id(waiter), &calls(on)).unwrap(), expected);
    }

    #[test]
    fn a_wait_cycle_is_found_with_its_path() {
        let (waits, slots) = (chain(3), Slots::open(&Native));
        check(&waits, &slots, 3, &[0], Some(&[3, 0, 1, 2, 3]));
        check(&waits, &slots, 3, &[7, 2], Some(&[3, 2, 3]));
        check(&waits, &slots, 7, &[7], Some(&[7, 7]));
        check(&waits, &slots, 7, &[0], None);
    }

    #[test]
    fn a_long_chain_of_waits_is_searched_without_recursion() {
        let waits = chain(100_000);
        let cycle = wait_cycle(&waits, &Slots::open(&Native), id(100_000), &calls(&[0])).unwrap().unwrap();
        assert_eq!(cycle.len(), 100_002);
    }

    #[test]
    fn a_parked_invocation_is_stuck_when_every_holder_is() {
        let (key, mut waits, mut slots) = (Digest::of(b"key"), Waits::open(&Native), Slots::open(&Native));
        assert!(slots.take(key, id(1), 2).unwrap() && slots.take(key, id(2), 2).unwrap());
        slots.park(key, id(3), 2).unwrap();
        check(&waits, &slots, 1, &[3], None);
        waits.add(id(1), &[id(3)]).unwrap();
        check(&waits, &slots, 2, &[3], Some(&[2, 3, 2]));
    }

    /// Whether a wait for `on` is a deadlock, by brute force over the definition.
    fn is_stuck(waits: &Waits<Native>, slots: &Slots<Native>, waiter: InvocationId, on: &[Node]) -> bool {
        let all = || (0..12).map(id).filter(|id| *id != waiter);
        let mut free: FxHashSet<InvocationId> = FxHashSet::default();
        for _ in 0..12 {
            for node in all() {
                let mut holders =
                    slots.awaited_by(node).unwrap().into_iter().flat_map(|key| slots.holders(key)).peekable();
                let has_slot = holders.peek().is_none() || holders.any(|id| free.contains(&id.unwrap()));
                if has_slot && waits.of(node).all(|awaited| free.contains(&awaited.unwrap())) {
                    free.insert(node);
                }
            }
        }
        !on.iter().all(|node| matches!(node, Node::Invocation(id) if free.contains(id)))
    }

    fn check_found(waits: &Waits<Native>, slots: &Slots<Native>, waiter: InvocationId, on: &[Node]) -> bool {
        let found = wait_cycle(waits, slots, waiter, on).unwrap();
        assert_eq!(found.is_some(), is_stuck(waits, slots, waiter, on));
        if let Some(cycle) = &found {
            assert_eq!((cycle[0], cycle[cycle.len() - 1]), (waiter, waiter));
            assert!(cycle.len() >= 2 && on.contains(&Node::Invocation(cycle[1])));
        }
        found.is_some()
    }

    proptest! {
        /// Waits and claims in any order. As in the orchestrator, a step that would close a wait cycle isn't made.
        #[test]
        fn deadlocks_are_found_as_defined(
            acts in prop::collection::vec((0..12u32, 0..12u32, any::<bool>()), 0..60),
            limit in 1..4u32,
        ) {
            let (mut waits, mut slots) = (Waits::open(&Native), Slots::open(&Native));
            for (one, other, is_claim) in acts {
                let (one, key) = (id(one), Digest::of(&[u8::from(other > 8)]));
                let is_busy = slots.awaited_by(one).unwrap().is_some();
                let may_park = waits.of(one).next().is_none() && slots.held_by(one).unwrap().is_none();
                if is_claim && !is_busy && may_park && !slots.take(key, one, limit).unwrap() {
                    if wait_cycle(&waits, &slots, one, &[Node::Key(key)]).unwrap().is_none() {
                        slots.park(key, one, limit).unwrap();
                    }
                } else if !is_claim && !is_busy && !check_found(&waits, &slots, one, &[Node::Invocation(id(other))]) {
                    waits.add(one, &[id(other)]).unwrap();
                }
            }
        }
    }
}
