//! The replies of the scripts that register, claim, change and cancel invocations.

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Block, CancelReply, ClaimReply, Registered, Tracked, Transition, TransitionReply};
use pynenc_core::record::Registration;
use pynenc_core::status::{By, Change, Refusal};
use pynenc_core::{Error, ErrorKind, InvocationId, Reason, Result, RunnerId, Status, Timestamp};
use redis::Value;

use crate::codec::Parse;
use crate::entry;
use crate::error::{is_corrupt, item_failed, unexpected_reply};
use crate::value::{bytes, list};

pub(crate) fn registered(registration: &Registration, reply: Value) -> Result<Registered> {
    let reply = bytes(reply)?;
    let Some((code, rest)) = reply.split_first() else { return Err(unexpected_reply("a reply to a registration")) };
    let mut parse = Parse::new(rest);
    match code {
        b'N' => Ok(Registered::New(accepted(registration, rest)?)),
        b'O' => Ok(Registered::New(entry::tracked(registration.id, rest)?)),
        b'W' => Ok(Registered::Existing { id: parse.id()?, same_arguments: parse.u8()? == b'1' }),
        b'C' => Ok(Registered::Conflict { id: parse.id()? }),
        _ => Err(failed_or_unexpected(&reply, "a reply to a registration")),
    }
}

fn accepted(registration: &Registration, header: &[u8]) -> Result<Tracked> {
    Ok(Tracked {
        id: registration.id,
        task: registration.task.clone(),
        queue: registration.queue.clone(),
        priority: registration.priority,
        limited: registration.running.is_some(),
        record: entry::header(header)?,
    })
}

/// The replies to a claim. A retired runner gets none.
pub(crate) fn claims(reply: Value, runner: RunnerId) -> Result<Vec<Value>> {
    if reply == Value::Nil {
        return Err(Error::new(ErrorKind::Retired, "the runner was retired").with("runner", runner));
    }
    list(reply)
}

pub(crate) fn claimed(id: InvocationId, reply: Value) -> Result<ClaimReply> {
    match reply {
        Value::Int(0) => Ok(ClaimReply::Gone),
        Value::Int(_) => Ok(ClaimReply::Busy),
        reply => {
            let reply = bytes(reply)?;
            match reply.first() {
                Some(b'X') => Err(failed_or_unexpected(&reply, "a reply to a claim")),
                Some(b'L') => entry::tracked(id, &reply[1..]).map(ClaimReply::LeftOut),
                _ => entry::tracked(id, &reply).map(ClaimReply::Granted),
            }
        }
    }
}

/// Answers `Gone` for a corrupt entry: the invocation isn't run, and its entry stays as it is.
pub(crate) fn gone_if_corrupt(id: InvocationId, error: Error) -> Result<ClaimReply> {
    if !is_corrupt(&error) {
        return Err(error);
    }
    tracing::error!(invocation = %id, %error, "can't claim an invocation whose entry is corrupt");
    Ok(ClaimReply::Gone)
}

pub(crate) fn transitioned(transition: &Transition, reply: Value) -> Result<TransitionReply> {
    let (first, handed) = with_rest(reply)?;
    let Some((code, rest)) = first.split_first() else { return Err(unexpected_reply("a reply to a transition")) };
    match code {
        b'D' => Ok(TransitionReply::Done { record: entry::header(rest)?, handed: hints(handed)? }),
        b'A' => Ok(TransitionReply::AlreadyMine(entry::header(rest)?)),
        b'R' => refusal(&transition.change, rest).map(TransitionReply::Refused),
        _ => Err(failed_or_unexpected(&first, "a reply to a transition")),
    }
}

pub(crate) fn cancelled(reply: Value) -> Result<CancelReply> {
    let (first, handed) = with_rest(reply)?;
    match first.as_slice() {
        b"C" => Ok(CancelReply::Cancelled { handed: hints(handed)? }),
        b"Q" => Ok(CancelReply::Requested),
        b"M" => Ok(CancelReply::Missing),
        [b'F', status] => Ok(CancelReply::Final(entry::status(*status)?)),
        other => Err(failed_or_unexpected(other, "a reply to a cancel request")),
    }
}

/// The refusal to pause a waiter.
pub(crate) fn pause_refused(block: &Block, reply: &[u8]) -> Result<Refusal> {
    refusal(&Change::new(Status::Paused, By::Owner(block.runner), Reason::Waiting), reply)
}

fn refusal(change: &Change, reply: &[u8]) -> Result<Refusal> {
    let mut parse = Parse::new(reply);
    let (code, first, second) = (parse.u8()?, parse.u48()?, parse.u48()?);
    let (to, by) = (change.to, change.by);
    Ok(match code {
        b'S' => Refusal::Stale { version: first, epoch: second },
        b'E' => Refusal::NoEdge { from: entry::status(first as u8)?, to },
        b'W' => Refusal::WrongActor { from: entry::status(first as u8)?, to, by },
        b'N' => Refusal::NotDue { due: Timestamp::from_millis(first), now: Timestamp::from_millis(second) },
        b'Z' => Refusal::Suspended,
        b'H' => Refusal::HasRun { starts: first as u32 },
        b'U' => Refusal::WrongDue { to },
        b'M' => Refusal::Missing,
        _ => return Err(unexpected_reply("a refusal")),
    })
}

/// A reply of one value, which may be followed by others.
fn with_rest(reply: Value) -> Result<(Vec<u8>, Vec<Value>)> {
    match reply {
        Value::Array(values) => {
            let mut values = values.into_iter();
            let first = values.next().ok_or_else(|| unexpected_reply("a value"))?;
            Ok((bytes(first)?, values.collect()))
        }
        reply => Ok((bytes(reply)?, Vec::new())),
    }
}

/// The hints for invocations that were handed a slot.
fn hints(handed: Vec<Value>) -> Result<Vec<Message>> {
    handed.into_iter().map(|item| Ok(entry::with_id(&bytes(item)?)?.0.message())).collect()
}

fn failed_or_unexpected(reply: &[u8], expected: &'static str) -> Error {
    match reply.split_first() {
        Some((b'X', reason)) => item_failed(&String::from_utf8_lossy(reason)),
        _ => unexpected_reply(expected),
    }
}
