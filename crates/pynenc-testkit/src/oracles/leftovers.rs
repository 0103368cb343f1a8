//! That what has ended leaves nothing behind.

use super::{Breach, Evidence, Witness};
use pynenc_core::InvocationId;

/// Something in a store that belongs to an invocation or a runner that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The key.
    pub key: String,
    /// What it holds or names.
    pub of: String,
}

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    let mut found: Vec<String> = evidence.witnesses.iter().flat_map(|(id, witness)| held(*id, witness)).collect();
    found.extend(evidence.strays.iter().map(|id| format!("a record of {id}, which nobody registered")));
    found.extend(waiting(evidence));
    let owners = evidence.runners.iter().filter(|runner| runner.owned > 0);
    found.extend(owners.map(|runner| format!("runner {} owns {}", runner.id, runner.owned)));
    let has_ended = |found| Breach::new("I7", "nothing is left of what has ended but its record", found);
    breaches.extend(found.into_iter().map(has_ended));
    for Leftover { key, of } in &evidence.leftovers {
        let found = format!("{key} holds {of}");
        breaches.push(Breach::new("I8", "after every retention nothing is left", found));
    }
}

/// What an invocation that has ended still holds, or lacks.
fn held(id: InvocationId, witness: &Witness) -> Vec<String> {
    if !witness.tracked.record.status.is_final() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(inspected) = &witness.inspected {
        if inspected.holders.contains(&id) {
            found.push(format!("{id} has ended and holds a slot"));
        }
        found.extend(inspected.parked_before.map(|_| format!("{id} has ended and is parked")));
        found.extend(inspected.awaits.iter().map(|other| format!("{id} has ended and waits for {other}")));
    }
    if !witness.has_record {
        found.push(format!("{id} has no record"));
    }
    found
}

/// What waits in queues, of which nothing does once all have ended.
fn waiting(evidence: &Evidence) -> Vec<String> {
    if evidence.witnesses.values().any(|witness| !witness.tracked.record.status.is_final()) {
        return Vec::new();
    }
    let counted = evidence.counts.queued.iter().filter(|(_, count)| **count > 0);
    let mut found: Vec<_> = counted.map(|(queue, count)| format!("{count} are counted in queue {queue}")).collect();
    let hinted = evidence.queues.iter().filter(|(_, len)| len.ready + len.delayed > 0);
    found.extend(hinted.map(|(queue, len)| format!("queue {queue} has {} and {} hints", len.ready, len.delayed)));
    let unended = evidence.counts.statuses.iter().filter(|(status, count)| !status.is_final() && **count > 0);
    found.extend(unended.map(|(status, count)| format!("{count} are counted as {status}")));
    let total: u64 = evidence.counts.statuses.values().sum();
    if total != evidence.witnesses.len() as u64 {
        found.push(format!("{total} are counted and {} listed", evidence.witnesses.len()));
    }
    found
}
