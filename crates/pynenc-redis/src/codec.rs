//! What is stored, and what scripts are given and give, as bytes. Numbers are big-endian.

use std::time::Duration;

use bytes::Bytes;
use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Cursor, HistoryEntry, Tracked};
use pynenc_core::record::{Priority, Registration, RegistrationKey, Retention, RunningKey, WhenBlocked};
use pynenc_core::status::{By, Due};
use pynenc_core::{
    Digest, Error, InvocationId, QueueName, Reason, Result, RunnerId, Status, StatusRecord, TaskId, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::script;

/// The greatest number that six bytes hold; points in time and lengths beyond it are cut to it.
const LAST_MILLIS: u64 = (1 << 43) - 1;

/// Bytes that grow.
#[derive(Debug, Default)]
pub(crate) struct Pack(Vec<u8>);

impl Pack {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(128))
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u64) -> Self {
        self.0.extend(u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes());
        self
    }

    pub(crate) fn u48(mut self, value: u64) -> Self {
        self.0.extend(&value.min(LAST_MILLIS).to_be_bytes()[2..]);
        self
    }

    pub(crate) fn millis(self, length: Duration) -> Self {
        self.u48(millis(length))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Bytes with their length before them.
    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        self.u16(bytes.len() as u16).bytes(bytes)
    }

    /// A due time: its kind, and its milliseconds.
    pub(crate) fn due(self, due: Option<Due>) -> Self {
        match due {
            None => self.u8(0).u48(0),
            Some(Due::In(delay)) => self.u8(1).millis(delay),
            Some(Due::At(time)) => self.u8(2).u48(time.as_millis()),
        }
    }

    /// Who makes a transition: its bit, and the runner or zeros.
    pub(crate) fn by(self, by: By) -> Self {
        match by {
            By::Claimer(runner) => self.u8(script::CLAIMER).bytes(runner.as_bytes()),
            By::Owner(runner) => self.u8(script::OWNER).bytes(runner.as_bytes()),
            By::System => self.u8(script::SYSTEM).bytes(&[0; 16]),
        }
    }

    /// A place in a listing; the first place without one.
    pub(crate) fn place(self, after: Option<Cursor>) -> Self {
        match after {
            Some(Cursor { at, id }) => self.u48(at.as_millis()).bytes(id.as_bytes()),
            None => self.u48(0).bytes(&[0; 16]),
        }
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Whole milliseconds, rounded up so that nothing is early.
pub(crate) fn millis(length: Duration) -> u64 {
    (Timestamp::default() + length).as_millis().min(LAST_MILLIS)
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parse<'a>(&'a [u8]);

impl<'a> Parse<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(cut_off)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self, length: usize) -> Result<u64> {
        Ok(self.bytes(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.number(1)? as u8)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        Ok(self.number(2)? as u16)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        Ok(self.number(4)? as u32)
    }

    pub(crate) fn u48(&mut self) -> Result<u64> {
        self.number(6)
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(self.u48()?))
    }

    fn length(&mut self) -> Result<Duration> {
        self.u48().map(Duration::from_millis)
    }

    fn digest(&mut self) -> Result<Digest> {
        self.array().map(Digest::from_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| cut_off())
    }

    pub(crate) fn id(&mut self) -> Result<InvocationId> {
        self.array().map(InvocationId::from_bytes)
    }

    pub(crate) fn runner(&mut self) -> Result<RunnerId> {
        self.array().map(RunnerId::from_bytes)
    }

    pub(crate) fn place(&mut self) -> Result<Cursor> {
        Ok(Cursor { at: self.time()?, id: self.id()? })
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    pub(crate) fn sized_text(&mut self) -> Result<&'a str> {
        text(self.sized()?)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| Error::corrupt("a stored text isn't UTF-8").caused_by(error))
}

fn cut_off() -> Error {
    Error::corrupt("a stored value ends too early")
}

/// The facts of an invocation as its entry keeps them.
pub(crate) fn facts(registration: &Registration) -> Vec<u8> {
    let Registration { running, registration: key, retention, .. } = registration;
    let blocked = running.map_or(0, |running| match running.when_blocked {
        WhenBlocked::End => 1,
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
        // A key without a slot would park everything for ever.
        pack = pack.bytes(running.key.as_bytes()).u32(running.limit.max(1).into());
    }
    if let Some(key) = key {
        pack = pack.bytes(key.key.as_bytes()).bytes(key.arguments.as_bytes());
    }
    pack.done()
}

/// The names have their lengths in two bytes.
pub(crate) fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    match names.into_iter().find(|name| name.len() > usize::from(u16::MAX) / 2) {
        Some(name) => Err(Error::invalid("a name is too long for the store").with("bytes", name.len())),
        None => Ok(()),
    }
}

/// The record of a header.
pub(crate) fn header(bytes: &[u8]) -> Result<StatusRecord> {
    header_from(&mut Parse::new(bytes))
}

