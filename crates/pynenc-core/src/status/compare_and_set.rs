//! The compare-and-set of a status record.

use serde::{Deserialize, Serialize};

use super::{By, Change, Refusal, Status, StatusRecord, advance};
use crate::clock::Timestamp;

/// The version and the epoch of the record that a caller read and wants to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// The version that the caller read.
    pub version: u64,
    /// The epoch that the caller read.
    pub epoch: u64,
}

impl From<&StatusRecord> for Expect {
    fn from(record: &StatusRecord) -> Self {
        Self { version: record.version, epoch: record.epoch }
    }
}

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

/// Applies a transition if the record still has the expected version and epoch.
///
/// Compares version and epoch first, then calls [`advance`].
pub fn compare_and_set(record: &StatusRecord, expect: Expect, change: &Change, now: Timestamp) -> CompareAndSet {
    if is_repeat(record, expect, change) {
        return CompareAndSet::AlreadyMine;
    }
    if record.version != expect.version || record.epoch != expect.epoch {
        return CompareAndSet::Refused(Refusal::Stale { version: record.version, epoch: record.epoch });
    }
    match advance(record, change, now) {
        Ok(next) => CompareAndSet::Advanced(next),
        Err(refusal) => CompareAndSet::Refused(refusal),
    }
}

/// Whether the record is the result of this very transition.
///
/// An epoch has one owner, and each transition has a version of its own. So no other transition leads to the same pair.
fn is_repeat(record: &StatusRecord, expect: Expect, change: &Change) -> bool {
    let epoch = expect.epoch + u64::from(!matches!(change.by, By::Owner(_)));
    let reached = record.status == change.to && record.reason == change.reason;
    let cancelled_instead = record.status == Status::Cancelled && change.to.is_claimable();
    record.version == expect.version + 1 && record.epoch == epoch && (reached || cancelled_instead)
}
