//! The log of an entry: lines of history, claims and outcomes.
//!
//! The first byte of an item is a mark, or for a line its status. An outcome that is stored without its entry has the same
//! bytes.

use pynenc_core::packed::{pack, unpack};
use pynenc_core::record::Outcome;
use pynenc_core::status::{By, Change};
use pynenc_core::{Result, RunnerId, StatusRecord, Timestamp};

use crate::codec::{Pack, Parse};
use crate::codes::{reason_code, status_code};
use crate::layout::STATE;

/// The first bytes of an outcome and of a claim.
const OUTCOME: u8 = 255;
const CLAIM: u8 = 254;
/// The parts of a line behind the epoch.
const SAME_RUNNER: u8 = 1;
const RUNNER: u8 = 2;
const DETAIL: u8 = 4;
/// An item of the log.
pub(crate) enum Item<'a> {
    Line(Line<'a>),
    /// The time of a claim and the state that it left. The claim's lines of history follow from these.
    Claim {
        at: Timestamp,
        state: &'a [u8],
    },
    Outcome {
        epoch: u64,
        bytes: &'a [u8],
    },
}

/// A line of history, with codes as they are stored.
pub(crate) struct Line<'a> {
    pub(crate) status: u8,
    pub(crate) reason: u8,
    pub(crate) at: Timestamp,
    pub(crate) epoch: u64,
    /// Whether a runner made the transition: the named one, or that of the last line that names one.
    pub(crate) is_by_runner: bool,
    pub(crate) runner: Option<RunnerId>,
    pub(crate) detail: Option<&'a str>,
}

/// Reads the items of a log, up to the first error.
pub(crate) fn items(log: &[u8]) -> impl Iterator<Item = Result<Item<'_>>> {
    let mut rest = Some(log);
    std::iter::from_fn(move || {
        let log = rest.take().filter(|log| !log.is_empty())?;
        let mut parse = Parse::new(log);
        let item = item(&mut parse);
        rest = item.is_ok().then_some(parse.rest());
        Some(item)
    })
}

fn item<'a>(parse: &mut Parse<'a>) -> Result<Item<'a>> {
    let first = parse.u8()?;
    if first == OUTCOME {
        let (epoch, length) = (parse.u32()?.into(), parse.u32()?);
        return Ok(Item::Outcome { epoch, bytes: parse.bytes(length as usize)? });
    }
    if first == CLAIM {
        return Ok(Item::Claim { at: parse.time()?, state: parse.bytes(STATE)? });
    }
    let (reason, epoch, parts) = (parse.u8()?, parse.u32()?.into(), parse.u8()?);
    let runner = if parts & RUNNER != 0 { Some(parse.runner()?) } else { None };
    let detail = if parts & DETAIL != 0 { Some(parse.long_text()?) } else { None };
    let (at, is_by_runner) = (parse.time()?, parts & (SAME_RUNNER | RUNNER) != 0);
    Ok(Item::Line(Line { status: first, reason, at, epoch, is_by_runner, runner, detail }))
}

impl Pack {
    /// The line for a change that leads to a record, but for the time, which the server adds.
    pub(crate) fn line(self, next: &StatusRecord, change: &Change) -> Self {
        let parts = match change.by {
            By::Claimer(_) => RUNNER,
            By::Owner(_) => SAME_RUNNER,
            By::System => 0,
        };
        let parts = parts | if change.detail.is_some() { DETAIL } else { 0 };
        let mut pack = self.u8(status_code(next.status)).u8(reason_code(next.reason)).u32(next.epoch).u8(parts);
        if let By::Claimer(runner) = change.by {
            pack = pack.bytes(runner.as_bytes());
        }
        if let Some(detail) = &change.detail {
            pack = pack.long(detail.as_bytes());
        }
        pack
    }
}

/// Encodes an outcome as an item.
pub(crate) fn outcome_item(epoch: u64, outcome: &Outcome) -> Vec<u8> {
    let outcome = pack(outcome);
    Pack::with_capacity(outcome.len() + 9).u8(OUTCOME).u32(epoch).u32(outcome.len() as u64).bytes(&outcome).done()
}

/// Finds the outcome of an epoch.
pub(crate) fn outcome_of(epoch: u64, log: &[u8]) -> Result<Option<Outcome>> {
    for item in items(log) {
        match item? {
            Item::Outcome { epoch: of, bytes } if of == epoch => return unpack(bytes).map(Some),
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pynenc_core::record::{Payload, TaskError};
    use pynenc_core::{Digest, Reason, Status};

    #[test]
    fn outcomes_are_read_as_they_were_written() {
        let value = Payload::Inline(b"4".as_slice().into());
        let content = Payload::External { digest: Digest::from_bytes([7; 32]), size: 1 << 40 };
        let error = TaskError { kind: "E".into(), message: "é".into(), source_chain: vec!["a".into()], attempt: 3 };
        let outcomes = [
            Outcome::Value { value, serializer: "JsonSerializer".into() },
            Outcome::Value { value: content.clone(), serializer: "own".into() },
            Outcome::Error(error),
            Outcome::LargeError(content),
        ];
        let log: Vec<u8> = outcomes.iter().zip(1..).flat_map(|(outcome, epoch)| outcome_item(epoch, outcome)).collect();
        for (outcome, epoch) in outcomes.iter().zip(1..) {
            assert_eq!(outcome_of(epoch, &log).unwrap().as_ref(), Some(outcome));
        }
        assert_eq!(outcome_of(9, &log).unwrap(), None);
        for cut in 1..outcome_item(1, &outcomes[2]).len() {
            let item = outcome_item(1, &outcomes[2]);
            assert!(outcome_of(1, &item[..cut]).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn a_line_names_its_runner_and_its_detail() {
        let runner = RunnerId::new();
        let change = Change::new(Status::Failed, By::Claimer(runner), Reason::WaitCycle).detail("why");
        let next = StatusRecord { epoch: 3, ..StatusRecord::registered(None, Timestamp::from_millis(1)) };
        let log = Pack::new().line(&next, &change).u48(5).done();
        let line = items(&log).next().unwrap().unwrap();
        let Item::Line(line) = line else { panic!("a line") };
        assert_eq!((line.runner, line.detail, line.is_by_runner, line.epoch), (Some(runner), Some("why"), true, 3));
    }
}
