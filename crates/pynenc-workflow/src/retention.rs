//! Keeps the records of workflows beyond their retention, while other invocations need them.

use pynenc_core::record::InvocationRecord;
use pynenc_core::trigger_store::ReadyTake;
use pynenc_core::{InvocationId, TaskId};
use pynenc_engine::client::retry_id;
use pynenc_engine::{Engine, Result};

/// Returns the invocations that are still needed: a child by its parent, which may call it again, and a run by the
/// retry that took over its journal. The waits of the other runs are removed. `workflows` are the tasks that take part
/// in workflows.
pub(crate) async fn still_needed(
    workflows: &[TaskId],
    engine: &Engine,
    outlived: &[InvocationId],
) -> Result<Vec<InvocationId>> {
    let parts = engine.parts();
    let records = parts.state.invocations(outlived).await?;
    let is_run = |record: &InvocationRecord| record.workflow.is_some() || workflows.contains(&record.task);
    let dependents = |record: &InvocationRecord| {
        let parent = record.workflow.and(record.parent);
        let retry = is_run(record).then(|| retry_id(record.id));
        parent.into_iter().chain(retry)
    };
    let records: Vec<_> = records.iter().flatten().collect();
    let pairs = records.iter().flat_map(|record| dependents(record).map(|dependent| (record.id, dependent)));
    let (ids, dependents): (Vec<_>, Vec<_>) = pairs.unzip();
    let known = if dependents.is_empty() { Vec::new() } else { parts.orchestrator.records(&dependents).await? };
    let needed: Vec<_> = ids.into_iter().zip(known).filter(|(_, known)| known.is_some()).map(|(id, _)| id).collect();
    let dropped = records.iter().filter(|record| is_run(record) && !needed.contains(&record.id));
    let dropped: Vec<_> = dropped.map(|record| record.id).collect();
    if !dropped.is_empty() {
        parts.triggers.take_ready(&ReadyTake::done(dropped)).await?;
    }
    Ok(needed)
}
