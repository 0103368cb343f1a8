//! The stored record of a call.

use std::borrow::Cow;
use std::time::Duration;

use pynenc_core::packed::{pack, packed_struct, unpack};
use pynenc_core::record::{Argument, InvocationRecord, Payload, Priority, TraceContext, WorkflowIdentity};
use pynenc_core::{InvocationId, QueueName, Result, TaskId, Timestamp};

use crate::codec::{Pack, Parse};

/// Encodes a record: first the parent, for scripts, then everything but the id, which is in the key.
pub(crate) fn stored_record(record: &InvocationRecord) -> Vec<u8> {
    let parent = match record.parent {
        Some(parent) => Pack::new().u8(1).bytes(parent.as_bytes()),
        None => Pack::new().u8(0),
    };
    parent.bytes(&pack(&StoredRecord::from(record))).done()
}

/// Decodes the record of an invocation.
pub(crate) fn parse_record(id: InvocationId, stored: &[u8]) -> Result<InvocationRecord> {
    let mut parse = Parse::new(stored);
    let parent = if parse.u8()? == 1 { Some(parse.id()?) } else { None };
    let record: StoredRecord = unpack(parse.rest()).map_err(|error| error.with("invocation", id))?;
    Ok(record.into_record(id, parent))
}

/// A record without its id and its parent.
struct StoredRecord {
    task: TaskId,
    arguments: Vec<(Cow<'static, str>, Payload)>,
    serializer: Cow<'static, str>,
    queue: QueueName,
    priority: Priority,
    timeout: Option<Duration>,
    max_retries: Option<u32>,
    workflow: Option<WorkflowIdentity>,
    retry_of: Option<InvocationId>,
    trace: Option<TraceContext>,
    created_at: Timestamp,
}

packed_struct!(StoredRecord {
    task,
    arguments,
    serializer,
    queue,
    priority,
    timeout,
    max_retries,
    workflow,
    retry_of,
    trace,
    created_at,
});

impl From<&InvocationRecord> for StoredRecord {
    fn from(record: &InvocationRecord) -> Self {
        let arguments =
            record.arguments.iter().map(|argument| (argument.name.clone(), argument.value.clone())).collect();
        Self {
            task: record.task.clone(),
            arguments,
            serializer: record.serializer.clone(),
            queue: record.queue.clone(),
            priority: record.priority,
            timeout: record.timeout,
            max_retries: record.max_retries,
            workflow: record.workflow,
            retry_of: record.retry_of,
            trace: record.trace.clone(),
            created_at: record.created_at,
        }
    }
}

impl StoredRecord {
    fn into_record(self, id: InvocationId, parent: Option<InvocationId>) -> InvocationRecord {
        let arguments = self.arguments.into_iter().map(|(name, value)| Argument { name, value }).collect();
        InvocationRecord {
            id,
            parent,
            arguments,
            task: self.task,
            serializer: self.serializer,
            queue: self.queue,
            priority: self.priority,
            timeout: self.timeout,
            max_retries: self.max_retries,
            workflow: self.workflow,
            retry_of: self.retry_of,
            trace: self.trace,
            created_at: self.created_at,
        }
    }
}
