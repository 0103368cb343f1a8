//! Claiming: one runner becomes the owner of an invocation, and takes its concurrency slot.

use pynenc_core::orchestrator::{Claim, ClaimReply};
use pynenc_core::record::{RunningKey, WhenBlocked};
use pynenc_core::status::{By, Change, advance};
use pynenc_core::{InvocationId, Reason, Status, StatusRecord, Timestamp};

use super::deadlock::{Node, wait_cycle};
use super::state::{Entry, LastClaim, State};

impl State {
    pub(super) fn claim(&mut self, id: InvocationId, claim: &Claim, now: Timestamp) -> ClaimReply {
        let Some(entry) = self.entries.get(&id) else { return ClaimReply::Gone };
        if let Some(last) = entry.last_claim.filter(|last| last.token == claim.token) {
            return repeated_reply(entry, last, claim);
        }
        let change = Change::new(Status::Pending, By::Claimer(claim.runner), Reason::Claimed);
        let Ok(next) = advance(entry.record(), &change, now) else { return ClaimReply::Gone };
        if claim.left_out.contains(&entry.tracked.task) {
            return ClaimReply::LeftOut(entry.tracked.clone());
        }
        let blocked = entry.running.filter(|running| !self.slots.take(running.key, id, running.limit));
        match blocked {
            None => {
                self.apply(id, next, change);
                self.start_below(id, claim, now);
            }
            Some(running) => self.turn_away(id, running, change.by, now),
        }
        let entry = self.entry_mut(id);
        let was_granted = blocked.is_none();
        entry.last_claim = Some(LastClaim { token: claim.token, was_granted });
        if was_granted { ClaimReply::Granted(entry.tracked.clone()) } else { ClaimReply::Busy }
    }

    /// Starts the invocation, if the claim asks for that and the invocation has few losses.
    fn start_below(&mut self, id: InvocationId, claim: &Claim, now: Timestamp) {
        let record = self.entry(id).record();
        if record.losses < claim.runs_below {
            let change = Change::new(Status::Running, By::Owner(claim.runner), Reason::Started);
            let next = advance(record, &change, now).expect("a claimed invocation may run");
            self.apply(id, next, change);
        }
    }

    /// Parks, finishes or fails a claimable invocation that finds no free slot.
    fn turn_away(&mut self, id: InvocationId, running: RunningKey, by: By, now: Timestamp) {
        let record = self.entry(id).record();
        let change = if running.when_blocked == WhenBlocked::Drop && record.starts == 0 {
            Change::new(Status::ConcurrencyControlledFinal, by, Reason::SlotTaken)
        } else if let Some(cycle) = wait_cycle(&self.waits, &self.slots, id, &[Node::Key(running.key)]) {
            Change::new(Status::Failed, by, Reason::WaitCycle).detail(joined(&cycle))
        } else {
            Change::new(Status::ConcurrencyControlled, by, Reason::SlotTaken)
        };
        let next =
            advance(record, &change, now).expect("a claimable invocation may be parked or finished by its claimer");
        let is_parked = next.status == Status::ConcurrencyControlled;
        self.apply(id, next, change);
        if is_parked {
            self.slots.park(running.key, id, running.limit);
        }
    }
}

fn repeated_reply(entry: &Entry, last: LastClaim, claim: &Claim) -> ClaimReply {
    match entry.record() {
        _ if !last.was_granted => ClaimReply::Busy,
        StatusRecord { owner: Some(owner), .. } if *owner == claim.runner => ClaimReply::Granted(entry.tracked.clone()),
        _ => ClaimReply::Gone,
    }
}

fn joined(cycle: &[InvocationId]) -> String {
    let ids: Vec<String> = cycle.iter().map(ToString::to_string).collect();
    ids.join(" -> ")
}
