//! Common reads, composed of the methods of the stores.

use crate::error::Result;
use crate::id::{InvocationId, RunnerId};
use crate::orchestrator::{Find, HistoryEntry, Orchestrator, Tracked};
use crate::page::all_pages;
use crate::state_backend::{Listing, StateBackend};

/// The size of a page.
const PAGE: usize = 500;

/// Reads the history of an invocation, the oldest line first. It is empty for an unknown invocation.
///
/// # Errors
///
/// As [`Lifecycle::inspect`](crate::orchestrator::Lifecycle::inspect).
pub async fn history(orchestrator: &dyn Orchestrator, id: InvocationId) -> Result<Vec<HistoryEntry>> {
    let inspection = orchestrator.inspect(&[id]).await?.pop().flatten();
    Ok(inspection.map(|inspection| inspection.history).unwrap_or_default())
}

/// Lists all invocations that a runner owns.
///
/// # Errors
///
/// As [`Lifecycle::find`](crate::orchestrator::Lifecycle::find).
pub async fn owned(orchestrator: &dyn Orchestrator, runner: RunnerId) -> Result<Vec<Tracked>> {
    let owned = |after| async move {
        orchestrator.find(&Find { owner: Some(runner), after, limit: PAGE, ..Find::default() }).await
    };
    all_pages(owned).await
}

/// Lists all invocations that were called by the task function of another one.
///
/// # Errors
///
/// As [`StateBackend::list`].
pub async fn children(state: &dyn StateBackend, parent: InvocationId) -> Result<Vec<InvocationId>> {
    let listing = Listing::Children(parent);
    all_pages(|after| state.list(&listing, after, PAGE)).await
}
