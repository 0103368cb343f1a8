//! Claims: one runner gets an invocation, and its slot with it.

use pynenc_core::orchestrator::{Claim, ClaimReply};
use pynenc_core::record::{RunningKey, WhenBlocked};
use pynenc_core::status::{By, Change, advance};
use pynenc_core::{InvocationId, Reason, Status, StatusRecord, Timestamp};

use super::knots::{Node, circle};
use super::state::{Entry, LastClaim, State};

impl State {
    pub(super) fn claim(&mut self, id: InvocationId, claim: &Claim, now: Timestamp) -> ClaimReply {
        let Some(entry) = self.entries.get(&id) else { return ClaimReply::Gone };
        if let Some(last) = entry.last_claim.filter(|last| last.token == claim.token) {
            return repeated(entry, last, claim);
        }
        let change = Change::new(Status::Pending, By::Claimer(claim.runner), Reason::Claimed);
        let Ok(next) = advance(entry.record(), &change, now) else { return ClaimReply::Gone };
        if claim.left_out.contains(&entry.tracked.task) {
            return ClaimReply::LeftOut(entry.tracked.clone());
        }
        let blocked = entry.running.filter(|running| !self.slots.take(running.key, id, running.limit));
        match blocked {
            None => {
                self.enter(id, next, change);
                self.run_below(id, claim, now);
            }
            Some(running) => self.turn_away(id, running, change.by, now),
        }
        let entry = self.entry_mut(id);
        let was_granted = blocked.is_none();
        entry.last_claim = Some(LastClaim { token: claim.token, was_granted });
        if was_granted { ClaimReply::Granted(entry.tracked.clone()) } else { ClaimReply::Busy }
    }

    /// Says that the body runs, if the claim wants that said already.
    fn run_below(&mut self, id: InvocationId, claim: &Claim, now: Timestamp) {
        let record = self.entry(id).record();
        if record.losses < claim.runs_below {
            let change = Change::new(Status::Running, By::Owner(claim.runner), Reason::Started);
            let next = advance(record, &change, now).expect("what is claimed may run");
            self.enter(id, next, change);
        }
    }

    /// What becomes of a claimable invocation that finds no slot.
    fn turn_away(&mut self, id: InvocationId, running: RunningKey, by: By, now: Timestamp) {
        let record = self.entry(id).record();
        let change = if running.when_blocked == WhenBlocked::End && record.starts == 0 {
            Change::new(Status::ConcurrencyControlledFinal, by, Reason::SlotTaken)
        } else if let Some(way) = circle(&self.waits, &self.slots, id, &[Node::Key(running.key)]) {
            Change::new(Status::Failed, by, Reason::WaitCycle).detail(told(&way))
        } else {
            Change::new(Status::ConcurrencyControlled, by, Reason::SlotTaken)
        };
        let next = advance(record, &change, now).expect("what may be claimed may be parked or ended by its claimer");
        let is_parked = next.status == Status::ConcurrencyControlled;
        self.enter(id, next, change);
        if is_parked {
            self.slots.park(running.key, id, running.limit);
        }
    }
}

fn repeated(entry: &Entry, last: LastClaim, claim: &Claim) -> ClaimReply {
    match entry.record() {
        _ if !last.was_granted => ClaimReply::Busy,
        StatusRecord { owner: Some(owner), .. } if *owner == claim.runner => ClaimReply::Granted(entry.tracked.clone()),
        _ => ClaimReply::Gone,
    }
}

fn told(way: &[InvocationId]) -> String {
    let ids: Vec<String> = way.iter().map(ToString::to_string).collect();
    ids.join(" -> ")
}
