//! How long what belongs to a workflow is kept: as long as the workflow.

use pynenc_core::InvocationId;
use pynenc_core::record::InvocationRecord;
use pynenc_engine::retry::retry_id;
use pynenc_engine::{Engine, Result};

use crate::extension::WorkflowExtension;

/// What has outlived its retention and is needed: a child by its parent, which may ask for it again, and a run by the
/// retry that has taken it over.
pub(crate) async fn still_needed(
    extension: &WorkflowExtension,
    engine: &Engine,
    outlived: &[InvocationId],
) -> Result<Vec<InvocationId>> {
    let parts = engine.parts();
    let records = parts.state.invocations(outlived).await?;
    let mut wanted = Vec::new();
    for record in records.iter().flatten() {
        wanted.extend(those_who_need(extension, record).map(|other| (record.id, other)));
    }
    let mut needed = Vec::new();
    if !wanted.is_empty() {
        let others: Vec<_> = wanted.iter().map(|(_, other)| *other).collect();
        let known = parts.orchestrator.records(&others).await?;
        needed.extend(wanted.iter().zip(known).filter(|(_, known)| known.is_some()).map(|((id, _), _)| *id));
    }
    let gone: Vec<_> =
        records.iter().flatten().filter(|it| is_part(extension, it) && !needed.contains(&it.id)).collect();
    if !gone.is_empty() {
        parts.triggers.end_waits(&gone.iter().map(|record| record.id).collect::<Vec<_>>()).await?;
    }
    Ok(needed)
}

fn is_part(extension: &WorkflowExtension, record: &InvocationRecord) -> bool {
    record.workflow.is_some() || extension.workflows.contains(&record.task)
}

fn those_who_need(
    extension: &WorkflowExtension,
    record: &InvocationRecord,
) -> impl Iterator<Item = InvocationId> + use<> {
    let parent = record.workflow.and(record.parent);
    let retry = is_part(extension, record).then(|| retry_id(record.id));
    parent.into_iter().chain(retry)
}
