//! Bodies that wait for other invocations.

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Block, Blocked};
use pynenc_core::status::{By, Change, Expect, Refusal, Verdict, judge};
use pynenc_core::{InvocationId, Reason, Status, StatusRecord, Timestamp};
use rustc_hash::FxHashSet;

use super::knots::{Node, circle};
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
        let living = block.on.iter().copied().filter(|id| self.lives(*id) && seen.insert(*id));
        let on: Vec<InvocationId> = living.collect();
        if on.is_empty() {
            return Blocked::Ready;
        }
        let nodes: Vec<Node> = on.iter().copied().map(Node::Call).collect();
        if let Some(way) = circle(&self.waits, &self.slots, block.waiter, &nodes) {
            return Blocked::Cycle(way);
        }
        if let Some(next) = pause {
            self.enter(block.waiter, next, change);
        }
        self.waits.add(block.waiter, &on);
        let record = self.entry(block.waiter).record().clone();
        Blocked::Waiting { record, raised: on.iter().filter_map(|id| self.raised(*id)).collect() }
    }

    pub(super) fn lives(&self, id: InvocationId) -> bool {
        self.entries.get(&id).is_some_and(|entry| !entry.record().status.is_final())
    }

    /// The hint of what is waited for, if it is queued.
    fn raised(&self, id: InvocationId) -> Option<Message> {
        let tracked = &self.entry(id).tracked;
        let priority = tracked.priority.raised(self.waits.count(id));
        tracked.record.is_queued().then(|| Message { priority, ..tracked.message() })
    }
}

/// The record that pausing makes; `None` for a waiter that is paused already.
fn pause(
    record: &StatusRecord,
    block: &Block,
    change: &Change,
    now: Timestamp,
) -> Result<Option<StatusRecord>, Refusal> {
    let is_current = Expect::from(record) == block.expect && record.owner == Some(block.runner);
    if record.status == Status::Paused && is_current {
        return Ok(None);
    }
    match judge(record, block.expect, change, now) {
        Verdict::Advanced(next) => Ok(Some(next)),
        Verdict::AlreadyMine => Ok(None),
        Verdict::Refused(refusal) => Err(refusal),
    }
}
