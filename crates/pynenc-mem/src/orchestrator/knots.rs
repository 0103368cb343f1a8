//! Circles of waits: found before they close.
//!
//! A paused invocation goes on when all that it waits for has ended, a parked one when one of the holders of its key
//! has. So the graph has two sorts of node, and who can go on at all is a least fixpoint over it that starts from
//! those who wait for nothing. What is left is stuck: a circle, or several that hold each other.

use std::collections::VecDeque;

use pynenc_core::{Digest, InvocationId};
use rustc_hash::{FxHashMap, FxHashSet};

use super::slots::Slots;
use super::waits::Waits;

/// Something that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// An invocation: stuck when one that it waits for is.
    Call(InvocationId),
    /// A running key: stuck when all of its holders are.
    Key(Digest),
}

/// The way from `waiter` back to `waiter`, if it could never go on once it waited for `on`.
pub(super) fn circle(waits: &Waits, slots: &Slots, waiter: InvocationId, on: &[Node]) -> Option<Vec<InvocationId>> {
    let graph = Graph { waits, slots, start: Node::Call(waiter) };
    if !graph.connects(on) {
        return None;
    }
    let stuck = graph.stuck(on);
    let calls = graph.way(on, &stuck)?.into_iter().filter_map(|node| match node {
        Node::Call(id) => Some(id),
        Node::Key(_) => None,
    });
    Some(calls.collect())
}

struct Graph<'a> {
    waits: &'a Waits,
    slots: &'a Slots,
    /// Who is about to wait.
    start: Node,
}

