//! Checks that triggers fire once and that workflow operations have one value.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::InvocationId;
use pynenc_core::trigger_store::{Delivery, RunOutcome};

use super::breach::Breach;
use super::evidence::Evidence;

/// The action that a task function records when an operation of its workflow returns a value, as `position=value`.
const GOT: &str = "got";

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    breaches.extend(slots(evidence));
    breaches.extend(undelivered(evidence));
    breaches.extend(positions(evidence));
    breaches.extend(values(evidence));
}

fn slots(evidence: &Evidence) -> Vec<Breach> {
    let mut runs: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for fired in &evidence.fired {
        if let Some(slot) = &fired.run.slot {
            runs.entry((&fired.run.trigger, slot.to)).or_default().push(&fired.run.id);
        }
    }
    let twice = runs.into_iter().filter(|(_, runs)| runs.len() > 1);
    twice.map(|((trigger, slot), runs)| once(format!("slot {slot:?} of {trigger} was fired by {runs:?}"))).collect()
}

fn once(found: String) -> Breach {
    Breach::new("I9", "one invocation for each slot of a trigger", found)
}

/// Checks that each fired run became an invocation, and that no two runs share one.
fn undelivered(evidence: &Evidence) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut runs_of: BTreeMap<InvocationId, &str> = BTreeMap::new();
    for fired in &evidence.fired {
        let RunOutcome::Call { invocation, .. } = &fired.run.outcome else { continue };
        if fired.delivery == Delivery::Open {
            found.push(once(format!("run {} of {} was never submitted", fired.run.id, fired.run.trigger)));
        }
        if let Some(other) = runs_of.insert(*invocation, &fired.run.id) {
            found.push(once(format!("runs {other} and {} have the same invocation {invocation}", fired.run.id)));
        }
    }
    found
}

fn operation(found: String) -> Breach {
    Breach::new("I10", "one value for each operation of a workflow", found)
}

fn positions(evidence: &Evidence) -> Vec<Breach> {
    let mut found = Vec::new();
    for (id, invocation) in &evidence.invocations {
        let mut positions: BTreeSet<&str> = BTreeSet::new();
        for recorded in invocation.journal.iter().flat_map(|journal| &journal.entries) {
            if !positions.insert(&recorded.entry.position) {
                found.push(operation(format!("{id} has two entries at {}", recorded.entry.position)));
            }
        }
    }
    found
}

/// Checks that every replay got the same value for an operation.
fn values(evidence: &Evidence) -> Vec<Breach> {
    let mut values: BTreeMap<(InvocationId, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for note in evidence.notes.iter().filter(|note| note.action == GOT) {
        let Some((position, value)) = note.name.split_once('=') else { continue };
        let first = values.entry((note.invocation, position)).or_insert(value);
        if *first != value {
            found.push(operation(format!("{} got {first} and {value} at {position}", note.invocation)));
        }
    }
    found
}
