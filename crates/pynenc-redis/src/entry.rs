//! The stored entry of an invocation: the header, the registration, the invocation's own fields, the record of the call if
//! the lane stored it, and the log of transitions and outcomes. Everything before the record is the start of the entry.

use pynenc_core::orchestrator::{HistoryEntry, Tracked};
use pynenc_core::page::Cursor;
use pynenc_core::record::{Priority, Registration, RegistrationKey, Retention, RunningKey, WhenBlocked};
use pynenc_core::{Error, InvocationId, QueueName, Reason, Result, Status, StatusRecord, TaskId, Timestamp};

use crate::codec::{Pack, Parse};
use crate::codes::{reason_code, status_code};
use crate::layout::LAYOUT;
use crate::log::{self, Item};

const NONE: [u8; 16] = [0; 16];
/// Flags of a header. Others are in `scripts/lib/entry.lua`.
const CANCEL_REQUESTED: u8 = 1;
const NAMED: u8 = 4;
const IN_LANE: u8 = 16;
const UNLOGGED: u8 = 32;
const SCHEDULED: u8 = 64;
const HAS_PARENT: u8 = 128;

/// The start of an entry.
struct Start<'a> {
    record: StatusRecord,
    token: [u8; 16],
    flags: u8,
    registration: &'a [u8],
    registered_at: Timestamp,
}

/// A stored entry.
pub(crate) struct Entry<'a> {
    pub(crate) tracked: Tracked,
    /// The token of the last claim.
    pub(crate) token: [u8; 16],
    /// The record of the call, if the lane stored it.
    pub(crate) record: Option<&'a [u8]>,
    /// Whether the record begins with the invocation that made the call.
    pub(crate) has_parent: bool,
    pub(crate) log: &'a [u8],
}

/// The record of a call as the lane stores it, and the invocation that made the call.
pub(crate) struct LaneRecord {
    pub(crate) parent: Option<InvocationId>,
    pub(crate) bytes: Vec<u8>,
}

/// The entry of a new invocation that is due at once, in two parts: the head from the status on, and the record. The
/// script adds the invocation's own fields.
pub(crate) fn new_entry(registration: &Registration, record: Option<&LaneRecord>) -> [Vec<u8>; 2] {
    let is_named = registration.idempotency.is_some();
    let has_parent = record.is_some_and(|record| record.parent.is_some());
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let flags = flag(is_named, NAMED) | flag(record.is_some(), IN_LANE) | flag(has_parent, HAS_PARENT);
    let first = StatusRecord::registered(None, Timestamp::default());
    let head = Pack::new().state(&first).u8(flags).sized(&stored_registration(registration)).done();
    let record = record.map_or(&[][..], |record| &record.bytes);
    [head, Pack::with_capacity(4 + record.len()).u32(record.len() as u64).bytes(record).done()]
}

impl Pack {
    /// The fields of a header from the status to the owner.
    pub(crate) fn state(self, record: &StatusRecord) -> Self {
        self.u8(status_code(record.status))
            .u8(reason_code(record.reason))
            .u32(record.version)
            .u32(record.epoch)
            .u32(record.deliveries.into())
            .u32(record.starts.into())
            .u32(record.losses.into())
            .u32(record.retries.into())
            .u48(record.due.map_or(0, Timestamp::as_millis))
            .bytes(record.owner.as_ref().map_or(&NONE[..], |owner| owner.as_bytes()))
    }
}

/// The registration as an entry stores it.
fn stored_registration(registration: &Registration) -> Vec<u8> {
    let Registration { running, registration: key, retention, .. } = registration;
    let blocked = running.map_or(0, |running| match running.when_blocked {
        WhenBlocked::Drop => 1,
        WhenBlocked::Park => 2,
    });
    let mut pack = Pack::new()
        .u8(blocked)
        .u8(key.is_some().into())
        .u16(registration.priority.level())
        .millis(retention.results)
        .millis(retention.failures)
        .sized(registration.queue.as_str().as_bytes())
        .sized(registration.task.as_str().as_bytes());
    if let Some(running) = running {
        // A key without slots would park its invocations for ever.
        pack = pack.bytes(running.key.as_bytes()).u32(running.limit.max(1).into());
    }
    if let Some(key) = key {
        pack = pack.bytes(key.key.as_bytes()).bytes(key.arguments.as_bytes());
    }
    pack.done()
}

