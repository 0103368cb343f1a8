//! Transitions and cancel requests.

use pynenc_core::orchestrator::{CancelReply, Transition, TransitionReply};
use pynenc_core::status::{By, Change, CompareAndSet, Refusal, advance, compare_and_set, refuse_claim};
use pynenc_core::{InvocationId, Reason, Result, Status, Timestamp};

use super::state::{Effects, State, impossible};
use crate::storage::{Map, Storage};

impl<S: Storage, E: Effects> State<S, E> {
    /// Changes the status of an invocation.
    pub fn transition(&mut self, transition: &Transition, now: Timestamp) -> Result<TransitionReply> {
        let Transition { id, seen, change } = transition;
        let Some(entry) = self.entries.get(id)? else { return Ok(TransitionReply::Refused(Refusal::Missing)) };
        if let Some(refusal) = refuse_claim(entry.record().status, change) {
            return Ok(TransitionReply::Refused(refusal));
        }
        Ok(match compare_and_set(entry.record(), seen, change, now) {
            CompareAndSet::AlreadyMine => TransitionReply::AlreadyMine(entry.record().clone()),
            CompareAndSet::Refused(refusal) => TransitionReply::Refused(refusal),
            CompareAndSet::Advanced(next) => {
                let record = next.clone();
                TransitionReply::Done { record, handed: self.apply_and_free_slot(*id, next, change.clone())? }
            }
        })
    }

    /// Requests the cancellation of an invocation.
    pub fn cancel(&mut self, id: InvocationId, now: Timestamp) -> Result<CancelReply> {
        let Some(record) = self.record(id)? else { return Ok(CancelReply::Missing) };
        if record.status.is_final() {
            return Ok(CancelReply::Final(record.status));
        }
        if let Some(owner) = record.owner {
            self.entry_mut(id)?.tracked.record.cancel_requested = true;
            self.effects.cancel_requested(owner, id);
            return Ok(CancelReply::Requested);
        }
        let change = Change::new(Status::Cancelled, By::System, Reason::CancelRequested);
        let next = advance(record, &change, now).map_err(impossible)?;
        Ok(CancelReply::Cancelled { handed: self.apply_and_free_slot(id, next, change)? })
    }
}
