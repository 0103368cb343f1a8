//! The stored record of a call.
//!
//! The lane stores a record in the invocation's entry, without the parts that the registration has. The state backend
//! alone stores it under a key of its own, with these parts in front.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pynenc_core::orchestrator::Tracked;
use pynenc_core::packed::{Packed, pack, packed_struct, unpack};
use pynenc_core::record::{Argument, InvocationRecord, Priority, TraceContext, WorkflowIdentity};
use pynenc_core::{InvocationId, QueueName, Result, TaskId, Timestamp};

use crate::codec::{Pack, Parse};
use crate::entry::LaneRecord;

/// The parts of a record that the registration doesn't have, without the parent.
struct StoredRecord {
    arguments: Vec<Argument>,
    serializer: Cow<'static, str>,
    timeout: Option<Duration>,
    max_retries: Option<u32>,
    workflow: Option<WorkflowIdentity>,
    retry_of: Option<InvocationId>,
    trace: Option<TraceContext>,
    created_at: Timestamp,
    due: Option<Timestamp>,
}

packed_struct!(StoredRecord {
    arguments,
    serializer,
    timeout,
    max_retries,
    workflow,
    retry_of,
    trace,
    created_at,
    due,
});

/// The parts of a record that the registration has, and the parent.
struct Origin {
    id: InvocationId,
    parent: Option<InvocationId>,
    task: TaskId,
    queue: QueueName,
    priority: Priority,
}

impl StoredRecord {
    fn of(record: &InvocationRecord) -> Self {
        Self {
            arguments: record.arguments.clone(),
            serializer: record.serializer.clone(),
            timeout: record.timeout,
            max_retries: record.max_retries,
            workflow: record.workflow,
            retry_of: record.retry_of,
            trace: record.trace.clone(),
            created_at: record.created_at,
            due: record.due,
        }
    }

    fn complete(self, origin: Origin) -> Arc<InvocationRecord> {
        let Origin { id, parent, task, queue, priority } = origin;
        Arc::new(InvocationRecord {
            id,
            task,
            arguments: self.arguments,
            serializer: self.serializer,
            queue,
            priority,
            timeout: self.timeout,
            max_retries: self.max_retries,
            parent,
            workflow: self.workflow,
            retry_of: self.retry_of,
            trace: self.trace,
            created_at: self.created_at,
            due: self.due,
        })
    }
}

/// Encodes a record for the entry. The parent is in front, where scripts read it.
pub(crate) fn lane_record(record: &InvocationRecord) -> LaneRecord {
    let mut bytes = record.parent.map_or_else(Vec::new, |parent| parent.as_bytes().to_vec());
    StoredRecord::of(record).pack(&mut bytes);
    LaneRecord { parent: record.parent, bytes }
}

/// Encodes a record that is stored alone.
pub(crate) fn stored_record(record: &InvocationRecord) -> Vec<u8> {
    let start = match record.parent {
        Some(parent) => Pack::new().u8(1).bytes(parent.as_bytes()),
        None => Pack::new().u8(0),
    };
    start
        .sized(record.task.as_str().as_bytes())
        .sized(record.queue.as_str().as_bytes())
        .u16(record.priority.level())
        .bytes(&pack(&StoredRecord::of(record)))
        .done()
}

/// Decodes a record from the entry of its invocation.
pub(crate) fn parse_lane_record(tracked: &Tracked, stored: &[u8], has_parent: bool) -> Result<Arc<InvocationRecord>> {
    let Tracked { id, task, queue, priority, .. } = tracked;
    let mut parse = Parse::new(stored);
    let parent = if has_parent { Some(parse.id()?) } else { None };
    let record: StoredRecord = unpack(parse.rest()).map_err(|error| error.with("invocation", id))?;
    let origin = Origin { id: *id, parent, task: task.clone(), queue: queue.clone(), priority: *priority };
    Ok(record.complete(origin))
}

/// Decodes a record that is stored alone.
pub(crate) fn parse_record(id: InvocationId, stored: &[u8]) -> Result<Arc<InvocationRecord>> {
    let mut parse = Parse::new(stored);
    let parent = if parse.u8()? == 1 { Some(parse.id()?) } else { None };
    let (task, queue) = (parse.sized_text()?.into(), parse.sized_text()?.into());
    let priority = Priority::from_level(parse.u16()?);
    let record: StoredRecord = unpack(parse.rest()).map_err(|error| error.with("invocation", id))?;
    Ok(record.complete(Origin { id, parent, task, queue, priority }))
}