/// The record of a header, and what follows it is left to be read.
pub(crate) fn header_from(parse: &mut Parse<'_>) -> Result<StatusRecord> {
    let layout = parse.u8()?;
    if layout != 1 {
        return Err(Error::corrupt("a record has a layout that this version can't read").with("layout", layout));
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

/// What an entry says of an invocation, and where it stands in the order of registration.
pub(crate) fn entry(id: InvocationId, raw: &[u8]) -> Result<(Tracked, Cursor)> {
    let mut parse = Parse::new(raw);
    let record = header_from(&mut parse)?;
    let place = Cursor { at: parse.time()?, id };
    parse.u16()?;
    Ok((tracked(id, record, &mut parse)?, place))
}

/// What an invocation was registered with, as far as its entry keeps it.
pub(crate) fn registration(id: InvocationId, raw: &[u8]) -> Result<Registration> {
    let mut parse = Parse::new(raw);
    header_from(&mut parse)?;
    parse.u48()?;
    parse.u16()?;
    let (blocked, keyed, level) = (parse.u8()?, parse.u8()?, parse.u16()?);
    let retention = Retention { results: parse.length()?, failures: parse.length()? };
    let (queue, task) = (QueueName::from(parse.sized_text()?), TaskId::from(parse.sized_text()?));
    let running = if blocked > 0 { Some(running_key(blocked, &mut parse)?) } else { None };
    let key = if keyed > 0 { Some(RegistrationKey { key: parse.digest()?, arguments: parse.digest()? }) } else { None };
    let registration = Registration::new(id, task, queue);
    Ok(Registration { priority: priority(level), registration: key, running, retention, ..registration })
}

fn running_key(blocked: u8, parse: &mut Parse<'_>) -> Result<RunningKey> {
    let when_blocked = if blocked == 1 { WhenBlocked::End } else { WhenBlocked::Park };
    Ok(RunningKey { key: parse.digest()?, limit: parse.u32()?, when_blocked })
}

pub(crate) fn tracked_entry(id: InvocationId, raw: &[u8]) -> Result<Tracked> {
    entry(id, raw).map(|(tracked, _)| tracked)
}

/// An id and its entry.
pub(crate) fn with_id(bytes: &[u8]) -> Result<(Tracked, Cursor)> {
    let mut parse = Parse::new(bytes);
    let id = parse.id()?;
    entry(id, parse.rest())
}

fn tracked(id: InvocationId, record: StatusRecord, parse: &mut Parse<'_>) -> Result<Tracked> {
    let (blocked, _keyed, level) = (parse.u8()?, parse.u8()?, parse.u16()?);
    parse.bytes(12)?;
    let (queue, task) = (QueueName::from(parse.sized_text()?), TaskId::from(parse.sized_text()?));
    Ok(Tracked { id, task, queue, priority: priority(level), limited: blocked > 0, record })
}

/// The priority of a level: one that callers choose, or one that was raised.
fn priority(level: u16) -> Priority {
    match u8::try_from(level) {
        Ok(chosen) if chosen <= Priority::HIGHEST => Priority::new(chosen),
        _ => Priority::new(0).raised(usize::from(level).saturating_sub(16)),
    }
}

/// The history of an entry; what it says beyond the reasons is looked up by version.
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
    let known = Status::ALL.iter().copied().find(|status| script::status_code(*status) == code);
    known.ok_or_else(|| Error::corrupt("a status that this version doesn't know").with("code", code))
}

fn reason(code: u8) -> Result<Reason> {
    let known = Reason::ALL.iter().copied().find(|reason| script::reason_code(*reason) == code);
    known.ok_or_else(|| Error::corrupt("a reason that this version doesn't know").with("code", code))
}

/// A hint as the push script takes it.
pub(crate) fn hint(message: &Message) -> Vec<u8> {
    Pack::new()
        .bytes(message.invocation.as_bytes())
        .u16(message.priority.level())
        .u48(message.not_before.map_or(0, Timestamp::as_millis))
        .bytes(message.queue.as_str().as_bytes())
        .done()
}

/// A value that only this crate reads.
pub(crate) fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    rmp_serde::to_vec_named(value).map_err(|error| Error::invalid("a value can't be encoded").caused_by(error))
}

pub(crate) fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut rest = bytes;
    let value = rmp_serde::from_read(&mut rest)
        .map_err(|error| Error::corrupt("a stored value can't be decoded").caused_by(error))?;
    if rest.is_empty() { Ok(value) } else { Err(Error::corrupt("a stored value has bytes behind its end")) }
}

pub(crate) fn owned_bytes(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_width() {
        let packed = Pack::new().u8(1).u16(2).u32(3).u48(4).sized(b"five").done();
        assert_eq!(packed.len(), 1 + 2 + 4 + 6 + 2 + 4);
        let mut parse = Parse::new(&packed);
        let numbers = (parse.u8().unwrap(), parse.u16().unwrap(), parse.u32().unwrap(), parse.u48().unwrap());
        assert_eq!(numbers, (1, 2, 3, 4));
        assert_eq!(parse.sized_text().unwrap(), "five");
        assert!(parse.u8().is_err());
    }

    #[test]
    fn priorities_keep_their_level() {
        let raised = [0, 1, 500, 5000].map(|waiters| Priority::new(3).raised(waiters));
        for expected in raised.into_iter().chain((0..=9).map(Priority::new)) {
            assert_eq!(priority(expected.level()), expected);
        }
    }

    #[test]
    fn what_follows_a_value_is_refused() {
        let mut bytes = encoded(&7u8).unwrap();
        assert_eq!(decoded::<u8>(&bytes).unwrap(), 7);
        bytes.push(0);
        assert!(decoded::<u8>(&bytes).is_err());
    }

    #[test]
    fn lengths_beyond_what_is_stored_are_cut() {
        assert_eq!(millis(Duration::MAX), LAST_MILLIS);
        assert_eq!(millis(Duration::from_micros(1)), 1);
    }
}
