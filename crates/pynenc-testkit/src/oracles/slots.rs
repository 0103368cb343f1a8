//! Checks that no concurrency key ever had more holders than its limit, according to the histories.

use std::collections::BTreeMap;

use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::{Digest, InvocationId, Timestamp};

use super::breach::Breach;
use super::evidence::{Evidence, InvocationEvidence};

pub(super) fn check(evidence: &Evidence, breaches: &mut Vec<Breach>) {
    let mut running: BTreeMap<Digest, (u32, Vec<Span>)> = BTreeMap::new();
    let mut waiting: BTreeMap<Digest, Vec<Span>> = BTreeMap::new();
    for (id, invocation) in &evidence.invocations {
        let Some(registration) = invocation.inspected.as_ref().map(|inspected| &inspected.registration) else {
            continue;
        };
        if let Some(key) = &registration.running {
            let (limit, spans) = running.entry(key.key).or_insert_with(|| (key.limit, Vec::new()));
            *limit = key.limit.max(*limit);
            spans.extend(held(*id, invocation));
        }
        if let Some(key) = &registration.registration {
            waiting.entry(key.key).or_default().extend(first_wait(*id, invocation));
        }
    }
    for (key, (limit, spans)) in running {
        let found = most(&spans).filter(|most| most.ids.len() > limit as usize);
        breaches.extend(found.map(|most| too_many(key, limit, &most)));
    }
    for (key, spans) in waiting {
        let found = most(&spans).filter(|most| most.ids.len() > 1);
        breaches.extend(found.map(|most| {
            let found = format!("{:?} wait with key {key} at {}", most.ids, most.at.as_millis());
            Breach::new("I6", "one invocation at a time waits with a registration key", found)
        }));
    }
}

fn too_many(key: Digest, limit: u32, most: &Most) -> Breach {
    let found = format!("{:?} hold key {key} of {limit} at {}", most.ids, most.at.as_millis());
    Breach::new("I5", "at most as many holders of a running key as its limit", found)
}

/// A time span in which an invocation holds something. The end is exclusive.
struct Span {
    id: InvocationId,
    from: Timestamp,
    to: Timestamp,
}

/// The spans in which a runner owned the invocation.
fn held(id: InvocationId, invocation: &InvocationEvidence) -> Vec<Span> {
    let history = &invocation.history;
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

/// The span until the first claim or completion. An invocation that waits again may wait without its key.
fn first_wait(id: InvocationId, invocation: &InvocationEvidence) -> Option<Span> {
    let is_over = |entry: &&HistoryEntry| entry.status.is_owned() || entry.status.is_final();
    let from = invocation.history.first()?.at;
    let to = invocation.history.iter().find(is_over).map_or(Timestamp::from_millis(u64::MAX), |entry| entry.at);
    Some(Span { id, from, to })
}

/// The holders at the moment with the most holders.
struct Most {
    ids: Vec<InvocationId>,
    at: Timestamp,
}

fn most(spans: &[Span]) -> Option<Most> {
    // Within one millisecond a release sorts before the next acquisition. Empty spans are skipped.
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
