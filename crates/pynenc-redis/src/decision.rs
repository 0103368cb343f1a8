//! Transitions that the client decides on, by the record that its caller saw. The server only compares and writes.

use pynenc_core::orchestrator::{Block, Transition, TransitionReply};
use pynenc_core::status::{By, Change, CompareAndSet, Refusal, advance, compare_and_set};
use pynenc_core::{InvocationId, Reason, Result, Status, StatusRecord, Timestamp};
use redis::Value;

use crate::client::Client;
use crate::codec::{Pack, Parse};
use crate::entry;
use crate::error::{item_failed, unexpected_reply};
use crate::log::line_end;
use crate::replies::{hints, with_rest};
use crate::script::Script;
use crate::value::values_of;

/// How often a transition is decided. A cancel request that arrives meanwhile changes the decision, at most once.
const TRIES: usize = 4;

/// A decision: the argument for the server, and the record after the transition but for its times.
pub(crate) struct Decision {
    pub(crate) argument: Vec<u8>,
    next: StatusRecord,
}

impl Decision {
    /// Decides on a change of a record.
    ///
    /// # Errors
    ///
    /// The lifecycle refuses the change of this record.
    pub(crate) fn on(id: InvocationId, seen: &StatusRecord, change: &Change) -> Result<Self, Refusal> {
        if let Some(refusal) = refuse_claim(seen.status, change) {
            return Err(refusal);
        }
        // The server checks whether a due time is over, and fills in the times.
        let now = seen.due.unwrap_or(seen.at);
        let next = advance(seen, change, now)?;
        let must_be_due = matches!(change.by, By::Claimer(_));
        let (parts, end) = line_end(change);
        let argument = expected(id, seen)
            .due(change.due.filter(|_| next.due.is_some()))
            .u8(must_be_due.into())
            .u8(parts)
            .state(&StatusRecord { due: None, ..next.clone() })
            .bytes(&end);
        Ok(Self { argument: argument.done(), next })
    }

    /// The record after the server has made the transition.
    pub(crate) fn record(self, change: &Change, at: Timestamp) -> StatusRecord {
        let due = change.due.filter(|_| self.next.due.is_some());
        StatusRecord { at, due: due.map(|due| due.at(at).max(Timestamp::from_millis(1))), ..self.next }
    }
}

/// The invocation, and the parts of the record that have to be unchanged.
fn expected(id: InvocationId, seen: &StatusRecord) -> Pack {
    let owner = seen.owner.map_or([0; 16], |owner| *owner.as_bytes());
    let pack = Pack::new().bytes(id.as_bytes()).u32(seen.version).u32(seen.epoch).bytes(&owner);
    pack.u8(seen.cancel_requested.into())
}

/// Refuses a transition that a claim has to make, because only a claim takes the slot.
fn refuse_claim(from: Status, change: &Change) -> Option<Refusal> {
    let (to, by) = (change.to, change.by);
    let is_claim = matches!(by, By::Claimer(_)) && !matches!(to, Status::Failed | Status::Cancelled);
    is_claim.then_some(Refusal::WrongActor { from, to, by })
}

/// What follows from a stored record: the reply, or the record by which to decide again.
enum Next {
    Reply(TransitionReply),
    Again(StatusRecord),
}

/// Decides by the stored record of a transition that the server or the lifecycle refused.
fn reconsider(transition: &Transition, stored: Option<StatusRecord>, now: Timestamp) -> Next {
    let Some(stored) = stored else { return Next::Reply(TransitionReply::Refused(Refusal::Missing)) };
    let Transition { seen, change, .. } = transition;
    if let Some(refusal) = refuse_claim(stored.status, change) {
        return Next::Reply(TransitionReply::Refused(refusal));
    }
    match compare_and_set(&stored, seen, change, now) {
        CompareAndSet::AlreadyMine => Next::Reply(TransitionReply::AlreadyMine(stored)),
        CompareAndSet::Refused(refusal) => Next::Reply(TransitionReply::Refused(refusal)),
        CompareAndSet::Advanced(_) => Next::Again(stored),
    }
}

