//! That each run of a body is accounted for, and that the right one committed.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::{InvocationId, Reason, Status};

use super::{Breach, Evidence, Witness, shown};
use crate::ledger::Note;

/// What a body writes down first.
const BEGIN: &str = "begin";

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    for (id, notes) in by_invocation(&evidence.notes) {
        // One that nobody knows was never acknowledged, or has outlived its retention.
        let Some(witness) = evidence.witnesses.get(&id) else { continue };
        breaches.extend(unclaimed(id, witness, &notes));
        breaches.extend(uncounted(id, witness, &notes));
        breaches.extend(uncommitted(id, witness, &notes));
    }
    breaches.extend(evidence.witnesses.iter().filter_map(|(id, witness)| stolen(*id, witness)));
}

fn by_invocation(notes: &[Note]) -> BTreeMap<InvocationId, Vec<&Note>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    notes.iter().for_each(|note| all.entry(note.invocation).or_default().push(note));
    all
}

fn unexplained(found: String) -> Breach {
    Breach::new("I3", "each run of a body explained by the history", found)
}

/// Each epoch that a body ran under was claimed and begun.
fn unclaimed(id: InvocationId, witness: &Witness, notes: &[&Note]) -> Option<Breach> {
    let begun: BTreeSet<u64> = begun(&witness.history).map(|entry| entry.epoch).collect();
    let note = notes.iter().find(|note| !begun.contains(&note.epoch))?;
    Some(unexplained(format!("{id} ran at epoch {}:{}", note.epoch, shown(&witness.history))))
}

fn begun(history: &[HistoryEntry]) -> impl Iterator<Item = &HistoryEntry> {
    history.iter().filter(|entry| entry.status == Status::Running && entry.reason == Reason::Started)
}

fn uncounted(id: InvocationId, witness: &Witness, notes: &[&Note]) -> Option<Breach> {
    let begins: Vec<u64> = notes.iter().filter(|note| note.what == BEGIN).map(|note| note.epoch).collect();
    let epochs: BTreeSet<u64> = begins.iter().copied().collect();
    let starts = witness.tracked.record.starts as usize;
    let told = || format!("{id} began at epochs {begins:?} and counts {starts} starts:{}", shown(&witness.history));
    (begins.len() > starts || begins.len() > epochs.len()).then(|| unexplained(told()))
}

/// A body that writes notes wrote one under the claim that committed its value.
fn uncommitted(id: InvocationId, witness: &Witness, notes: &[&Note]) -> Option<Breach> {
    let record = &witness.tracked.record;
    let is_right = record.status != Status::Success || notes.iter().any(|note| note.epoch == record.epoch);
    let told = || format!("{id} succeeded at epoch {}, and nobody ran then: {notes:#?}", record.epoch);
    (!is_right).then(|| Breach::new("I4", "a commit of a body that ran under its claim", told()))
}

/// Who committed had the last claim.
fn stolen(id: InvocationId, witness: &Witness) -> Option<Breach> {
    let last = witness.history.last().filter(|last| last.status == Status::Success)?;
    let claim = witness.history.iter().rfind(|entry| entry.status == Status::Pending)?;
    let is_right = claim.epoch == last.epoch && (last.runner.is_none() || claim.runner == last.runner);
    let told = || format!("{id} was committed by {:?}:{}", last.runner, shown(&witness.history));
    (!is_right).then(|| Breach::new("I4", "a commit by who had the last claim", told()))
}
