//! What the scripts of the orchestrator answer.

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{
    CancelReply, ClaimReply, OutboxEntry, Registered, Tracked, Transition, TransitionReply,
};
use pynenc_core::record::Registration;
use pynenc_core::status::Refusal;
use pynenc_core::{Error, InvocationId, Result, Timestamp};
use redis::Value;

use crate::client::{bytes, is_corrupt, list, number};
use crate::codec::{self, Parse};
use crate::error::{item_failed, misshapen};

pub(crate) fn registered(registration: &Registration, reply: Value) -> Result<Registered> {
    let reply = bytes(reply)?;
    let Some((code, rest)) = reply.split_first() else { return Err(misshapen("a registration's answer")) };
    let mut parse = Parse::new(rest);
    match code {
        b'N' => Ok(Registered::New(accepted(registration, rest)?)),
        b'O' => Ok(Registered::New(codec::tracked_entry(registration.id, rest)?)),
        b'W' => Ok(Registered::Existing { id: parse.id()?, same_arguments: parse.u8()? == b'1' }),
        b'C' => Ok(Registered::Conflict { id: parse.id()? }),
        _ => Err(failed_or(reply.as_slice(), "a registration's answer")),
    }
}

fn accepted(registration: &Registration, header: &[u8]) -> Result<Tracked> {
    Ok(Tracked {
        id: registration.id,
        task: registration.task.clone(),
        queue: registration.queue.clone(),
        priority: registration.priority,
        limited: registration.running.is_some(),
        record: codec::header(header)?,
    })
}

pub(crate) fn claimed(id: InvocationId, reply: Value) -> Result<ClaimReply> {
    match reply {
        Value::Int(0) => Ok(ClaimReply::Gone),
        Value::Int(_) => Ok(ClaimReply::Busy),
        reply => {
            let reply = bytes(reply)?;
            match reply.first() {
                Some(b'X') => Err(failed_or(&reply, "a claim's answer")),
                Some(b'L') => codec::tracked_entry(id, &reply[1..]).map(ClaimReply::LeftOut),
                _ => codec::tracked_entry(id, &reply).map(ClaimReply::Granted),
            }
        }
    }
}

/// An entry that can't be understood isn't run; it stays where it is.
pub(crate) fn gone(id: InvocationId, error: Error) -> Result<ClaimReply> {
    if !is_corrupt(&error) {
        return Err(error);
    }
    tracing::error!(invocation = %id, %error, "an invocation can't be understood and isn't claimed");
    Ok(ClaimReply::Gone)
}

pub(crate) fn transitioned(transition: &Transition, reply: Value) -> Result<TransitionReply> {
    let (first, handed) = with_rest(reply)?;
    let Some((code, rest)) = first.split_first() else { return Err(misshapen("a transition's answer")) };
    match code {
        b'D' => Ok(TransitionReply::Done { record: codec::header(rest)?, handed: hints(handed)? }),
        b'A' => Ok(TransitionReply::AlreadyMine(codec::header(rest)?)),
        b'R' => refusal(transition, rest).map(TransitionReply::Refused),
        _ => Err(failed_or(&first, "a transition's answer")),
    }
}

/// A reply of one value, or of one and more behind it.
fn with_rest(reply: Value) -> Result<(Vec<u8>, Vec<Value>)> {
    match reply {
        Value::Array(values) => {
            let mut values = values.into_iter();
            let first = values.next().ok_or_else(|| misshapen("an answer"))?;
            Ok((bytes(first)?, values.collect()))
        }
        reply => Ok((bytes(reply)?, Vec::new())),
    }
}

fn hints(handed: Vec<Value>) -> Result<Vec<Message>> {
    handed.into_iter().map(|head| Ok(codec::with_id(&bytes(head)?)?.0.message())).collect()
}

pub(crate) fn refusal(transition: &Transition, reply: &[u8]) -> Result<Refusal> {
    let mut parse = Parse::new(reply);
    let (code, one, other) = (parse.u8()?, parse.u48()?, parse.u48()?);
    let (to, by) = (transition.change.to, transition.change.by);
    Ok(match code {
        b'S' => Refusal::Stale { version: one, epoch: other },
        b'E' => Refusal::NoEdge { from: codec::status(one as u8)?, to },
        b'W' => Refusal::WrongActor { from: codec::status(one as u8)?, to, by },
        b'N' => Refusal::NotDue { due: Timestamp::from_millis(one), now: Timestamp::from_millis(other) },
        b'Z' => Refusal::Asleep,
        b'H' => Refusal::HasRun { starts: one as u32 },
        b'U' => Refusal::WrongDue { to },
        b'M' => Refusal::Missing,
        _ => return Err(misshapen("a refusal")),
    })
}

pub(super) fn cancelled(reply: Value) -> Result<CancelReply> {
    let (first, handed) = with_rest(reply)?;
    match first.as_slice() {
        b"C" => Ok(CancelReply::Cancelled { handed: hints(handed)? }),
        b"Q" => Ok(CancelReply::Requested),
        b"M" => Ok(CancelReply::Missing),
        [b'F', status] => Ok(CancelReply::Final(codec::status(*status)?)),
        other => Err(failed_or(other, "a cancel's answer")),
    }
}

pub(super) fn outbox(reply: Value) -> Result<Vec<OutboxEntry>> {
    let values = list(reply)?;
    let entries = values.chunks_exact(2).filter_map(|pair| match &pair[1] {
        Value::BulkString(entry) => Some((number(&pair[0]), entry)),
        _ => None,
    });
    entries.map(|(sequence, entry)| outbox_entry(sequence?, entry)).collect()
}

fn outbox_entry(sequence: u64, entry: &[u8]) -> Result<OutboxEntry> {
    let mut parse = codec::Parse::new(entry);
    let listener = parse.sized_text()?.into();
    let Tracked { id, task, record, .. } = codec::with_id(parse.rest())?.0;
    Ok(OutboxEntry { sequence, listener, id, task, record })
}

fn failed_or(reply: &[u8], expected: &'static str) -> Error {
    match reply.split_first() {
        Some((b'X', reason)) => item_failed(&String::from_utf8_lossy(reason)),
        _ => misshapen(expected),
    }
}