fn start<'a>(parse: &mut Parse<'a>) -> Result<Start<'a>> {
    let layout = parse.u8()?;
    if layout != LAYOUT {
        return Err(
            Error::corrupt("this version of pynenc can't read the layout of a stored record").with("layout", layout)
        );
    }
    let record = state(parse)?;
    let (flags, registration) = (parse.u8()?, parse.sized()?);
    let (at, token, registered_at) = (parse.time()?, parse.array()?, parse.time()?);
    parse.u32()?;
    let record = StatusRecord { at, cancel_requested: flags & CANCEL_REQUESTED != 0, ..record };
    Ok(Start { record, token, flags, registration, registered_at })
}

/// Reads the state of a header. The time and the cancel request aren't part of it.
fn state(parse: &mut Parse<'_>) -> Result<StatusRecord> {
    Ok(StatusRecord {
        at: Timestamp::default(),
        status: status(parse.u8()?)?,
        reason: reason(parse.u8()?)?,
        version: parse.u32()?.into(),
        epoch: parse.u32()?.into(),
        deliveries: parse.u32()?,
        starts: parse.u32()?,
        losses: parse.u32()?,
        retries: parse.u32()?,
        due: Some(parse.time()?).filter(|due| due.as_millis() > 0),
        owner: Some(parse.runner()?).filter(|owner| *owner.as_bytes() != NONE),
        cancel_requested: false,
    })
}

/// Reads the status record at the start of an entry, and leaves the rest to the caller.
pub(crate) fn status_record(parse: &mut Parse<'_>) -> Result<StatusRecord> {
    start(parse).map(|start| start.record)
}

/// Reads an entry.
pub(crate) fn entry(id: InvocationId, raw: &[u8]) -> Result<Entry<'_>> {
    let mut parse = Parse::new(raw);
    let start = start(&mut parse)?;
    let length = parse.u32()?;
    let record = parse.bytes(length as usize)?;
    let record = Some(record).filter(|_| start.flags & IN_LANE != 0);
    let tracked = tracked_of(registration_from(id, start.registration)?, start.record);
    Ok(Entry { tracked, token: start.token, record, has_parent: start.flags & HAS_PARENT != 0, log: parse.rest() })
}

/// Reads the invocation of an entry whose record and log aren't needed.
pub(crate) fn tracked(id: InvocationId, raw: &[u8]) -> Result<Tracked> {
    positioned(id, raw).map(|(tracked, _)| tracked)
}

/// Reads an id and the entry behind it. Returns the position in the order of registration too.
pub(crate) fn with_id(bytes: &[u8]) -> Result<(Tracked, Cursor)> {
    let mut parse = Parse::new(bytes);
    let id = parse.id()?;
    positioned(id, parse.rest())
}

fn positioned(id: InvocationId, raw: &[u8]) -> Result<(Tracked, Cursor)> {
    let start = start(&mut Parse::new(raw))?;
    let tracked = tracked_of(registration_from(id, start.registration)?, start.record);
    Ok((tracked, Cursor { at: start.registered_at, id }))
}

/// Reads the registration of an entry, without the due time and the idempotency key.
pub(crate) fn registration(id: InvocationId, raw: &[u8]) -> Result<Registration> {
    registration_from(id, start(&mut Parse::new(raw))?.registration)
}

fn registration_from(id: InvocationId, stored: &[u8]) -> Result<Registration> {
    let mut parse = Parse::new(stored);
    let (blocked, keyed, level) = (parse.u8()?, parse.u8()?, parse.u16()?);
    let retention = Retention { results: parse.duration()?, failures: parse.duration()? };
    let (queue, task) = (QueueName::from(parse.sized_text()?), TaskId::from(parse.sized_text()?));
    let running = if blocked > 0 { Some(running_key(blocked, &mut parse)?) } else { None };
    let key = if keyed > 0 { Some(RegistrationKey { key: parse.digest()?, arguments: parse.digest()? }) } else { None };
    let registration = Registration::new(id, task, queue);
    Ok(Registration { priority: Priority::from_level(level), registration: key, running, retention, ..registration })
}

