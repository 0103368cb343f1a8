//! Pausing an invocation whose task function waits for others.

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Block, Blocked};
use pynenc_core::status::{By, Change, CompareAndSet, Refusal, compare_and_set};
use pynenc_core::{InvocationId, Reason, Status, StatusRecord, Timestamp};
use rustc_hash::FxHashSet;

use super::deadlock::{Node, wait_cycle};
use super::state::State;

impl State {
    pub(super) fn block(&mut self, block: &Block, now: Timestamp) -> Blocked {
        let Some(entry) = self.entries.get(&block.waiter) else { return Blocked::Refused(Refusal::Missing) };
        let change = Change::new(Status::Paused, By::Owner(block.runner), Reason::Waiting);
        let pause = match pause(entry.record(), block, &change, now) {
            Ok(pause) => pause,
            Err(refusal) => return Blocked::Refused(refusal),
        };
        let mut seen = FxHashSet::default();
        let unfinished = block.on.iter().copied().filter(|id| self.is_unfinished(*id) && seen.insert(*id));
        let on: Vec<InvocationId> = unfinished.collect();
        if on.is_empty() {
            return Blocked::Ready;
        }
        let nodes: Vec<Node> = on.iter().copied().map(Node::Invocation).collect();
        if let Some(cycle) = wait_cycle(&self.waits, &self.slots, block.waiter, &nodes) {
            return Blocked::Cycle(cycle);
        }
        if let Some(next) = pause {
            self.apply(block.waiter, next, change);
        }
        self.waits.add(block.waiter, &on);
        let record = self.entry(block.waiter).record().clone();
        Blocked::Waiting { record, raised: on.iter().filter_map(|id| self.raised(*id)).collect() }
    }

    pub(super) fn is_unfinished(&self, id: InvocationId) -> bool {
        self.entries.get(&id).is_some_and(|entry| !entry.record().status.is_final())
    }

    /// The hint of an awaited invocation with its raised priority, if the invocation is queued.
    fn raised(&self, id: InvocationId) -> Option<Message> {
        let tracked = &self.entry(id).tracked;
        let priority = tracked.priority.raised(self.waits.count(id));
        tracked.record.is_queued().then(|| Message { priority, ..tracked.message() })
    }
}

/// The record of the paused waiter; `None` if the waiter is paused already.
fn pause(
    record: &StatusRecord,
    block: &Block,
    change: &Change,
    now: Timestamp,
) -> Result<Option<StatusRecord>, Refusal> {
    let is_current = record.version == block.seen.version && record.epoch == block.seen.epoch;
    if record.status == Status::Paused && is_current && record.owner == Some(block.runner) {
        return Ok(None);
    }
    match compare_and_set(record, &block.seen, change, now) {
        CompareAndSet::Advanced(next) => Ok(Some(next)),
        CompareAndSet::AlreadyMine => Ok(None),
        CompareAndSet::Refused(refusal) => Err(refusal),
    }
}
