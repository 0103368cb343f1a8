//! The compare-and-set of a status record.

use super::{By, Change, Refusal, Status, StatusRecord, advance};
use crate::clock::Timestamp;

/// The result of a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompareAndSet {
    /// The transition is legal: store this record.
    Advanced(StatusRecord),
    /// The transition was applied before: this is a repeat whose first reply was lost. Nothing changes.
    AlreadyMine,
    /// The transition is refused. Nothing changes.
    Refused(Refusal),
}

/// Applies a transition if the record still has the version and the epoch of the record that the requester saw.
///
/// Compares version and epoch first, then calls [`advance`].
pub fn compare_and_set(record: &StatusRecord, seen: &StatusRecord, change: &Change, now: Timestamp) -> CompareAndSet {
    if is_repeat(record, seen, change) {
        return CompareAndSet::AlreadyMine;
    }
    if record.version != seen.version || record.epoch != seen.epoch {
        return CompareAndSet::Refused(Refusal::Stale { version: record.version, epoch: record.epoch });
    }
    match advance(record, change, now) {
        Ok(next) => CompareAndSet::Advanced(next),
        Err(refusal) => CompareAndSet::Refused(refusal),
    }
}

/// Refuses a plain transition where a claim has to make it, because only a claim takes the slot.
pub fn refuse_claim(from: Status, change: &Change) -> Option<Refusal> {
    let (to, by) = (change.to, change.by);
    let is_claim = matches!(by, By::Claimer(_)) && !matches!(to, Status::Failed | Status::Cancelled);
    is_claim.then_some(Refusal::WrongActor { from, to, by })
}

/// Whether the record is the result of this very transition.
///
/// An epoch has one owner, and each transition has a version of its own. So no other transition leads to the same pair.
fn is_repeat(record: &StatusRecord, seen: &StatusRecord, change: &Change) -> bool {
    let epoch = seen.epoch + u64::from(!matches!(change.by, By::Owner(_)));
    let reached = record.status == change.to && record.reason == change.reason;
    let cancelled_instead = record.status == Status::Cancelled && change.to.is_claimable();
    record.version == seen.version + 1 && record.epoch == epoch && (reached || cancelled_instead)
}