impl Graph<'_> {
    /// What `node` waits for.
    fn ahead(&self, node: Node, visit: impl FnMut(Node)) {
        match node {
            Node::Call(id) => {
                let key = self.slots.awaited_by(id).map(Node::Key);
                self.waits.of(id).map(Node::Call).chain(key).for_each(visit);
            }
            Node::Key(key) => self.slots.holders(key).map(Node::Call).for_each(visit),
        }
    }

    /// What waits for `node`.
    fn behind(&self, node: Node, visit: impl FnMut(Node)) {
        match node {
            Node::Call(id) => {
                let key = self.slots.held_by(id).map(Node::Key);
                self.waits.waiters(id).map(Node::Call).chain(key).for_each(visit);
            }
            Node::Key(key) => self.slots.parked(key).map(Node::Call).for_each(visit),
        }
    }

    /// Whether any way leads from `on` to the start, looked for from both ends at once: one of them is nearly always a
    /// fresh invocation without waits, whatever hangs on the other. Each step is made where it is the cheaper, so that
    /// a long line of parked ones is looked at last.
    fn connects(&self, on: &[Node]) -> bool {
        let (mut down, mut up) = (Search::from(on), Search::from(&[self.start]));
        while let (Some(lower), Some(upper)) = (down.peek(), up.peek()) {
            let width = self.width(upper);
            if up.spent + width <= down.spent + 1 {
                if down.seen.contains(&upper) {
                    return true;
                }
                up.pass(width);
                self.behind(upper, |next| up.add(next));
            } else {
                if up.seen.contains(&lower) {
                    return true;
                }
                down.pass(1);
                self.ahead(lower, |next| down.add(next));
            }
        }
        false
    }

    /// What it costs to look behind a node.
    fn width(&self, node: Node) -> usize {
        match node {
            Node::Call(_) => 1,
            Node::Key(key) => self.slots.line(key).max(1),
        }
    }

    /// Everything that `on` leads to and that can't go on before the start does.
    fn stuck(&self, on: &[Node]) -> FxHashSet<Node> {
        let mut stuck = self.reach(on);
        let mut fresh: Vec<Node> = stuck.iter().copied().filter(|node| self.is_free(*node)).collect();
        let mut open_waits = FxHashMap::default();
        while let Some(free) = fresh.pop() {
            if !stuck.remove(&free) {
                continue;
            }
            self.behind(free, |node| {
                if node != self.start && stuck.contains(&node) && self.is_freed(node, &mut open_waits) {
                    fresh.push(node);
                }
            });
        }
        stuck
    }

    fn is_free(&self, node: Node) -> bool {
        node != self.start && self.waits_for(node) == 0
    }

    fn waits_for(&self, node: Node) -> usize {
        let mut count = 0;
        self.ahead(node, |_| count += 1);
        count
    }

    /// Whether `node` can go on, now that one more of what it waits for can. One holder is enough for a key.
    fn is_freed(&self, node: Node, open_waits: &mut FxHashMap<Node, usize>) -> bool {
        if matches!(node, Node::Key(_)) {
            return true;
        }
        let open = open_waits.entry(node).or_insert_with(|| self.waits_for(node));
        *open -= 1;
        *open == 0
    }

    fn reach(&self, on: &[Node]) -> FxHashSet<Node> {
        let mut search = Search::from(on);
        while let Some(node) = search.next() {
            if node != self.start {
                self.ahead(node, |next| search.add(next));
            }
        }
        search.seen
    }

    /// The shortest way from the start over what is stuck back to the start.
    fn way(&self, on: &[Node], stuck: &FxHashSet<Node>) -> Option<Vec<Node>> {
        let mut before = FxHashMap::default();
        let mut open: VecDeque<(Node, Node)> = on.iter().map(|node| (*node, self.start)).collect();
        while let Some((node, from)) = open.pop_front() {
            if !stuck.contains(&node) || before.contains_key(&node) {
                continue;
            }
            before.insert(node, from);
            if node == self.start {
                return Some(self.traced(&before));
            }
            self.ahead(node, |next| open.push_back((next, node)));
        }
        None
    }

    fn traced(&self, before: &FxHashMap<Node, Node>) -> Vec<Node> {
        let mut way = vec![self.start];
        let back = std::iter::successors(before.get(&self.start), |node| before.get(node));
        way.extend(back.take_while(|node| **node != self.start));
        way.push(self.start);
        way.reverse();
        way
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

    /// Leaves the node behind that [`Search::peek`] gave.
    fn pass(&mut self, cost: usize) {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u32) -> InvocationId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        InvocationId::from_bytes(bytes)
    }

    fn calls(numbers: &[u32]) -> Vec<Node> {
        numbers.iter().map(|number| Node::Call(id(*number))).collect()
    }

    fn chain(length: u32) -> Waits {
        let mut waits = Waits::default();
        (0..length).for_each(|number| waits.add(id(number), &[id(number + 1)]));
        waits
    }

    fn check(waits: &Waits, slots: &Slots, waiter: u32, on: &[u32], expected: Option<&[u32]>) {
        let expected = expected.map(|numbers| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>());
        assert_eq!(circle(waits, slots, id(waiter), &calls(on)), expected);
    }

    #[test]
    fn waits_that_come_back_are_told_with_the_way() {
        let (waits, slots) = (chain(3), Slots::default());
        check(&waits, &slots, 3, &[0], Some(&[3, 0, 1, 2, 3]));
        check(&waits, &slots, 3, &[7, 2], Some(&[3, 2, 3]));
        check(&waits, &slots, 7, &[7], Some(&[7, 7]));
        check(&waits, &slots, 7, &[0], None);
    }

    #[test]
    fn long_chains_are_no_trouble() {
        let waits = chain(100_000);
        let way = circle(&waits, &Slots::default(), id(100_000), &calls(&[0])).unwrap();
        assert_eq!(way.len(), 100_002);
    }

    #[test]
    fn a_parked_one_is_stuck_when_every_holder_is() {
        let (key, mut waits, mut slots) = (Digest::of(b"key"), Waits::default(), Slots::default());
        assert!(slots.take(key, id(1), 2) && slots.take(key, id(2), 2));
        slots.park(key, id(3), 2);
        check(&waits, &slots, 1, &[3], None);
        waits.add(id(1), &[id(3)]);
        check(&waits, &slots, 2, &[3], Some(&[2, 3, 2]));
    }

    /// Who can go on, by brute force over the definition, when `waiter` can't.
    fn is_stuck(waits: &Waits, slots: &Slots, waiter: InvocationId, on: &[Node]) -> bool {
        let all = || (0..12).map(id).filter(|id| *id != waiter);
        let mut free: FxHashSet<InvocationId> = FxHashSet::default();
        for _ in 0..12 {
            for node in all() {
                let mut holders = slots.awaited_by(node).into_iter().flat_map(|key| slots.holders(key)).peekable();
                let has_slot = holders.peek().is_none() || holders.any(|id| free.contains(&id));
                if has_slot && waits.of(node).all(|awaited| free.contains(&awaited)) {
                    free.insert(node);
                }
            }
        }
        !on.iter().all(|node| matches!(node, Node::Call(id) if free.contains(id)))
    }

    fn check_found(waits: &Waits, slots: &Slots, waiter: InvocationId, on: &[Node]) -> bool {
        let found = circle(waits, slots, waiter, on);
        assert_eq!(found.is_some(), is_stuck(waits, slots, waiter, on));
        if let Some(way) = &found {
            assert_eq!((way[0], way[way.len() - 1]), (waiter, waiter));
            assert!(way.len() >= 2 && on.contains(&Node::Call(way[1])));
        }
        found.is_some()
    }

    proptest! {
        /// Waits and claims in any order, each made only if it closes no circle, as the orchestrator does.
        #[test]
        fn what_is_found_is_what_the_definition_says(
            acts in prop::collection::vec((0..12u32, 0..12u32, any::<bool>()), 0..60),
            limit in 1..4u32,
        ) {
            let (mut waits, mut slots) = (Waits::default(), Slots::default());
            for (one, other, is_claim) in acts {
                let (one, key) = (id(one), Digest::of(&[u8::from(other > 8)]));
                let is_busy = slots.awaited_by(one).is_some();
                let may_park = waits.of(one).next().is_none() && slots.held_by(one).is_none();
                if is_claim && !is_busy && may_park && !slots.take(key, one, limit) {
                    if circle(&waits, &slots, one, &[Node::Key(key)]).is_none() {
                        slots.park(key, one, limit);
                    }
                } else if !is_claim && !is_busy && !check_found(&waits, &slots, one, &[Node::Call(id(other))]) {
                    waits.add(one, &[id(other)]);
                }
            }
        }
    }
}
