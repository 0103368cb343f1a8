//! Combines occurrences: a pure function that decides which occurrences fire together.

use std::collections::HashSet;
use std::time::Duration;

use pynenc_core::Timestamp;

use crate::spec::ConditionTree;

/// The times of the waiting occurrences of each condition, oldest first, with the index of the condition.
pub(crate) type Waiting = Vec<(u32, Vec<Timestamp>)>;
/// A waiting occurrence: the index of its condition, and its index among the times of that condition.
pub(crate) type Position = (u32, usize);

/// Returns groups of occurrences that each meet `tree`, oldest first. No occurrence is in two groups.
pub(crate) fn groups(tree: &ConditionTree, waiting: &Waiting) -> Vec<Vec<Position>> {
    let mut used = HashSet::new();
    let mut groups = Vec::new();
    while let Some(group) = first(tree, waiting, &mut used) {
        used.extend(group.iter().copied());
        groups.push(group);
    }
    groups
}

/// Returns the earliest time at which the waiting occurrences can have met `tree`. An occurrence that is older than
/// that by more than the window can't fire.
pub(crate) fn earliest(tree: &ConditionTree, waiting: &Waiting) -> Option<Timestamp> {
    match tree {
        ConditionTree::Leaf(condition) => times(*condition, waiting).first().copied(),
        ConditionTree::Any(of) => of.iter().filter_map(|tree| earliest(tree, waiting)).min(),
        ConditionTree::All { of, .. } => {
            of.iter().map(|tree| earliest(tree, waiting)).try_fold(Timestamp::default(), |a, b| Some(a.max(b?)))
        }
    }
}

fn first(tree: &ConditionTree, waiting: &Waiting, used: &mut HashSet<Position>) -> Option<Vec<Position>> {
    match tree {
        ConditionTree::Leaf(condition) => {
            let count = times(*condition, waiting).len();
            let mut positions = (0..count).map(|index| (*condition, index));
            positions.find(|position| !used.contains(position)).map(|position| vec![position])
        }
        ConditionTree::Any(of) => {
            let groups = of.iter().filter_map(|tree| first(tree, waiting, used));
            groups.min_by_key(|group| span(group, waiting).1)
        }
        ConditionTree::All { of, within } => all(of, *within, waiting, used),
    }
}

/// Combines the oldest occurrence of each part. An occurrence that is too old for the others is too old for all later
/// ones, so it's marked as used.
fn all(
    of: &[ConditionTree],
    within: Duration,
    waiting: &Waiting,
    used: &mut HashSet<Position>,
) -> Option<Vec<Position>> {
    loop {
        let mut group = Vec::new();
        for tree in of {
            group.extend(first(tree, waiting, used)?);
        }
        let (start, end) = span(&group, waiting);
        if end.since(start) <= within {
            return Some(group);
        }
        used.extend(group.into_iter().filter(|position| time(*position, waiting) == start));
    }
}

/// Returns the times of the first and the last occurrence of a group.
fn span(group: &[Position], waiting: &Waiting) -> (Timestamp, Timestamp) {
    let times = || group.iter().map(|position| time(*position, waiting));
    (times().min().unwrap_or_default(), times().max().unwrap_or_default())
}

fn time((condition, index): Position, waiting: &Waiting) -> Timestamp {
    times(condition, waiting).get(index).copied().unwrap_or_default()
}

fn times(condition: u32, waiting: &Waiting) -> &[Timestamp] {
    // A trigger has few conditions.
    waiting.iter().find(|(other, _)| *other == condition).map_or(&[][..], |(_, times)| times.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waiting(times: &[&[u64]]) -> Waiting {
        let times = times.iter().map(|times| times.iter().map(|at| Timestamp::from_millis(at * 1000)).collect());
        (0..).zip(times).collect()
    }

    fn all_of(of: &[ConditionTree], seconds: u64) -> ConditionTree {
        ConditionTree::All { of: of.to_vec(), within: Duration::from_secs(seconds) }
    }

    fn check(tree: &ConditionTree, times: &[&[u64]], expected: &[&[Position]]) {
        assert_eq!(groups(tree, &waiting(times)), expected, "{tree:?} of {times:?}");
    }

    const A: ConditionTree = ConditionTree::Leaf(0);
    const B: ConditionTree = ConditionTree::Leaf(1);
    const C: ConditionTree = ConditionTree::Leaf(2);

    #[test]
    fn all_combines_the_oldest_occurrences_first() {
        let tree = all_of(&[A, B], 10);
        check(&tree, &[&[1, 2, 3], &[4, 5]], &[&[(0, 0), (1, 0)], &[(0, 1), (1, 1)]]);
        check(&tree, &[&[1], &[]], &[]);
        check(&tree, &[&[], &[1]], &[]);
    }

    #[test]
    fn occurrences_outside_the_window_dont_combine() {
        let tree = all_of(&[A, B], 10);
        check(&tree, &[&[1, 20], &[25]], &[&[(0, 1), (1, 0)]]);
        check(&tree, &[&[1], &[11]], &[&[(0, 0), (1, 0)]]);
        check(&tree, &[&[1], &[12]], &[]);
        check(&tree, &[&[30], &[1, 2, 29]], &[&[(0, 0), (1, 2)]]);
    }

    #[test]
    fn conditions_nest() {
        let tree = all_of(&[ConditionTree::Any(vec![A, B]), C], 10);
        check(&tree, &[&[1, 50], &[40], &[45, 46]], &[&[(1, 0), (2, 0)], &[(0, 1), (2, 1)]]);
        let tree = ConditionTree::Any(vec![all_of(&[A, B], 5), C]);
        check(&tree, &[&[1], &[2], &[3]], &[&[(0, 0), (1, 0)], &[(2, 0)]]);
        let tree = all_of(&[all_of(&[A, B], 1), C], 60);
        check(&tree, &[&[1, 10], &[10], &[50]], &[&[(0, 1), (1, 0), (2, 0)]]);
    }

    proptest! {
        #[test]
        fn groups_are_complete_disjoint_and_within_the_window(
            mut times in proptest::collection::vec(proptest::collection::vec(0..200u64, 0..12), 3),
            window in 0..50u64,
        ) {
            times.iter_mut().for_each(|times| times.sort_unstable());
            let times: Vec<&[u64]> = times.iter().map(Vec::as_slice).collect();
            let tree = all_of(&[A, B, C], window);
            let mut seen = HashSet::new();
            for group in groups(&tree, &waiting(&times)) {
                prop_assert_eq!(group.iter().map(|(condition, _)| *condition).collect::<Vec<_>>(), [0, 1, 2]);
                let at: Vec<u64> = group.iter().map(|(condition, index)| times[*condition as usize][*index]).collect();
                prop_assert!(at.iter().max().unwrap() - at.iter().min().unwrap() <= window);
                prop_assert!(group.into_iter().all(|position| seen.insert(position)));
            }
            let left = |condition: u32| (0..times[condition as usize].len())
                .filter(|index| !seen.contains(&(condition, *index)))
                .map(|index| times[condition as usize][index]).collect::<Vec<_>>();
            let (a, b, c) = (left(0), left(1), left(2));
            let could = a.iter().any(|a| b.iter().any(|b| c.iter().any(|c| {
                [a, b, c].into_iter().max().unwrap() - [a, b, c].into_iter().min().unwrap() <= window
            })));
            prop_assert!(!could, "the remaining occurrences contain another group: {a:?} {b:?} {c:?}");
        }
    }
}
