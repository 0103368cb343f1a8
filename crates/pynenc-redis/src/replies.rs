//! The replies of the scripts that register, claim and cancel invocations.

use std::sync::Arc;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{CancelReply, Claim, ClaimReply, Registered, Tracked};
use pynenc_core::record::{InvocationRecord, Registration};
use pynenc_core::status::{By, Change, advance};
use pynenc_core::{Error, ErrorKind, InvocationId, Reason, Result, RunnerId, Status, StatusRecord, Timestamp};
use redis::Value;

use crate::arguments::{self, BATCH};
use crate::client::Client;
use crate::codec::Parse;
use crate::entry::{self, Entry, tracked_of};
use crate::error::{is_corrupt, item_failed, unexpected_reply};
use crate::invocation_record::parse_lane_record;
use crate::script;
use crate::value::{bytes, list, values_of};

/// Reads the reply to a registration.
pub(crate) fn registered(registration: &Registration, reply: &Value, time: Timestamp) -> Result<Registered> {
    let Value::BulkString(reply) = reply else { return Err(unexpected_reply("a reply to a registration")) };
    let Some((code, rest)) = reply.split_first() else { return Err(unexpected_reply("a reply to a registration")) };
    let mut parse = Parse::new(rest);
    match code {
        b'N' => Ok(Registered::New(accepted(registration, time))),
        b'O' => Ok(Registered::New(entry::tracked(registration.id, rest)?)),
        b'W' => Ok(Registered::Existing { id: parse.id()?, same_arguments: parse.u8()? == b'1' }),
        b'C' => Ok(Registered::Conflict { id: parse.id()? }),
        _ => Err(failed_or_unexpected(reply, "a reply to a registration")),
    }
}

/// A call that is registered as its caller asked for.
pub(crate) fn accepted(registration: &Registration, time: Timestamp) -> Tracked {
    tracked_of(registration.clone(), StatusRecord::registered(registration.due, time))
}

/// Refuses a retired runner, which gets no replies to its claim.
pub(crate) fn unless_retired(reply: Value, runner: RunnerId) -> Result<Value> {
    if reply == Value::Nil {
        return Err(Error::new(ErrorKind::Retired, "the runner was retired").with("runner", runner));
    }
    Ok(reply)
}

/// A reply to a claim, with the record of the call if the claim is granted and the entry has the record.
pub(crate) type Claimed = (ClaimReply, Option<Arc<InvocationRecord>>);

/// Reads the reply to a claim, which is the entry before the claim.
pub(crate) fn claimed(claim: &Claim, id: InvocationId, reply: &Value, time: Timestamp) -> Result<Claimed> {
    let raw = match reply {
        Value::Int(0) => return Ok((ClaimReply::Gone, None)),
        Value::Int(_) => return Ok((ClaimReply::Busy, None)),
        Value::BulkString(raw) if raw.first() == Some(&b'X') => {
            return Err(failed_or_unexpected(raw, "a reply to a claim"));
        }
        Value::BulkString(raw) => raw,
        _ => return Err(unexpected_reply("a reply to a claim")),
    };
    let Entry { mut tracked, token, record, has_parent, .. } = entry::entry(id, raw)?;
    if token != *claim.token.as_bytes() {
        if claim.left_out.contains(&tracked.task) {
            return Ok((ClaimReply::LeftOut(tracked), None));
        }
        tracked.record = after_claim(claim, &tracked.record, time)?;
    }
    let record = match record.map(|stored| parse_lane_record(&tracked, stored, has_parent)).transpose() {
        // The runner reads the record again before it fails the invocation.
        Err(error) if is_corrupt(&error) => {
            tracing::error!(invocation = %id, %error, "the record of an invocation is corrupt");
            None
        }
        record => record?,
    };
    Ok((ClaimReply::Granted(tracked), record))
}

/// Claims the candidates of a claim.
pub(crate) async fn claim(client: &Client, claim: &Claim) -> Result<Vec<Claimed>> {
    let claim_in_chunks = || async {
        let mut all = Vec::with_capacity(claim.ids.len());
        for ids in claim.ids.chunks(BATCH) {
            let reply = client.run(&script::CLAIM, &arguments::claim(claim, ids)).await?;
            let (time, replies) = values_of(unless_retired(reply, claim.runner)?)?;
            all.extend(ids.iter().zip(replies).map(|(id, reply)| claimed(claim, *id, &reply, time)));
        }
        Ok(all)
    };
    let replies = client.retry_items_if_garbled(claim_in_chunks).await?.into_iter().zip(&claim.ids);
    replies.map(|(reply, id)| reply.or_else(|error| gone_if_corrupt(*id, error))).collect()
}

/// The record after a granted claim.
pub(crate) fn after_claim(claim: &Claim, record: &StatusRecord, time: Timestamp) -> Result<StatusRecord> {
    let Claim { runner, runs_below, .. } = *claim;
    let refused = |_| unexpected_reply("a reply to a claim");
    let change = Change::new(Status::Pending, By::Claimer(runner), Reason::Claimed);
    let pending = advance(record, &change, time).map_err(refused)?;
    if pending.losses >= runs_below {
        return Ok(pending);
    }
    advance(&pending, &Change::new(Status::Running, By::Owner(runner), Reason::Started), time).map_err(refused)
}

/// Answers `Gone` for a corrupt entry: the invocation isn't run, and its entry stays as it is.
fn gone_if_corrupt(id: InvocationId, error: Error) -> Result<Claimed> {
    if !is_corrupt(&error) {
        return Err(error);
    }
    tracing::error!(invocation = %id, %error, "can't claim an invocation whose entry is corrupt");
    Ok((ClaimReply::Gone, None))
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

/// A reply of one value, which may be followed by others.
pub(crate) fn with_rest(reply: Value) -> Result<(Vec<u8>, Vec<Value>)> {
    match reply {
        Value::Array(_) => {
            let mut values = list(reply)?.into_iter();
            let first = values.next().ok_or_else(|| unexpected_reply("a value"))?;
            Ok((bytes(first)?, values.collect()))
        }
        reply => Ok((bytes(reply)?, Vec::new())),
    }
}

/// The hints for invocations that were handed a slot.
pub(crate) fn hints(handed: Vec<Value>) -> Result<Vec<Message>> {
    handed.into_iter().map(|item| Ok(entry::with_id(&bytes(item)?)?.0.message())).collect()
}

fn failed_or_unexpected(reply: &[u8], expected: &'static str) -> Error {
    match reply.split_first() {
        Some((b'X', reason)) => item_failed(&String::from_utf8_lossy(reason)),
        _ => unexpected_reply(expected),
    }
}
