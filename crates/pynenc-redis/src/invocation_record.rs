//! The stored record of a call.
//!
//! The lane stores a record in the invocation's entry, without the parts that the registration has. The state backend
//! alone stores it under a key of its own, with these parts behind it.

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::orchestrator::Tracked;
use pynenc_core::record::{Argument, InvocationRecord, Priority, TraceContext, WorkflowIdentity};
use pynenc_core::{Error, InvocationId, QueueName, Result, TaskId};

use crate::codec::{Pack, Parse};
use crate::entry::LaneRecord;

/// Which optional parts follow.
const PARENT: u8 = 1;
const TIMEOUT: u8 = 2;
const RETRIES: u8 = 4;
const WORKFLOW: u8 = 8;
const OUTER_WORKFLOW: u8 = 16;
const RETRY_OF: u8 = 32;
const TRACE: u8 = 64;
const TRACE_STATE: u8 = 128;

/// Encodes a record for the entry. The parent is first, where scripts read it.
pub(crate) fn lane_record(record: &InvocationRecord) -> LaneRecord {
    LaneRecord { parent: record.parent, bytes: packed(Pack::new(), record).done() }
}

/// Encodes a record that is stored alone.
pub(crate) fn stored_record(record: &InvocationRecord) -> Vec<u8> {
    packed(Pack::new().u8(record.parent.is_some().into()), record)
        .sized(record.task.as_str().as_bytes())
        .sized(record.queue.as_str().as_bytes())
        .u16(record.priority.level())
        .done()
}

fn packed(mut pack: Pack, record: &InvocationRecord) -> Pack {
    let trace_state = record.trace.as_ref().and_then(|trace| trace.tracestate.as_deref());
    let outer = record.workflow.and_then(|workflow| workflow.parent);
    let parts = [
        (record.parent.is_some(), PARENT),
        (record.timeout.is_some(), TIMEOUT),
        (record.max_retries.is_some(), RETRIES),
        (record.workflow.is_some(), WORKFLOW),
        (outer.is_some(), OUTER_WORKFLOW),
        (record.retry_of.is_some(), RETRY_OF),
        (record.trace.is_some(), TRACE),
        (trace_state.is_some(), TRACE_STATE),
    ];
    let id = |pack: Pack, id: Option<InvocationId>| id.into_iter().fold(pack, |pack, id| pack.bytes(id.as_bytes()));
    pack = id(pack, record.parent);
    pack = pack.u8(parts.into_iter().filter(|(is_there, _)| *is_there).fold(0, |parts, (_, part)| parts | part));
    pack = pack.u48(record.created_at.as_millis()).name(&record.serializer);
    pack = record
        .timeout
        .into_iter()
        .fold(pack, |pack, timeout| pack.u64(timeout.as_secs()).u32(timeout.subsec_nanos().into()));
    pack = record.max_retries.into_iter().fold(pack, |pack, retries| pack.u32(retries.into()));
    pack = id(pack, record.workflow.map(|workflow| workflow.id));
    pack = id(id(pack, outer), record.retry_of);
    if let Some(trace) = &record.trace {
        pack = pack.long(trace.traceparent.as_bytes());
    }
    pack = trace_state.into_iter().fold(pack, |pack, state| pack.long(state.as_bytes()));
    pack = pack.u16(record.arguments.len() as u16);
    record.arguments.iter().fold(pack, |pack, argument| pack.long(argument.name.as_bytes()).payload(&argument.value))
}

/// Decodes a record from the entry of its invocation.
pub(crate) fn parse_lane_record(tracked: &Tracked, stored: &[u8], has_parent: bool) -> Result<Arc<InvocationRecord>> {
    let mut parse = Parse::new(stored);
    let record = parsed(tracked.id, has_parent, &mut parse).and_then(|record| parse.end().map(|()| record));
    let record = record.map_err(|error| error.with("invocation", tracked.id))?;
    let (task, queue, priority) = (tracked.task.clone(), tracked.queue.clone(), tracked.priority);
    Ok(Arc::new(InvocationRecord { task, queue, priority, ..record }))
}

/// Decodes a record that is stored alone.
pub(crate) fn parse_record(id: InvocationId, stored: &[u8]) -> Result<Arc<InvocationRecord>> {
    let mut parse = Parse::new(stored);
    let mut parse_all = || {
        let has_parent = parse.u8()? == 1;
        let record = parsed(id, has_parent, &mut parse)?;
        let (task, queue) = (parse.sized_text()?.into(), parse.sized_text()?.into());
        let priority = crate::entry::priority(parse.u16()?);
        Ok(InvocationRecord { task, queue, priority, ..record })
    };
    let record = parse_all().and_then(|record| parse.end().map(|()| record));
    record.map(Arc::new).map_err(|error: Error| error.with("invocation", id))
}

fn parsed(id: InvocationId, has_parent: bool, parse: &mut Parse<'_>) -> Result<InvocationRecord> {
    let parent = if has_parent { Some(parse.id()?) } else { None };
    let parts = parse.u8()?;
    let has = |part: u8| parts & part != 0;
    let (created_at, serializer) = (parse.time()?, parse.name()?);
    let timeout = if has(TIMEOUT) { Some(duration(parse.u64()?, parse.u32()?)?) } else { None };
    let max_retries = if has(RETRIES) { Some(parse.u32()?) } else { None };
    let workflow = if has(WORKFLOW) { Some(parse.id()?) } else { None };
    let outer = if has(OUTER_WORKFLOW) { Some(parse.id()?) } else { None };
    let retry_of = if has(RETRY_OF) { Some(parse.id()?) } else { None };
    let traceparent = if has(TRACE) { Some(parse.long_text()?) } else { None };
    let tracestate = if has(TRACE_STATE) { Some(parse.long_text()?.into()) } else { None };
    let count = parse.u16()?;
    let mut arguments = Vec::with_capacity(count.min(16).into());
    for _ in 0..count {
        let name = parse.long_text()?.to_owned().into();
        arguments.push(Argument { name, value: parse.payload()? });
    }
    Ok(InvocationRecord {
        id,
        task: TaskId::from(""),
        arguments,
        serializer,
        queue: QueueName::from(""),
        priority: Priority::default(),
        timeout,
        max_retries,
        parent,
        workflow: workflow.map(|id| WorkflowIdentity { id, parent: outer }),
        retry_of,
        trace: traceparent.map(|traceparent| TraceContext { traceparent: traceparent.into(), tracestate }),
        created_at,
    })
}

fn duration(seconds: u64, nanos: u32) -> Result<Duration> {
    if nanos < 1_000_000_000 {
        Ok(Duration::new(seconds, nanos))
    } else {
        Err(Error::corrupt("a stored duration is wrong"))
    }
}
