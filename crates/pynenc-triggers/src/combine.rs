//! Which occurrences fire together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pynenc_core::Timestamp;

use crate::spec::Node;

/// What waits, by the number of its condition: times, oldest first.
pub(crate) type Waiting = BTreeMap<u32, Vec<Timestamp>>;
/// A place in what waits: a condition, and how many of it are older.
pub(crate) type Place = (u32, usize);

/// The groups of occurrences that fulfil `node`, oldest first; none is in two groups.
pub(crate) fn groups(node: &Node, waiting: &Waiting) -> Vec<Vec<Place>> {
    let mut gone = BTreeSet::new();
    let mut groups = Vec::new();
    while let Some(group) = first(node, waiting, &mut gone) {
        gone.extend(group.iter().copied());
        groups.push(group);
    }
    groups
}

/// The first moment at which what waits can have fulfilled `node`; nothing can fire together with what is older than that
/// by more than the window.
pub(crate) fn earliest(node: &Node, waiting: &Waiting) -> Option<Timestamp> {
    match node {
        Node::Leaf(leaf) => waiting.get(leaf)?.first().copied(),
        Node::Any(of) => of.iter().filter_map(|node| earliest(node, waiting)).min(),
        Node::All { of, .. } => {
            of.iter().map(|node| earliest(node, waiting)).try_fold(Timestamp::default(), |a, b| Some(a.max(b?)))
        }
    }
}

fn first(node: &Node, waiting: &Waiting, gone: &mut BTreeSet<Place>) -> Option<Vec<Place>> {
    match node {
        Node::Leaf(leaf) => {
            let count = waiting.get(leaf)?.len();
            (0..count).map(|place| (*leaf, place)).find(|place| !gone.contains(place)).map(|place| vec![place])
        }
        Node::Any(of) => {
            let groups = of.iter().filter_map(|node| first(node, waiting, gone));
            groups.min_by_key(|group| span(group, waiting).1)
        }
        Node::All { of, within } => all(of, *within, waiting, gone),
    }
}

/// The oldest of each; one that is too old for the others can't go with any later ones either, and is left.
fn all(of: &[Node], within: Duration, waiting: &Waiting, gone: &mut BTreeSet<Place>) -> Option<Vec<Place>> {
    loop {
        let mut group = Vec::new();
        for node in of {
            group.extend(first(node, waiting, gone)?);
        }
        let (start, end) = span(&group, waiting);
        if end.since(start) <= within {
            return Some(group);
        }
        gone.extend(group.into_iter().filter(|place| time(*place, waiting) == start));
    }
}

fn span(group: &[Place], waiting: &Waiting) -> (Timestamp, Timestamp) {
    let times = || group.iter().map(|place| time(*place, waiting));
    (times().min().unwrap_or_default(), times().max().unwrap_or_default())
}

fn time((leaf, place): Place, waiting: &Waiting) -> Timestamp {
    waiting.get(&leaf).and_then(|times| times.get(place)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(times: &[&[u64]]) -> Waiting {
        let times = times.iter().map(|times| times.iter().map(|at| Timestamp::from_millis(at * 1000)).collect());
        (0..).zip(times).collect()
    }

    fn all_of(of: &[Node], seconds: u64) -> Node {
        Node::All { of: of.to_vec(), within: Duration::from_secs(seconds) }
    }

    fn check(node: &Node, times: &[&[u64]], expected: &[&[Place]]) {
        assert_eq!(groups(node, &waiting(times)), expected, "{node:?} of {times:?}");
    }

    const A: Node = Node::Leaf(0);
    const B: Node = Node::Leaf(1);
    const C: Node = Node::Leaf(2);

    #[test]
    fn all_pairs_the_oldest_first() {
        let node = all_of(&[A, B], 10);
        check(&node, &[&[1, 2, 3], &[4, 5]], &[&[(0, 0), (1, 0)], &[(0, 1), (1, 1)]]);
        check(&node, &[&[1], &[]], &[]);
        check(&node, &[&[], &[1]], &[]);
    }

    #[test]
    fn what_is_further_apart_than_the_window_isnt_paired() {
        let node = all_of(&[A, B], 10);
        check(&node, &[&[1, 20], &[25]], &[&[(0, 1), (1, 0)]]);
        check(&node, &[&[1], &[11]], &[&[(0, 0), (1, 0)]]);
        check(&node, &[&[1], &[12]], &[]);
        check(&node, &[&[30], &[1, 2, 29]], &[&[(0, 0), (1, 2)]]);
    }

    #[test]
    fn conditions_nest() {
        let node = all_of(&[Node::Any(vec![A, B]), C], 10);
        check(&node, &[&[1, 50], &[40], &[45, 46]], &[&[(1, 0), (2, 0)], &[(0, 1), (2, 1)]]);
        let node = Node::Any(vec![all_of(&[A, B], 5), C]);
        check(&node, &[&[1], &[2], &[3]], &[&[(0, 0), (1, 0)], &[(2, 0)]]);
        let node = all_of(&[all_of(&[A, B], 1), C], 60);
        check(&node, &[&[1, 10], &[10], &[50]], &[&[(0, 1), (1, 0), (2, 0)]]);
    }

    proptest! {
        #[test]
        fn groups_are_whole_within_the_window_and_apart(
            mut times in proptest::collection::vec(proptest::collection::vec(0..200u64, 0..12), 3),
            window in 0..50u64,
        ) {
            times.iter_mut().for_each(|times| times.sort_unstable());
            let times: Vec<&[u64]> = times.iter().map(Vec::as_slice).collect();
            let node = all_of(&[A, B, C], window);
            let mut seen = BTreeSet::new();
            for group in groups(&node, &waiting(&times)) {
                prop_assert_eq!(group.iter().map(|place| place.0).collect::<Vec<_>>(), [0, 1, 2]);
                let at: Vec<u64> = group.iter().map(|(leaf, place)| times[*leaf as usize][*place]).collect();
                prop_assert!(at.iter().max().unwrap() - at.iter().min().unwrap() <= window);
                prop_assert!(group.into_iter().all(|place| seen.insert(place)));
            }
            let left = |leaf: u32| (0..times[leaf as usize].len()).filter(|place| !seen.contains(&(leaf, *place)))
                .map(|place| times[leaf as usize][place]).collect::<Vec<_>>();
            let (a, b, c) = (left(0), left(1), left(2));
            let could = a.iter().any(|a| b.iter().any(|b| c.iter().any(|c| {
                [a, b, c].into_iter().max().unwrap() - [a, b, c].into_iter().min().unwrap() <= window
            })));
            prop_assert!(!could, "what is left could have been a group: {a:?} {b:?} {c:?}");
        }
    }
}
