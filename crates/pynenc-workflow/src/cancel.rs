//! Cancels the children of cancelled workflows, and their children.

use std::time::Duration;

use pynenc_core::orchestrator::OutboxTake;
use pynenc_core::{InvocationId, reads};
use pynenc_engine::{Engine, Error, Result};

/// The listener in the outbox for cancelled workflows.
pub(crate) const LISTENER: &str = "workflow/cancelled";
/// The largest number of cancelled workflows that are handled at once.
const BATCH: usize = 100;

/// Cancels the children of a batch of cancelled workflows, and returns whether more workflows may be waiting. A
/// workflow is offered again until all its children have finished.
pub(crate) async fn cancel_children(engine: &Engine, again_after: Duration) -> Result<bool> {
    let orchestrator = &engine.parts().orchestrator;
    let listeners = vec![LISTENER.into()];
    let take = OutboxTake { listeners, limit: BATCH, again_after, ..OutboxTake::default() };
    let entries = orchestrator.take_outbox(&take).await?;
    let mut done = Vec::new();
    for entry in &entries {
        if cancel_descendants(engine, entry.id).await? {
            done.push(entry.sequence);
        }
    }
    if !done.is_empty() {
        orchestrator.take_outbox(&OutboxTake::done(done)).await?;
    }
    Ok(entries.len() == BATCH)
}

/// Cancels all descendants of an invocation, and returns whether all of them have finished.
async fn cancel_descendants(engine: &Engine, id: InvocationId) -> Result<bool> {
    let mut all_finished = true;
    let mut parents = vec![id];
    while let Some(parent) = parents.pop() {
        let children = reads::children(&*engine.parts().state, parent).await?;
        for result in engine.cancel_all(&children).only_these().await? {
            match result {
                Ok(has_finished) => all_finished &= has_finished,
                Err(Error::InvocationNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        parents.extend(children);
    }
    Ok(all_finished)
}
