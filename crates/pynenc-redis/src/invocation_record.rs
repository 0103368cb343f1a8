//! The stored record of a call.

use std::borrow::Cow;
use std::time::Duration;

use pynenc_core::record::{Argument, InvocationRecord, Payload, Priority, TraceContext, WorkflowIdentity};
use pynenc_core::{InvocationId, QueueName, Result, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::codec::{Pack, Parse, decoded, encoded};

/// Encodes a record: first the parent, for scripts, then everything but the id, which is in the key.
pub(crate) fn stored_record(record: &InvocationRecord) -> Result<Vec<u8>> {
    let parent = match record.parent {
        Some(parent) => Pack::new().u8(1).bytes(parent.as_bytes()),
        None => Pack::new().u8(0),
    };
    Ok(parent.bytes(&encoded(&StoredRecord::from(record))?).done())
}

/// Decodes the record of an invocation.
pub(crate) fn parse_record(id: InvocationId, stored: &[u8]) -> Result<InvocationRecord> {
    let mut parse = Parse::new(stored);
    let parent = if parse.u8()? == 1 { Some(parse.id()?) } else { None };
    let record: StoredRecord = decoded(parse.rest()).map_err(|error| error.with("invocation", id))?;
    Ok(record.into_record(id, parent))
}

/// A record with short field names, and without empty fields.
#[derive(Serialize, Deserialize)]
struct StoredRecord {
    #[serde(rename = "t")]
    task: TaskId,
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    arguments: Vec<(Cow<'static, str>, Payload)>,
    #[serde(rename = "s")]
    serializer: Cow<'static, str>,
    #[serde(rename = "q")]
    queue: QueueName,
    #[serde(rename = "p")]
    priority: Priority,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    max_retries: Option<u32>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    workflow: Option<WorkflowIdentity>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    retry_of: Option<InvocationId>,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceContext>,
    #[serde(rename = "c")]
    created_at: Timestamp,
}

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