fn running_key(blocked: u8, parse: &mut Parse<'_>) -> Result<RunningKey> {
    let when_blocked = if blocked == 1 { WhenBlocked::Drop } else { WhenBlocked::Park };
    Ok(RunningKey { key: parse.digest()?, limit: parse.u32()?, when_blocked })
}

/// An invocation that is registered as the request says.
pub(crate) fn tracked_of(registration: Registration, record: StatusRecord) -> Tracked {
    let Registration { id, task, queue, priority, running, .. } = registration;
    Tracked { id, task, queue, priority, limited: running.is_some(), record }
}

/// Reads the history from the start of an entry and the log. The first line and those of the last claim aren't in the log:
/// the start has all that is in them.
pub(crate) fn history(head: &[u8], log: &[u8]) -> Result<Vec<HistoryEntry>> {
    let Start { registered_at, record, flags, .. } = start(&mut Parse::new(head))?;
    let status = if flags & SCHEDULED != 0 { Status::Scheduled } else { Status::Registered };
    let mut lines = vec![HistoryEntry {
        status,
        at: registered_at,
        version: 1,
        epoch: 0,
        runner: None,
        reason: Reason::Submitted,
        detail: None,
    }];
    let mut last_runner = None;
    for item in log::items(log) {
        match item? {
            Item::Line(line) => {
                last_runner = line.runner.or(last_runner);
                let (runner, version) = (last_runner.filter(|_| line.is_by_runner), lines.len() as u64 + 1);
                let detail = line.detail.map(Into::into);
                let (status, reason) = (self::status(line.status)?, self::reason(line.reason)?);
                lines.push(HistoryEntry { status, at: line.at, version, epoch: line.epoch, runner, reason, detail });
            }
            Item::Claim { at, state: bytes } => {
                let claimed = StatusRecord { at, ..state(&mut Parse::new(bytes))? };
                last_runner = claimed.owner;
                push_claim(&mut lines, &claimed);
            }
            Item::Outcome { .. } => {}
        }
    }
    if flags & UNLOGGED != 0 {
        push_claim(&mut lines, &record);
    }
    Ok(lines)
}

/// Adds the lines of a claim: pending, and running if the invocation was started in the same step.
fn push_claim(lines: &mut Vec<HistoryEntry>, claimed: &StatusRecord) {
    let StatusRecord { status, at, epoch, owner: runner, .. } = *claimed;
    let both = [(Status::Pending, Reason::Claimed), (Status::Running, Reason::Started)];
    for (status, reason) in both.into_iter().take(if status == Status::Running { 2 } else { 1 }) {
        let version = lines.len() as u64 + 1;
        lines.push(HistoryEntry { status, at, version, epoch, runner, reason, detail: None });
    }
}

pub(crate) fn status(code: u8) -> Result<Status> {
    let known = usize::from(code).checked_sub(1).and_then(|index| Status::ALL.get(index)).copied();
    known.ok_or_else(|| Error::corrupt("this version of pynenc doesn't know a stored status").with("code", code))
}

fn reason(code: u8) -> Result<Reason> {
    let known = usize::from(code).checked_sub(1).and_then(|index| Reason::ALL.get(index)).copied();
    known.ok_or_else(|| Error::corrupt("this version of pynenc doesn't know a stored reason").with("code", code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_statuses_and_reasons() {
        for expected in Status::ALL {
            assert_eq!(status(status_code(*expected)).unwrap(), *expected);
        }
        for expected in Reason::ALL {
            assert_eq!(reason(reason_code(*expected)).unwrap(), *expected);
        }
        assert!(status(0).is_err() && reason(200).is_err());
    }

    #[test]
    fn a_new_entry_has_its_own_fields_between_its_parts() {
        let registration = Registration::new(InvocationId::new(), "shop::pay".into(), "default".into());
        let record = LaneRecord { parent: None, bytes: b"record".to_vec() };
        let [head, rest] = new_entry(&registration, Some(&record));
        let raw = Pack::new().u8(LAYOUT).bytes(&head).u48(5).bytes(&NONE).u48(5).u32(7).bytes(&rest).done();
        let entry = entry(registration.id, &raw).unwrap();
        let record = StatusRecord::registered(None, Timestamp::from_millis(5));
        assert_eq!((entry.tracked, entry.record), (tracked_of(registration, record), Some(&b"record"[..])));
        assert!(entry.log.is_empty());
    }
}
