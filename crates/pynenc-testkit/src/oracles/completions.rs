//! Checks that every invocation finishes, exactly once.

use pynenc_core::record::{Outcome, Payload};
use pynenc_core::{InvocationId, Status};

use super::breach::Breach;
use super::evidence::{Evidence, InvocationEvidence, format_history};

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    breaches.extend(evidence.accepted.iter().filter_map(|id| accepted(evidence, *id)));
    breaches.extend(evidence.invocations.iter().filter_map(|(id, invocation)| unfinished(*id, invocation)));
    breaches.extend(evidence.invocations.iter().filter_map(|(id, invocation)| finished_once(*id, invocation)));
    breaches.extend(evidence.invocations.iter().filter_map(|(id, invocation)| has_outcome(*id, invocation)));
    breaches.extend(evidence.results.iter().filter_map(|(id, value)| unchanged(evidence, *id, value)));
}

fn lost(found: String) -> Breach {
    Breach::new("I1", "every acknowledged invocation has finished", found)
}

fn accepted(evidence: &Evidence, id: InvocationId) -> Option<Breach> {
    (!evidence.invocations.contains_key(&id)).then(|| lost(format!("{id} is gone")))
}

fn unfinished(id: InvocationId, invocation: &InvocationEvidence) -> Option<Breach> {
    let InvocationEvidence { tracked, history, .. } = invocation;
    let found = || format!("{id} of {} is {}:{}", tracked.task, tracked.record.status, format_history(history));
    (!tracked.record.status.is_final()).then(|| lost(found()))
}

fn finished_once(id: InvocationId, invocation: &InvocationEvidence) -> Option<Breach> {
    let (record, history) = (&invocation.tracked.record, &invocation.history);
    if !record.status.is_final() {
        return None;
    }
    let finals = history.iter().filter(|entry| entry.status.is_final()).count();
    let is_last = history.last().is_some_and(|last| last.status == record.status && last.version == record.version);
    let is_complete = history.iter().map(|entry| entry.version).eq(1..=history.len() as u64);
    let found = || format!("{id} is {} at version {}:{}", record.status, record.version, format_history(history));
    (finals != 1 || !is_last || !is_complete)
        .then(|| Breach::new("I2", "a complete history with one final line, the last one", found()))
}

/// Checks that a success has its outcome.
fn has_outcome(id: InvocationId, invocation: &InvocationEvidence) -> Option<Breach> {
    let record = &invocation.tracked.record;
    let is_there = match record.status {
        Status::Success => matches!(invocation.outcome, Some(Outcome::Value { .. })),
        _ => true,
    };
    let found = || format!("{id} has {:?} at epoch {}", invocation.outcome, record.epoch);
    (!is_there).then(|| Breach::new("I2", "a success has the outcome of the epoch that committed", found()))
}

/// Checks that a result that a client received is still the stored one.
fn unchanged(evidence: &Evidence, id: InvocationId, value: &str) -> Option<Breach> {
    let now = evidence.invocations.get(&id)?.outcome.as_ref()?;
    let Outcome::Value { value: Payload::Inline(bytes), .. } = now else { return None };
    let found = || format!("{id} returned {value}, and the store has {}", String::from_utf8_lossy(bytes));
    (bytes != value.as_bytes()).then(|| Breach::new("I2", "an outcome never changes", found()))
}
