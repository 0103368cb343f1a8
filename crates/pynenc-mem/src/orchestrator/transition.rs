//! Transitions and cancel requests.

use pynenc_core::orchestrator::{CancelReply, Transition, TransitionReply};
use pynenc_core::status::{By, Change, CompareAndSet, Refusal, advance, compare_and_set, refuse_claim};
use pynenc_core::{InvocationId, Reason, Status, Timestamp};

use super::state::State;

impl State {
    pub(super) fn transition(&mut self, transition: &Transition, now: Timestamp) -> TransitionReply {
        let Transition { id, seen, change } = transition;
        let Some(entry) = self.entries.get(id) else { return TransitionReply::Refused(Refusal::Missing) };
        if let Some(refusal) = refuse_claim(entry.record().status, change) {
            return TransitionReply::Refused(refusal);
        }
        match compare_and_set(entry.record(), seen, change, now) {
            CompareAndSet::AlreadyMine => TransitionReply::AlreadyMine(entry.record().clone()),
            CompareAndSet::Refused(refusal) => TransitionReply::Refused(refusal),
            CompareAndSet::Advanced(next) => {
                let record = next.clone();
                TransitionReply::Done { record, handed: self.apply_and_free_slot(*id, next, change.clone()) }
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
        let next = advance(record, &change, now).expect("the system may cancel an invocation without an owner");
        CancelReply::Cancelled { handed: self.apply_and_free_slot(id, next, change) }
    }
}
