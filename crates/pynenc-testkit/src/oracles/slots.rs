//! That no key had more holders than it may, at any time of the histories.

use std::collections::BTreeMap;

use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::{Digest, InvocationId, Timestamp};

use super::{Breach, Evidence, Witness};

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    let mut running: BTreeMap<Digest, (u32, Vec<Span>)> = BTreeMap::new();
    let mut waiting: BTreeMap<Digest, Vec<Span>> = BTreeMap::new();
    for (id, witness) in &evidence.witnesses {
        let Some(registration) = witness.inspected.as_ref().map(|inspected| &inspected.registration) else { continue };
        if let Some(key) = &registration.running {
            let (limit, spans) = running.entry(key.key).or_insert_with(|| (key.limit, Vec::new()));
            *limit = key.limit.max(*limit);
            spans.extend(held(*id, witness));
        }
        if let Some(key) = &registration.registration {
            waiting.entry(key.key).or_default().extend(first_wait(*id, witness));
        }
    }
    for (key, (limit, spans)) in running {
        let found = most(&spans).filter(|most| most.ids.len() > limit as usize);
        breaches.extend(found.map(|most| too_many(key, limit, &most)));
    }
    for (key, spans) in waiting {
        let found = most(&spans).filter(|most| most.ids.len() > 1);
        breaches.extend(found.map(|most| {
            let told = format!("{:?} wait with key {key} at {}", most.ids, most.at.as_millis());
            Breach::new("I6", "one invocation at a time waits with a registration key", told)
        }));
    }
}

fn too_many(key: Digest, limit: u32, most: &Most) -> Breach {
    let told = format!("{:?} hold key {key} of {limit} at {}", most.ids, most.at.as_millis());
    Breach::new("I5", "at most as many holders of a running key as its limit", told)
}

/// A time in which an invocation holds something; its end is no part of it.
struct Span {
    id: InvocationId,
    from: Timestamp,
    to: Timestamp,
}

/// The times in which a runner owned it.
fn held(id: InvocationId, witness: &Witness) -> Vec<Span> {
    let history = &witness.history;
    let mut spans = Vec::new();
    let mut from = None;
    for entry in history {
        match (entry.status.is_owned(), from) {
            (true, None) => from = Some(entry.at),
            (false, Some(begin)) => {
                spans.push(Span { id, from: begin, to: entry.at });
                from = None;
            }
            _ => {}
        }
    }
    spans.extend(from.map(|from| Span { id, from, to: Timestamp::from_millis(u64::MAX) }));
    spans
}

/// The time until it was first claimed or ended: one that comes back to waiting may wait without its key.
fn first_wait(id: InvocationId, witness: &Witness) -> Option<Span> {
    let is_over = |entry: &&HistoryEntry| entry.status.is_owned() || entry.status.is_final();
    let from = witness.history.first()?.at;
    let to = witness.history.iter().find(is_over).map_or(Timestamp::from_millis(u64::MAX), |entry| entry.at);
    Some(Span { id, from, to })
}

/// Who held something when most did.
struct Most {
    ids: Vec<InvocationId>,
    at: Timestamp,
}

fn most(spans: &[Span]) -> Option<Most> {
    // What is freed and taken in the same millisecond was freed first, and what holds nothing for one isn't seen.
    let mut steps: Vec<(Timestamp, bool, InvocationId)> = Vec::new();
    for span in spans.iter().filter(|span| span.from < span.to) {
        steps.extend([(span.from, true, span.id), (span.to, false, span.id)]);
    }
    steps.sort_unstable();
    let (mut present, mut most): (Vec<InvocationId>, Option<Most>) = (Vec::new(), None);
    for (at, is_taken, id) in steps {
        if is_taken {
            present.push(id);
        } else {
            present.retain(|held| *held != id);
        }
        if present.len() > most.as_ref().map_or(0, |most| most.ids.len()) {
            most = Some(Most { ids: present.clone(), at });
        }
    }
    most
}
