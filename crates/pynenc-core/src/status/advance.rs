//! Applies a transition to a status record, or refuses it.

use serde::{Deserialize, Serialize};

use super::{By, Due, EDGES, Reason, Refusal, Status, StatusRecord};
use crate::clock::Timestamp;
use crate::id::RunnerId;

/// A requested transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The status to enter.
    pub to: Status,
    /// The actor that makes the transition.
    pub by: By,
    /// The due time: required for `retry`, allowed for `scheduled`, refused for every other status.
    pub due: Option<Due>,
    /// Why the transition is made.
    pub reason: Reason,
    /// A text for the history, such as the error of an attempt.
    pub detail: Option<Box<str>>,
}

impl Change {
    /// Creates a transition without due time and detail.
    pub fn new(to: Status, by: By, reason: Reason) -> Self {
        Self { to, by, due: None, reason, detail: None }
    }

    /// Sets the due time.
    #[must_use]
    pub fn due(mut self, due: Due) -> Self {
        self.due = Some(due);
        self
    }

    /// Sets the text for the history.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Returns the record after `change`, or the refusal.
///
/// Three effects aren't in [`EDGES`](super::EDGES):
///
/// - A cancel that was requested while a runner owned the invocation wins over a transition back to waiting: the
///   invocation becomes `cancelled` instead.
/// - The loss of an owner counts only in the status `running`. While the invocation is pending or paused, its task function
///   isn't running, and so it didn't take the runner down.
/// - A suspension resets the losses: the task function got that far without taking its runner down.
pub fn advance(record: &StatusRecord, change: &Change, now: Timestamp) -> Result<StatusRecord, Refusal> {
    check(record, change, now)?;
    let cancelled = record.cancel_requested && change.to.is_claimable();
    let to = if cancelled { Status::Cancelled } else { change.to };
    let claimed = to == Status::Pending;
    let by_owner = matches!(change.by, By::Owner(_));
    let lost = record.status == Status::Running && matches!(change.reason, Reason::OwnerLost | Reason::PoisonPill);
    Ok(StatusRecord {
        status: to,
        owner: owner_after(record, to, change.by),
        version: record.version + 1,
        // The fencing token: it grows unless the owner makes the transition.
        epoch: record.epoch + u64::from(!by_owner),
        deliveries: record.deliveries + u32::from(claimed),
        starts: record.starts + u32::from(record.status == Status::Pending && to == Status::Running),
        losses: if change.reason == Reason::Suspended { 0 } else { record.losses + u32::from(lost) },
        retries: record.retries + u32::from(to == Status::Retry),
        due: if cancelled { None } else { change.due.map(|due| due.at(now)) },
        cancel_requested: record.cancel_requested && !to.is_final(),
        reason: if cancelled { Reason::CancelRequested } else { change.reason },
        at: now,
    })
}

fn owner_after(record: &StatusRecord, to: Status, by: By) -> Option<RunnerId> {
    match by {
        By::Claimer(runner) if to == Status::Pending => Some(runner),
        _ if to.is_owned() => record.owner,
        _ => None,
    }
}

fn check(record: &StatusRecord, change: &Change, now: Timestamp) -> Result<(), Refusal> {
    let (from, to, by) = (record.status, change.to, change.by);
    let edge = EDGES.iter().find(|edge| edge.from == from && edge.to == to).ok_or(Refusal::NoEdge { from, to })?;
    let owner_is_right = !matches!(by, By::Owner(runner) if record.owner != Some(runner));
    if !edge.actors.include(by) || !owner_is_right {
        return Err(Refusal::WrongActor { from, to, by });
    }
    let due_is_right = match to {
        Status::Retry => change.due.is_some(),
        Status::Scheduled => true,
        _ => change.due.is_none(),
    };
    if !due_is_right {
        return Err(Refusal::WrongDue { to });
    }
    check_claim(record, change, now)
}

/// Checks the rules for claimers that aren't in the table.
fn check_claim(record: &StatusRecord, change: &Change, now: Timestamp) -> Result<(), Refusal> {
    if !matches!(change.by, By::Claimer(_)) {
        return Ok(());
    }
    if let Some(due) = record.due.filter(|due| *due > now) {
        return Err(Refusal::NotDue { due, now });
    }
    if record.status == Status::Scheduled && record.due.is_none() {
        return Err(Refusal::Suspended);
    }
    if change.to == Status::ConcurrencyControlledFinal && record.starts > 0 {
        return Err(Refusal::HasRun { starts: record.starts });
    }
    Ok(())
}
