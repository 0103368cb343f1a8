//! That what has to be done once was.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::InvocationId;
use pynenc_core::trigger_store::{Delivery, RunOutcome};

use super::{Breach, Evidence};

/// What a body writes down of a value that an operation of its workflow gave it, as `position=value`.
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

/// What was fired has become an invocation, and no other run has the same.
fn undelivered(evidence: &Evidence) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut runs_of: BTreeMap<InvocationId, &str> = BTreeMap::new();
    for fired in &evidence.fired {
        let RunOutcome::Call { invocation, .. } = &fired.run.outcome else { continue };
        if fired.delivery == Delivery::Open {
            found.push(once(format!("run {} of {} was never submitted", fired.run.id, fired.run.trigger)));
        }
        if let Some(other) = runs_of.insert(*invocation, &fired.run.id) {
            found.push(once(format!("runs {other} and {} are both {invocation}", fired.run.id)));
        }
    }
    found
}

fn operation(found: String) -> Breach {
    Breach::new("I10", "one value for each operation of a workflow", found)
}

fn positions(evidence: &Evidence) -> Vec<Breach> {
    let mut found = Vec::new();
    for (id, witness) in &evidence.witnesses {
        let mut positions: BTreeSet<&str> = BTreeSet::new();
        for recorded in witness.journal.iter().flat_map(|journal| &journal.entries) {
            if !positions.insert(&recorded.entry.position) {
                found.push(operation(format!("{id} has two entries at {}", recorded.entry.position)));
            }
        }
    }
    found
}

/// Whoever ran the body, and however often, was given the same.
fn values(evidence: &Evidence) -> Vec<Breach> {
    let mut values: BTreeMap<(InvocationId, &str), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for note in evidence.notes.iter().filter(|note| note.what == GOT) {
        let Some((position, value)) = note.name.split_once('=') else { continue };
        let first = values.entry((note.invocation, position)).or_insert(value);
        if *first != value {
            found.push(operation(format!("{} was given {first} and {value} at {position}", note.invocation)));
        }
    }
    found
}
