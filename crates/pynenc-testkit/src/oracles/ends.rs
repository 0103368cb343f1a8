//! That everything ends, once and for all.

use pynenc_core::record::{Outcome, Payload};
use pynenc_core::{InvocationId, Status};

use super::{Breach, Evidence, Witness, shown};

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    breaches.extend(evidence.accepted.iter().filter_map(|id| accepted(evidence, *id)));
    breaches.extend(evidence.witnesses.iter().filter_map(|(id, witness)| unended(*id, witness)));
    breaches.extend(evidence.witnesses.iter().filter_map(|(id, witness)| ended_once(*id, witness)));
    breaches.extend(evidence.witnesses.iter().filter_map(|(id, witness)| has_outcome(*id, witness)));
    breaches.extend(evidence.seen.iter().filter_map(|(id, value)| unchanged(evidence, *id, value)));
}

fn lost(found: String) -> Breach {
    Breach::new("I1", "everything that was acknowledged has ended", found)
}

fn accepted(evidence: &Evidence, id: InvocationId) -> Option<Breach> {
    (!evidence.witnesses.contains_key(&id)).then(|| lost(format!("{id} is gone")))
}

fn unended(id: InvocationId, witness: &Witness) -> Option<Breach> {
    let Witness { tracked, history, .. } = witness;
    let told = || format!("{id} of {} is {}:{}", tracked.task, tracked.record.status, shown(history));
    (!tracked.record.status.is_final()).then(|| lost(told()))
}

fn ended_once(id: InvocationId, witness: &Witness) -> Option<Breach> {
    let (record, history) = (&witness.tracked.record, &witness.history);
    if !record.status.is_final() {
        return None;
    }
    let finals = history.iter().filter(|entry| entry.status.is_final()).count();
    let is_last = history.last().is_some_and(|last| last.status == record.status && last.version == record.version);
    let is_whole = history.iter().map(|entry| entry.version).eq(1..=history.len() as u64);
    let told = || format!("{id} is {} at version {}:{}", record.status, record.version, shown(history));
    (finals != 1 || !is_last || !is_whole)
        .then(|| Breach::new("I2", "a whole history with one final line, the last", told()))
}

/// The values of whoever committed are there.
fn has_outcome(id: InvocationId, witness: &Witness) -> Option<Breach> {
    let record = &witness.tracked.record;
    let is_there = match record.status {
        Status::Success => matches!(witness.outcome, Some(Outcome::Value { .. })),
        _ => true,
    };
    let told = || format!("{id} has {:?} at epoch {}", witness.outcome, record.epoch);
    (!is_there).then(|| Breach::new("I2", "a success has the outcome of the epoch that committed", told()))
}

/// What was given once is what is there now.
fn unchanged(evidence: &Evidence, id: InvocationId, value: &str) -> Option<Breach> {
    let now = evidence.witnesses.get(&id)?.outcome.as_ref()?;
    let Outcome::Value { value: Payload::Inline(bytes), .. } = now else { return None };
    let told = || format!("{id} gave {value}, and gives {}", String::from_utf8_lossy(bytes));
    (bytes != value.as_bytes()).then(|| Breach::new("I2", "an outcome never changes", told()))
}
