//! Claiming: one runner becomes the owner of an invocation, and takes its concurrency slot.

use pynenc_core::orchestrator::{Claim, ClaimReply};
use pynenc_core::record::{RunningKey, WhenBlocked};
use pynenc_core::status::{By, Change, advance};
use pynenc_core::{Error, ErrorKind, InvocationId, Reason, Result, RunnerId, Status, StatusRecord, Timestamp};

use super::deadlock::{Node, wait_cycle};
use super::state::{Effects, Entry, LastClaim, State, impossible};
use crate::storage::{Map, Storage};

/// The error of a claim by a retired runner.
pub fn retired(runner: RunnerId) -> Error {
    Error::new(ErrorKind::Retired, "the runner was retired").with("runner", runner)
}

impl<S: Storage, E: Effects> State<S, E> {
    /// Whether a runner may claim: it isn't retired. A new runner gets a lease.
    pub fn may_claim(&mut self, runner: RunnerId, now: Timestamp) -> Result<bool> {
        self.runners.may_claim(runner, now)
    }

    /// Makes a runner the owner of a candidate, if the runner can have it.
    pub fn claim(&mut self, id: InvocationId, claim: &Claim, now: Timestamp) -> Result<ClaimReply> {
        if self.is_unreadable(id)? {
            return Ok(ClaimReply::Gone);
        }
        let Some(entry) = self.entries.get(&id)? else { return Ok(ClaimReply::Gone) };
        if let Some(last) = entry.last_claim.filter(|last| last.token == claim.token) {
            return Ok(repeated_reply(entry, last, claim));
        }
        let change = Change::new(Status::Pending, By::Claimer(claim.runner), Reason::Claimed);
        let Ok(next) = advance(entry.record(), &change, now) else { return Ok(ClaimReply::Gone) };
        if claim.left_out.contains(&entry.tracked.task) {
            return Ok(ClaimReply::LeftOut(entry.tracked.clone()));
        }
        let blocked = match entry.running {
            Some(running) if !self.slots.take(running.key, id, running.limit)? => Some(running),
            _ => None,
        };
        match blocked {
            None => {
                self.apply(id, next, change)?;
                self.start_below(id, claim, now)?;
            }
            Some(running) => self.turn_away(id, running, change.by, now)?,
        }
        let entry = self.entry_mut(id)?;
        let was_granted = blocked.is_none();
        entry.last_claim = Some(LastClaim { token: claim.token, was_granted });
        Ok(if was_granted { ClaimReply::Granted(entry.tracked.clone()) } else { ClaimReply::Busy })
    }

    /// Starts the invocation, if the claim asks for that and the invocation has few losses.
    fn start_below(&mut self, id: InvocationId, claim: &Claim, now: Timestamp) -> Result<()> {
        let record = self.entry(id)?.record();
        if record.losses < claim.runs_below {
            let change = Change::new(Status::Running, By::Owner(claim.runner), Reason::Started);
            let next = advance(record, &change, now).map_err(impossible)?;
            self.apply(id, next, change)?;
        }
        Ok(())
    }

    /// Parks, finishes or fails a claimable invocation that finds no free slot.
    fn turn_away(&mut self, id: InvocationId, running: RunningKey, by: By, now: Timestamp) -> Result<()> {
        let record = self.entry(id)?.record();
        let change = if running.when_blocked == WhenBlocked::Drop && record.starts == 0 {
            Change::new(Status::ConcurrencyControlledFinal, by, Reason::SlotTaken)
        } else if let Some(cycle) = wait_cycle(&self.waits, &self.slots, id, &[Node::Key(running.key)])? {
            Change::new(Status::Failed, by, Reason::WaitCycle).detail(joined(&cycle))
        } else {
            Change::new(Status::ConcurrencyControlled, by, Reason::SlotTaken)
        };
        let next = advance(record, &change, now).map_err(impossible)?;
        let is_parked = next.status == Status::ConcurrencyControlled;
        self.apply(id, next, change)?;
        if is_parked {
            self.slots.park(running.key, id, running.limit)?;
        }
        Ok(())
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
