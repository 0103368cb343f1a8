//! Concurrency limits: who holds the slots, and who waits for them.

use std::collections::BTreeMap;

use pynenc_core::orchestrator::{Find, Inspection};
use pynenc_core::{Digest, InvocationId, Reason, Status};
use serde::Serialize;
use utoipa::ToSchema;

use super::invocations::{InvocationRow, rows};
use crate::problem::Problem;
use crate::state::WebState;

/// The number of blocked invocations, and of failed ones, that are read.
const EXAMINED: usize = 500;
/// The maximum number of holders of a key that are listed.
const MAX_HOLDERS: usize = 20;
/// The maximum number of deadlocks that are listed.
const MAX_DEADLOCKS: usize = 20;

/// The concurrency limits that block invocations at present, and the last deadlocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Limits {
    pub(crate) keys: Vec<Limit>,
    /// Whether more invocations are blocked than the 500 that were read.
    pub(crate) is_partial: bool,
    /// Invocations that failed because they would have waited for each other, newest first.
    pub(crate) deadlocks: Vec<InvocationRow>,
}

/// A concurrency key without a free slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Limit {
    /// The digest of the key.
    pub(crate) key: String,
    pub(crate) task: String,
    /// The number of slots.
    pub(crate) slots: u32,
    /// The invocations that hold the slots, at most 20.
    #[schema(value_type = Vec<String>)]
    pub(crate) holders: Vec<InvocationId>,
    /// The number of blocked invocations that were read.
    pub(crate) blocked: u64,
    /// The invocation that gets the next free slot.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) next: InvocationId,
    /// Since when the invocation that was blocked first has been blocked.
    pub(crate) since: u64,
}

/// Reads the limits that block invocations, and the last deadlocks.
pub(crate) async fn limits(state: &WebState) -> Result<Limits, Problem> {
    let orchestrator = &state.app.parts().orchestrator;
    let find = Find { statuses: vec![Status::ConcurrencyControlled], limit: EXAMINED, ..Find::default() };
    let blocked = orchestrator.find(&find).await?;
    let ids: Vec<_> = blocked.items.iter().map(|item| item.id).collect();
    let inspections = if ids.is_empty() { Vec::new() } else { orchestrator.inspect(&ids).await? };
    let find = Find { statuses: vec![Status::Failed], newest_first: true, limit: EXAMINED, ..Find::default() };
    let failed = orchestrator.find(&find).await?.items.into_iter();
    let deadlocks = failed.filter(|item| item.record.reason == Reason::WaitCycle).take(MAX_DEADLOCKS).collect();
    Ok(Limits {
        keys: by_key(inspections.into_iter().flatten()),
        is_partial: blocked.next.is_some(),
        deadlocks: rows(state, deadlocks).await?,
    })
}

fn by_key(blocked: impl Iterator<Item = Inspection>) -> Vec<Limit> {
    let mut limits: BTreeMap<Digest, (Limit, u64)> = BTreeMap::new();
    for Inspection { tracked, registration, holders, parked_before, .. } in blocked {
        let (Some(running), Some(before)) = (registration.running, parked_before) else { continue };
        let at = tracked.record.at.as_millis();
        let (limit, first) = limits.entry(running.key).or_insert_with(|| {
            let limit = Limit {
                key: running.key.to_string(),
                task: tracked.task.to_string(),
                slots: running.limit,
                holders: holders.into_iter().take(MAX_HOLDERS).collect(),
                blocked: 0,
                next: tracked.id,
                since: at,
            };
            (limit, before)
        });
        limit.blocked += 1;
        limit.since = limit.since.min(at);
        if before < *first {
            (limit.next, *first) = (tracked.id, before);
        }
    }
    let mut limits: Vec<_> = limits.into_values().map(|(limit, _)| limit).collect();
    limits.sort_by_key(|limit| std::cmp::Reverse(limit.blocked));
    limits
}
