//! Pausing an invocation whose task function waits for others.

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Block, Blocked};
use pynenc_core::record::Priority;
use pynenc_core::status::{By, Change, CompareAndSet, Refusal, compare_and_set};
use pynenc_core::{InvocationId, Reason, Result, Status, StatusRecord, Timestamp};
use rustc_hash::FxHashSet;

use super::deadlock::{Node, wait_cycle};
use super::state::{Effects, State};
use crate::storage::{Map, Storage};

impl<S: Storage, E: Effects> State<S, E> {
    /// Pauses an invocation until others have finished, unless that would be a deadlock.
    pub fn block(&mut self, block: &Block, now: Timestamp) -> Result<Blocked> {
        let Some(entry) = self.entries.get(&block.waiter)? else { return Ok(Blocked::Refused(Refusal::Missing)) };
        let change = Change::new(Status::Paused, By::Owner(block.runner), Reason::Waiting);
        let pause = match pause(entry.record(), block, &change, now) {
            Ok(pause) => pause,
            Err(refusal) => return Ok(Blocked::Refused(refusal)),
        };
        let (mut seen, mut on) = (FxHashSet::default(), Vec::with_capacity(block.on.len()));
        for id in block.on.iter().copied() {
            if self.is_unfinished(id)? && seen.insert(id) {
                on.push(id);
            }
        }
        if on.is_empty() {
            return Ok(Blocked::Ready);
        }
        let nodes: Vec<Node> = on.iter().copied().map(Node::Invocation).collect();
        if let Some(cycle) = wait_cycle(&self.waits, &self.slots, block.waiter, &nodes)? {
            return Ok(Blocked::Cycle(cycle));
        }
        if let Some(next) = pause {
            self.apply(block.waiter, next, change)?;
        }
        self.waits.add(block.waiter, &on)?;
        let record = self.entry(block.waiter)?.record().clone();
        let raised = on.iter().filter_map(|id| self.raised(*id).transpose()).collect::<Result<_>>()?;
        Ok(Blocked::Waiting { record, raised })
    }

    pub(super) fn is_unfinished(&self, id: InvocationId) -> Result<bool> {
        Ok(self.record(id)?.is_some_and(|record| !record.status.is_final()))
    }

    /// The hint of an awaited invocation with its raised priority, if the invocation is queued.
    fn raised(&self, id: InvocationId) -> Result<Option<Message>> {
        let tracked = &self.entry(id)?.tracked;
        if !tracked.record.is_queued() {
            return Ok(None);
        }
        let waiters = self.waits.count_up_to(id, Priority::MAX.level().into())?;
        Ok(Some(Message { priority: tracked.priority.raised(waiters), ..tracked.message() }))
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
