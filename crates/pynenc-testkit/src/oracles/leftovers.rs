//! Checks that finished invocations leave nothing behind.

use pynenc_core::InvocationId;

use super::breach::Breach;
use super::evidence::{Evidence, InvocationEvidence, Leftover};

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    let mut found: Vec<String> =
        evidence.invocations.iter().flat_map(|(id, invocation)| held(*id, invocation)).collect();
    found.extend(evidence.orphaned_records.iter().map(|id| format!("a record of {id}, which was never registered")));
    found.extend(waiting(evidence));
    let owners = evidence.runners.iter().filter(|runner| runner.owned > 0);
    found.extend(owners.map(|runner| format!("runner {} owns {} invocations", runner.id, runner.owned)));
    let leftover = |found| Breach::new("I7", "a finished invocation leaves nothing but its record", found);
    breaches.extend(found.into_iter().map(leftover));
    for Leftover { key, of } in &evidence.leftovers {
        let found = format!("{key} holds {of}");
        breaches.push(Breach::new("I8", "after every retention nothing is left", found));
    }
}

/// Lists everything that a finished invocation still holds, or lacks.
fn held(id: InvocationId, invocation: &InvocationEvidence) -> Vec<String> {
    if !invocation.tracked.record.status.is_final() {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(inspected) = &invocation.inspected {
        if inspected.holders.contains(&id) {
            found.push(format!("{id} has finished and holds a slot"));
        }
        found.extend(inspected.parked_before.map(|_| format!("{id} has finished and is parked")));
        found.extend(inspected.awaits.iter().map(|other| format!("{id} has finished and waits for {other}")));
    }
    if !invocation.has_record {
        found.push(format!("{id} has no record"));
    }
    found
}

/// Lists non-empty queues and counts. Nothing may wait when every invocation has finished.
fn waiting(evidence: &Evidence) -> Vec<String> {
    if evidence.invocations.values().any(|invocation| !invocation.tracked.record.status.is_final()) {
        return Vec::new();
    }
    let counted = evidence.counts.queued.iter().filter(|(_, count)| **count > 0);
    let mut found: Vec<_> =
        counted.map(|(queue, count)| format!("{count} invocations are counted in queue {queue}")).collect();
    let hinted = evidence.queues.iter().filter(|(_, len)| len.ready + len.delayed > 0);
    found.extend(
        hinted.map(|(queue, len)| format!("queue {queue} has {} ready and {} delayed hints", len.ready, len.delayed)),
    );
    let unfinished = evidence.counts.statuses.iter().filter(|(status, count)| !status.is_final() && **count > 0);
    found.extend(unfinished.map(|(status, count)| format!("{count} invocations are counted as {status}")));
    let total: u64 = evidence.counts.statuses.values().sum();
    if total != evidence.invocations.len() as u64 {
        found.push(format!("{total} invocations are counted and {} are listed", evidence.invocations.len()));
    }
    found
}
