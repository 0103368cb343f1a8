//! A cancelled workflow's children are cancelled too, and theirs.

use std::time::Duration;

use pynenc_core::InvocationId;
use pynenc_engine::{Engine, Error, Result};

/// The name under which cancelled workflows are told.
pub(crate) const LISTENER: &str = "workflow/cancelled";
/// At most so many cancels are carried at once.
const BATCH: usize = 100;

/// Carries cancels to children. A cancel that hasn't reached all of them is told again. Tells whether there may be more.
pub(crate) async fn carry(engine: &Engine, again_after: Duration) -> Result<bool> {
    let orchestrator = &engine.parts().orchestrator;
    let entries = orchestrator.outbox(&[LISTENER.into()], BATCH, again_after).await?;
    let mut done = Vec::new();
    for entry in &entries {
        if cancel_below(engine, entry.id).await? {
            done.push(entry.sequence);
        }
    }
    if !done.is_empty() {
        orchestrator.outbox_done(&done).await?;
    }
    Ok(entries.len() == BATCH)
}

/// Asks for the end of all that an invocation has called, and what those have. Tells whether all of it has ended.
async fn cancel_below(engine: &Engine, id: InvocationId) -> Result<bool> {
    let mut all_ended = true;
    let mut parents = vec![id];
    while let Some(parent) = parents.pop() {
        let children = engine.parts().state.children(parent).await?;
        for result in engine.cancel_all(&children).only_these().await? {
            match result {
                Ok(has_ended) => all_ended &= has_ended,
                Err(Error::InvocationNotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        parents.extend(children);
    }
    Ok(all_ended)
}
