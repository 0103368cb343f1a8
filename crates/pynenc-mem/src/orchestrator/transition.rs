//! Moves along the table, and ends that are asked for.

use pynenc_core::orchestrator::{CancelReply, Transition, TransitionReply};
use pynenc_core::status::{By, Change, Refusal, Verdict, advance, judge};
use pynenc_core::{InvocationId, Reason, Status, Timestamp};

use super::state::State;

impl State {
    pub(super) fn transition(&mut self, transition: &Transition, now: Timestamp) -> TransitionReply {
        let Transition { id, expect, change } = transition;
        let Some(entry) = self.entries.get(id) else { return TransitionReply::Refused(Refusal::Missing) };
        if let Some(refusal) = claim_in_disguise(entry.record().status, change) {
            return TransitionReply::Refused(refusal);
        }
        match judge(entry.record(), *expect, change, now) {
            Verdict::AlreadyMine => TransitionReply::AlreadyMine(entry.record().clone()),
            Verdict::Refused(refusal) => TransitionReply::Refused(refusal),
            Verdict::Advanced(next) => {
                let record = next.clone();
                TransitionReply::Done { record, handed: self.enter_and_free(*id, next, change.clone()) }
            }
        }
    }

    pub(super) fn cancel(&mut self, id: InvocationId, now: Timestamp) -> CancelReply {
        let Some(entry) = self.entries.get_mut(&id) else { return CancelReply::Missing };
        let record = &mut entry.tracked.record;
        if record.status.is_final() {
            return CancelReply::Final(record.status);
        }
        if let Some(owner) = record.owner {
            record.cancel_requested = true;
            self.signals.cancel(owner, id);
            return CancelReply::Requested;
        }
        let change = Change::new(Status::Cancelled, By::System, Reason::CancelRequested);
        let next = advance(record, &change, now).expect("what nobody owns may be cancelled by the system");
        CancelReply::Cancelled { handed: self.enter_and_free(id, next, change) }
    }
}

/// A claim takes a slot with the invocation, so no transition may stand for one.
fn claim_in_disguise(from: Status, change: &Change) -> Option<Refusal> {
    let (to, by) = (change.to, change.by);
    let is_claim = matches!(by, By::Claimer(_)) && !matches!(to, Status::Failed | Status::Cancelled);
    is_claim.then_some(Refusal::WrongActor { from, to, by })
}
