//! Arguments that several scripts take.

use pynenc_core::InvocationId;
use pynenc_core::broker::Pop;
use pynenc_core::orchestrator::Claim;
use pynenc_core::record::Registration;
use pynenc_core::{QueueName, Result};

use crate::codec::{self, Pack};
use crate::entry::{LaneRecord, new_entry};

/// The largest number of items in one call of a script.
pub(crate) const BATCH: usize = 500;

/// A number as text.
pub(crate) fn decimal(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

/// The limit of a script that answers with a list.
pub(crate) fn limit(limit: usize) -> Vec<u8> {
    decimal(limit.min(BATCH) as u64)
}

pub(crate) fn ids(ids: &[InvocationId]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| id.as_bytes().to_vec()).collect()
}

pub(crate) fn queues(queues: &[QueueName]) -> impl Iterator<Item = Vec<u8>> {
    queues.iter().map(|queue| queue.as_str().as_bytes().to_vec())
}

/// The arguments of an item: those that it may share with other items, and its own.
pub(crate) struct Item<const N: usize> {
    pub(crate) shared: [Vec<u8>; N],
    pub(crate) own: [Vec<u8>; 2],
}

/// The arguments of a script for items. Items with the same shared arguments, one behind the other, are a run: first
/// the shared arguments, then the number of the items, and then each item's own.
pub(crate) fn runs<const N: usize>(mut items: Vec<Item<N>>) -> Vec<Vec<u8>> {
    let mut arguments = Vec::with_capacity(2 * items.len() + N + 1);
    for run in items.chunk_by_mut(|one, next| one.shared == next.shared) {
        arguments.extend_from_slice(&run[0].shared);
        arguments.push(decimal(run.len() as u64));
        for item in run {
            arguments.extend(std::mem::take(&mut item.own));
        }
    }
    arguments
}

/// A new call: the head of its entry; and its id with what a few calls have, and its record.
pub(crate) fn new_call(registration: &Registration, record: Option<&LaneRecord>) -> Result<Item<1>> {
    let Registration { id, task, queue, due, idempotency, .. } = registration;
    let idempotency_key = idempotency.as_ref().map_or("", |idempotency| &idempotency.key);
    codec::check_names([task.as_str(), queue.as_str(), idempotency_key])?;
    let mut item = Pack::with_capacity(16).bytes(id.as_bytes());
    if due.is_some() || idempotency.is_some() {
        item = item.due(*due).u8(idempotency.is_some().into());
    }
    if let Some(idempotency) = idempotency {
        let name = [task.as_str().as_bytes(), b"\0", idempotency.key.as_bytes()].concat();
        item = item.sized(&name).bytes(idempotency.arguments.as_bytes());
    }
    let [head, rest] = new_entry(registration, record);
    Ok(Item { shared: [head], own: [item.done(), rest] })
}

/// The arguments of a script that registers calls, for each batch of them.
pub(crate) fn new_calls(calls: impl IntoIterator<Item = Result<Item<1>>>) -> Result<Vec<Vec<Vec<u8>>>> {
    let mut calls = calls.into_iter();
    let mut batches = Vec::new();
    loop {
        let batch = calls.by_ref().take(BATCH).collect::<Result<Vec<_>>>()?;
        if batch.is_empty() {
            return Ok(batches);
        }
        batches.push(runs(batch));
    }
}

/// A claim, without its candidates.
fn claim_header(claim: &Claim) -> Vec<Vec<u8>> {
    let runs_below = decimal(claim.runs_below.into());
    let mut arguments = vec![claim.runner.as_bytes().to_vec(), claim.token.as_bytes().to_vec(), runs_below];
    arguments.push(decimal(claim.left_out.len() as u64));
    arguments.extend(claim.left_out.iter().map(|task| task.as_str().as_bytes().to_vec()));
    arguments
}

/// A claim of some of its candidates.
pub(crate) fn claim(claim: &Claim, candidates: &[InvocationId]) -> Vec<Vec<u8>> {
    let mut arguments = claim_header(claim);
    arguments.extend(ids(candidates));
    arguments
}

/// A claim of popped hints.
pub(crate) fn claim_of_popped(claim: &Claim, pop: &Pop) -> Vec<Vec<u8>> {
    let mut arguments = claim_header(claim);
    arguments.push(limit(pop.max));
    arguments.extend(queues(&pop.queues));
    arguments
}
