//! The stored entry of an invocation: a header, the registration, and a line of history for each version.

use pynenc_core::orchestrator::{HistoryEntry, Tracked};
use pynenc_core::page::Cursor;
use pynenc_core::record::{Priority, Registration, RegistrationKey, Retention, RunningKey, WhenBlocked};
use pynenc_core::{Error, InvocationId, QueueName, Reason, Result, Status, StatusRecord, TaskId};

use crate::codec::{Pack, Parse};
use crate::codes;

/// The registration as an entry stores it.
pub(crate) fn stored_registration(registration: &Registration) -> Vec<u8> {
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

/// Reads the record in a header.
pub(crate) fn header(bytes: &[u8]) -> Result<StatusRecord> {
    header_from(&mut Parse::new(bytes))
}

/// Reads the record in a header, and leaves the rest to the caller.
pub(crate) fn header_from(parse: &mut Parse<'_>) -> Result<StatusRecord> {
    let layout = parse.u8()?;
    if layout != 1 {
        return Err(
            Error::corrupt("this version of pynenc can't read the layout of a stored record").with("layout", layout)
        );
    }
    let (status, reason) = (status(parse.u8()?)?, reason(parse.u8()?)?);
    let [cancel, _granted, _named, _watched] = parse.array()?;
    let record = StatusRecord {
        status,
        reason,
        cancel_requested: cancel == 1,
        version: parse.u32()?.into(),
        epoch: parse.u32()?.into(),
        deliveries: parse.u32()?,
        starts: parse.u32()?,
        losses: parse.u32()?,
        retries: parse.u32()?,
        at: parse.time()?,
        due: Some(parse.time()?).filter(|due| due.as_millis() > 0),
        owner: Some(parse.runner()?).filter(|owner| *owner.as_bytes() != [0; 16]),
    };
    parse.bytes(16)?;
    Ok(record)
}

/// Reads the invocation of an entry, and its position in the order of registration.
pub(crate) fn entry(id: InvocationId, raw: &[u8]) -> Result<(Tracked, Cursor)> {
    let mut parse = Parse::new(raw);
    let record = header_from(&mut parse)?;
    let cursor = Cursor { at: parse.time()?, id };
    parse.u16()?;
    Ok((tracked_from(id, record, &mut parse)?, cursor))
}

/// Reads the registration of an entry, without the due time and the idempotency key.
pub(crate) fn registration(id: InvocationId, raw: &[u8]) -> Result<Registration> {
    let mut parse = Parse::new(raw);
    header_from(&mut parse)?;
    parse.u48()?;
    parse.u16()?;
    let (blocked, keyed, level) = (parse.u8()?, parse.u8()?, parse.u16()?);
    let retention = Retention { results: parse.duration()?, failures: parse.duration()? };
    let (queue, task) = (QueueName::from(parse.sized_text()?), TaskId::from(parse.sized_text()?));
    let running = if blocked > 0 { Some(running_key(blocked, &mut parse)?) } else { None };
    let key = if keyed > 0 { Some(RegistrationKey { key: parse.digest()?, arguments: parse.digest()? }) } else { None };
    let registration = Registration::new(id, task, queue);
    Ok(Registration { priority: priority(level), registration: key, running, retention, ..registration })
}

fn running_key(blocked: u8, parse: &mut Parse<'_>) -> Result<RunningKey> {
    let when_blocked = if blocked == 1 { WhenBlocked::Drop } else { WhenBlocked::Park };
    Ok(RunningKey { key: parse.digest()?, limit: parse.u32()?, when_blocked })
}

pub(crate) fn tracked(id: InvocationId, raw: &[u8]) -> Result<Tracked> {
    entry(id, raw).map(|(tracked, _)| tracked)
}

/// Reads an id and the entry behind it.
pub(crate) fn with_id(bytes: &[u8]) -> Result<(Tracked, Cursor)> {
    let mut parse = Parse::new(bytes);
    let id = parse.id()?;
    entry(id, parse.rest())
}

fn tracked_from(id: InvocationId, record: StatusRecord, parse: &mut Parse<'_>) -> Result<Tracked> {
    let (blocked, _keyed, level) = (parse.u8()?, parse.u8()?, parse.u16()?);
    parse.bytes(12)?;
    let (queue, task) = (QueueName::from(parse.sized_text()?), TaskId::from(parse.sized_text()?));
    Ok(Tracked { id, task, queue, priority: priority(level), limited: blocked > 0, record })
}

/// The priority of a stored level, which was chosen by a caller or raised.
fn priority(level: u16) -> Priority {
    match u8::try_from(level) {
        Ok(chosen) if chosen <= Priority::HIGHEST => Priority::new(chosen),
        _ => Priority::new(0).raised(usize::from(level).saturating_sub(16)),
    }
}

/// Reads the history of an entry. `detail` gives the detail of a version.
pub(crate) fn history(raw: &[u8], mut detail: impl FnMut(u64) -> Option<Box<str>>) -> Result<Vec<HistoryEntry>> {
    let mut parse = Parse::new(raw);
    header_from(&mut parse)?;
    parse.u48()?;
    parse.sized()?;
    let (mut lines, mut last) = (Vec::new(), None);
    while !parse.rest().is_empty() {
        let version = lines.len() as u64 + 1;
        let (status, reason) = (status(parse.u8()?)?, reason(parse.u8()?)?);
        let (at, epoch, named) = (parse.time()?, parse.u32()?.into(), parse.u8()?);
        if named & 3 == 2 {
            last = Some(parse.runner()?);
        }
        let runner = last.filter(|_| named & 3 > 0);
        let detail = if named & 4 > 0 { detail(version) } else { None };
        lines.push(HistoryEntry { status, at, version, epoch, runner, reason, detail });
    }
    Ok(lines)
}

pub(crate) fn status(code: u8) -> Result<Status> {
    let known = Status::ALL.iter().copied().find(|status| codes::status_code(*status) == code);
    known.ok_or_else(|| Error::corrupt("this version of pynenc doesn't know a stored status").with("code", code))
}

fn reason(code: u8) -> Result<Reason> {
    let known = Reason::ALL.iter().copied().find(|reason| codes::reason_code(*reason) == code);
    known.ok_or_else(|| Error::corrupt("this version of pynenc doesn't know a stored reason").with("code", code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_keep_their_level() {
        let raised = [0, 1, 500, 5000].map(|waiters| Priority::new(3).raised(waiters));
        for expected in raised.into_iter().chain((0..=9).map(Priority::new)) {
            assert_eq!(priority(expected.level()), expected);
        }
    }
}
