//! Checks that the history explains each run of a task function, and that the last claim committed.

use std::collections::{BTreeMap, BTreeSet};

use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::{InvocationId, Reason, Status};

use super::breach::Breach;
use super::evidence::{Evidence, InvocationEvidence, format_history};
use crate::ledger::Note;

/// The action that a task function records first.
const BEGIN: &str = "begin";

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    for (id, notes) in by_invocation(&evidence.notes) {
        // An unknown invocation was never acknowledged, or its retention is over.
        let Some(invocation) = evidence.invocations.get(&id) else { continue };
        breaches.extend(unclaimed(id, invocation, &notes));
        breaches.extend(unstarted(id, invocation, &notes));
        breaches.extend(uncommitted(id, invocation, &notes));
    }
    breaches.extend(evidence.invocations.iter().filter_map(|(id, invocation)| committed_by_another(*id, invocation)));
}

fn by_invocation(notes: &[Note]) -> BTreeMap<InvocationId, Vec<&Note>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    notes.iter().for_each(|note| all.entry(note.invocation).or_default().push(note));
    all
}

fn unexplained(found: String) -> Breach {
    Breach::new("I3", "the history explains each run of a task function", found)
}

/// Checks that each recorded epoch was claimed and started.
fn unclaimed(id: InvocationId, invocation: &InvocationEvidence, notes: &[&Note]) -> Option<Breach> {
    let begun: BTreeSet<u64> = begun(&invocation.history).map(|entry| entry.epoch).collect();
    let note = notes.iter().find(|note| !begun.contains(&note.epoch))?;
    Some(unexplained(format!("{id} ran at epoch {}:{}", note.epoch, format_history(&invocation.history))))
}

fn begun(history: &[HistoryEntry]) -> impl Iterator<Item = &HistoryEntry> {
    history.iter().filter(|entry| entry.status == Status::Running && entry.reason == Reason::Started)
}

fn unstarted(id: InvocationId, invocation: &InvocationEvidence, notes: &[&Note]) -> Option<Breach> {
    let begins: Vec<u64> = notes.iter().filter(|note| note.action == BEGIN).map(|note| note.epoch).collect();
    let epochs: BTreeSet<u64> = begins.iter().copied().collect();
    let starts = invocation.tracked.record.starts as usize;
    let found = || {
        format!("{id} began at epochs {begins:?} and counts {starts} starts:{}", format_history(&invocation.history))
    };
    (begins.len() > starts || begins.len() > epochs.len()).then(|| unexplained(found()))
}

/// Checks that a task function that records actions recorded one under the claim that committed.
fn uncommitted(id: InvocationId, invocation: &InvocationEvidence, notes: &[&Note]) -> Option<Breach> {
    let record = &invocation.tracked.record;
    let is_right = record.status != Status::Success || notes.iter().any(|note| note.epoch == record.epoch);
    let found = || format!("{id} succeeded at epoch {} without a run at that epoch: {notes:#?}", record.epoch);
    (!is_right).then(|| Breach::new("I4", "a task function that commits ran under its claim", found()))
}

/// Checks that the runner that committed had the last claim.
fn committed_by_another(id: InvocationId, invocation: &InvocationEvidence) -> Option<Breach> {
    let last = invocation.history.last().filter(|last| last.status == Status::Success)?;
    let claim = invocation.history.iter().rfind(|entry| entry.status == Status::Pending)?;
    let is_right = claim.epoch == last.epoch && (last.runner.is_none() || claim.runner == last.runner);
    let found = || format!("{id} was committed by {:?}:{}", last.runner, format_history(&invocation.history));
    (!is_right).then(|| Breach::new("I4", "the runner that commits has the last claim", found()))
}
