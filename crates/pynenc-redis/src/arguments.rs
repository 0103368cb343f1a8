//! Arguments that several scripts take.

use pynenc_core::InvocationId;
use pynenc_core::broker::Pop;
use pynenc_core::orchestrator::{Block, Claim, Transition};
use pynenc_core::record::Registration;
use pynenc_core::{QueueName, Result};

use crate::codec::{self, Pack};
use crate::codes::{reason_code, status_code};
use crate::entry;

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

pub(crate) fn registration(registration: &Registration) -> Result<Vec<u8>> {
    let Registration { id, task, queue, due, registration: key, idempotency, .. } = registration;
    let idempotency_key = idempotency.as_ref().map_or("", |idempotency| &idempotency.key);
    codec::check_names([task.as_str(), queue.as_str(), idempotency_key])?;
    let pack = Pack::new()
        .bytes(id.as_bytes())
        .due(*due)
        .u8(key.is_some().into())
        .u8(idempotency.is_some().into())
        .sized(&entry::stored_registration(registration));
    let Some(idempotency) = idempotency else { return Ok(pack.done()) };
    let name = [task.as_str().as_bytes(), b"\0", idempotency.key.as_bytes()].concat();
    Ok(pack.sized(&name).bytes(idempotency.arguments.as_bytes()).done())
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

pub(crate) fn transition(transition: &Transition) -> Vec<u8> {
    let Transition { id, seen, change } = transition;
    Pack::new()
        .bytes(id.as_bytes())
        .u32(seen.version)
        .u32(seen.epoch)
        .u8(status_code(change.to))
        .by(change.by)
        .u8(reason_code(change.reason))
        .due(change.due)
        .u8(change.detail.is_some().into())
        .bytes(change.detail.as_deref().unwrap_or_default().as_bytes())
        .done()
}

pub(crate) fn waiter(block: &Block) -> Vec<u8> {
    let Block { waiter, seen, runner, .. } = block;
    let pack = Pack::new().bytes(waiter.as_bytes()).u32(seen.version).u32(seen.epoch);
    pack.bytes(runner.as_bytes()).done()
}