/// Makes transitions with a script. `rest` has the further arguments of the transitions, `width` of each.
pub(crate) async fn transitions(
    client: &Client,
    script: &'static Script,
    transitions: &[&Transition],
    rest: &[Vec<u8>],
    width: usize,
) -> Result<Vec<Result<TransitionReply>>> {
    let mut replies: Vec<Option<Result<TransitionReply>>> = transitions.iter().map(|_| None).collect();
    let mut open: Vec<(usize, Option<StatusRecord>)> = (0..transitions.len()).map(|index| (index, None)).collect();
    for _ in 0..TRIES {
        let (mut decisions, mut refused) = (Vec::with_capacity(open.len()), Vec::new());
        for (index, stored) in open.drain(..) {
            let Transition { id, seen, change } = transitions[index];
            match Decision::on(*id, stored.as_ref().unwrap_or(seen), change) {
                Ok(decision) => decisions.push((index, decision)),
                Err(_) => refused.push(index),
            }
        }
        let mut settle = |index: usize, next: Result<Next>| match next {
            Ok(Next::Reply(reply)) => replies[index] = Some(Ok(reply)),
            Ok(Next::Again(stored)) => open.push((index, Some(stored))),
            Err(error) => replies[index] = Some(Err(error)),
        };
        if !decisions.is_empty() {
            let mut items = Vec::with_capacity(decisions.len() * (1 + width));
            for (index, decision) in &mut decisions {
                items.push(std::mem::take(&mut decision.argument));
                items.extend_from_slice(&rest[*index * width..(*index + 1) * width]);
            }
            let (time, answers) = client.run_timed(script, &items, 1 + width).await?;
            for ((index, decision), answer) in decisions.into_iter().zip(answers) {
                settle(index, answered(transitions[index], decision, answer, time));
            }
        }
        if !refused.is_empty() {
            // The caller may have seen an old record: then the transition is stale, whatever else it is.
            let ids: Vec<_> = refused.iter().map(|index| transitions[*index].id).collect();
            for (index, stored) in refused.into_iter().zip(entry::read(client, &ids).await?) {
                let stored = stored.map(|tracked| tracked.record);
                let now = stored.as_ref().map_or(Timestamp::default(), |record| record.at);
                settle(index, Ok(reconsider(transitions[index], stored, now)));
            }
        }
        if open.is_empty() {
            break;
        }
    }
    Ok(replies
        .into_iter()
        .map(|reply| reply.unwrap_or_else(|| Err(unexpected_reply("a reply to a transition"))))
        .collect())
}

fn answered(transition: &Transition, decision: Decision, answer: Value, time: Timestamp) -> Result<Next> {
    let (first, handed) = with_rest(answer)?;
    match first.split_first() {
        Some((b'D', _)) => {
            let record = decision.record(&transition.change, time);
            Ok(Next::Reply(TransitionReply::Done { record, handed: hints(handed)? }))
        }
        Some((b'N', _)) => {
            let due = transition.seen.due.unwrap_or_default();
            Ok(Next::Reply(TransitionReply::Refused(Refusal::NotDue { due, now: time })))
        }
        _ => Ok(reconsider(transition, not_as_seen(&first)?, time)),
    }
}

/// The stored record, which isn't the one that the client decided by; `None` if there is none.
fn not_as_seen(reply: &[u8]) -> Result<Option<StatusRecord>> {
    match reply.split_first() {
        Some((b'S', header)) => entry::status_record(&mut Parse::new(header)).map(Some),
        Some((b'M', _)) => Ok(None),
        Some((b'X', reason)) => Err(item_failed(&String::from_utf8_lossy(reason))),
        _ => Err(unexpected_reply("a reply to a transition")),
    }
}

/// The result of a script that pauses a waiter.
pub(crate) enum Paused {
    /// The script's reply behind the time, and the waiter's record if it is paused now.
    Replied { code: u8, rest: Vec<Value>, waiter: StatusRecord, time: Timestamp },
    /// The waiter isn't paused.
    Refused(Refusal),
}

/// Pauses a waiter as part of a script, whose arguments before and behind the decision are given.
pub(crate) async fn pause(
    client: &Client,
    script: &'static Script,
    block: &Block,
    before: &[Vec<u8>],
    behind: &[Vec<u8>],
) -> Result<Paused> {
    let change = Change::new(Status::Paused, By::Owner(block.runner), Reason::Waiting);
    let transition = Transition { id: block.waiter, seen: block.seen.clone(), change };
    let mut seen = block.seen.clone();
    for _ in 0..TRIES {
        let is_paused = seen.status == Status::Paused && seen.owner == Some(block.runner);
        let decision = if is_paused {
            Ok(Decision { argument: expected(block.waiter, &seen).done(), next: seen.clone() })
        } else {
            Decision::on(block.waiter, &seen, &transition.change)
        };
        let (stored, now) = match decision {
            Err(_) => {
                let stored = entry::read(client, &[block.waiter]).await?.pop().flatten();
                (stored.map(|tracked| tracked.record), seen.at)
            }
            Ok(decision) => {
                let arguments = [before, std::slice::from_ref(&decision.argument), behind].concat();
                let (time, mut values) = values_of(client.run(script, &arguments).await?)?;
                let Some(Value::BulkString(first)) = values.next() else {
                    return Err(unexpected_reply("a reply to a wait"));
                };
                if !matches!(first.first(), Some(b'S' | b'M' | b'X') | None) {
                    let waiter = if is_paused { seen } else { decision.record(&transition.change, time) };
                    return Ok(Paused::Replied { code: first[0], rest: values.collect(), waiter, time });
                }
                (not_as_seen(&first)?, time)
            }
        };
        let is_own_pause = |stored: &StatusRecord| {
            is_paused && (stored.version, stored.epoch, stored.owner) == (seen.version, seen.epoch, seen.owner)
        };
        if let Some(stored) = stored.as_ref().filter(|stored| is_own_pause(stored)) {
            seen = stored.clone();
            continue;
        }
        match reconsider(&transition, stored, now) {
            Next::Again(stored) | Next::Reply(TransitionReply::AlreadyMine(stored)) => seen = stored,
            Next::Reply(TransitionReply::Refused(refusal)) => return Ok(Paused::Refused(refusal)),
            Next::Reply(TransitionReply::Done { .. }) => break,
        }
    }
    Err(unexpected_reply("a reply to a wait"))
}
