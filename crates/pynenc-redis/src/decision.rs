//! Transitions that the client decides on, by the record that its caller saw. The server only compares and writes.

use pynenc_core::orchestrator::{Block, Transition, TransitionReply};
use pynenc_core::record::Priority;
use pynenc_core::status::{By, Change, CompareAndSet, Refusal, advance, compare_and_set, refuse_claim};
use pynenc_core::{InvocationId, Reason, Result, Status, StatusRecord, Timestamp};
use redis::Value;

use crate::arguments::{BATCH, Item, runs};
use crate::client::Client;
use crate::codec::{Pack, Parse};
use crate::entry;
use crate::error::{item_failed, unexpected_reply};
use crate::layout::STATE;
use crate::records;
use crate::replies::{hints, with_rest};
use crate::script::{self, Script};
use crate::value::{number, values_of};

/// How often a transition is decided. A cancel request that arrives meanwhile changes the decision, at most once.
const TRIES: usize = 4;

/// The hint that goes with a transition if the invocation returns to its queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hint {
    None,
    /// With this priority, at the due time but not before this time.
    Given(Priority, Option<Timestamp>),
    /// The invocation's own hint. Without a lane, the caller pushes it.
    Own,
}

/// A decision: the arguments for the server, and the record after the transition but for its times. The state before and
/// after it and the controls may be shared with others; the id and the tail of the log are its own.
struct Decision {
    arguments: Item<3>,
    next: StatusRecord,
}

impl Decision {
    /// Decides on a change of a record. The log gets an outcome, if there is one, and a line.
    ///
    /// # Errors
    ///
    /// The lifecycle refuses the change of this record.
    fn on(transition: &Transition, seen: &StatusRecord, outcome: &[u8], hint: Hint) -> Result<Self, Refusal> {
        let change = &transition.change;
        if let Some(refusal) = refuse_claim(seen.status, change) {
            return Err(refusal);
        }
        // The server checks whether a due time is over, and fills in the times.
        let now = seen.due.unwrap_or(seen.at);
        let next = advance(seen, change, now)?;
        let must_be_due = matches!(change.by, By::Claimer(_));
        let controls = Pack::with_capacity(18)
            .u8(seen.cancel_requested.into())
            .due(change.due.filter(|_| next.due.is_some()))
            .u8(must_be_due.into());
        let controls = match hint {
            Hint::None => controls.u8(0),
            Hint::Given(priority, time) => {
                controls.u8(1).u16(priority.level()).u48(time.map_or(0, Timestamp::as_millis))
            }
            Hint::Own => controls.u8(2),
        };
        let tail = Pack::with_capacity(outcome.len() + 16).bytes(outcome).line(&next, change);
        let state = StatusRecord { due: None, ..next.clone() };
        let shared = [state_of(seen), state_of(&state), controls.done()];
        Ok(Self { arguments: Item { shared, own: [transition.id.as_bytes().to_vec(), tail.done()] }, next })
    }

    /// Leaves a paused waiter as it is.
    fn unchanged(id: InvocationId, seen: &StatusRecord) -> Self {
        let shared = [state_of(seen), Vec::new(), vec![seen.cancel_requested.into()]];
        Self { arguments: Item { shared, own: [id.as_bytes().to_vec(), Vec::new()] }, next: seen.clone() }
    }
}

/// The record after the server has made a transition, from the one without the times.
fn with_times(next: &StatusRecord, change: &Change, at: Timestamp) -> StatusRecord {
    let due = change.due.filter(|_| next.due.is_some());
    StatusRecord { at, due: due.map(|due| due.at(at).max(Timestamp::from_millis(1))), ..next.clone() }
}

fn state_of(record: &StatusRecord) -> Vec<u8> {
    Pack::with_capacity(STATE).state(record).done()
}

/// The reply to a transition, or the stored record by which to decide again.
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

/// A transition with its outcome, as the log stores it, and its hint.
pub(crate) struct Step<'a> {
    pub(crate) transition: &'a Transition,
    pub(crate) outcome: Vec<u8>,
    pub(crate) hint: Hint,
}

/// Makes transitions.
pub(crate) async fn settle(client: &Client, steps: &[Step<'_>]) -> Result<Vec<Result<TransitionReply>>> {
    let mut replies: Vec<Option<Result<TransitionReply>>> = steps.iter().map(|_| None).collect();
    let mut open: Vec<(usize, Option<StatusRecord>)> = (0..steps.len()).map(|index| (index, None)).collect();
    for _ in 0..TRIES {
        let (mut decisions, mut refused) = (Vec::with_capacity(open.len()), Vec::new());
        for (index, stored) in open.drain(..) {
            let Step { transition, outcome, hint } = &steps[index];
            match Decision::on(transition, stored.as_ref().unwrap_or(&transition.seen), outcome, *hint) {
                Ok(decision) => decisions.push((index, decision)),
                Err(_) => refused.push(index),
            }
        }
        let mut settle = |index: usize, next: Result<Next>| match next {
            Ok(Next::Reply(reply)) => replies[index] = Some(Ok(reply)),
            Ok(Next::Again(stored)) => open.push((index, Some(stored))),
            Err(error) => replies[index] = Some(Err(error)),
        };
        while !decisions.is_empty() {
            let later = decisions.split_off(decisions.len().min(BATCH));
            let (items, nexts): (Vec<_>, Vec<_>) =
                decisions.into_iter().map(|(index, decision)| (decision.arguments, (index, decision.next))).unzip();
            decisions = later;
            let mut answers = Answers::from(client.run(&script::SETTLE, &runs(items)).await?)?;
            for (index, next) in nexts {
                settle(index, answers.next(steps[index].transition, &next));
            }
        }
        if !refused.is_empty() {
            // The caller may have seen an old record: then the transition is stale, whatever else it is.
            let ids: Vec<_> = refused.iter().map(|index| steps[*index].transition.id).collect();
            for (index, stored) in refused.into_iter().zip(records::read(client, &ids).await?) {
                let stored = stored.map(|tracked| tracked.record);
                let now = stored.as_ref().map_or(Timestamp::default(), |record| record.at);
                settle(index, Ok(reconsider(steps[index].transition, stored, now)));
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

/// The server's answers to transitions.
enum Answers {
    /// All were made, and none handed a slot on.
    AllMade(Timestamp),
    Each(Timestamp, std::vec::IntoIter<Value>),
}

impl Answers {
    fn from(reply: Value) -> Result<Self> {
        if let time @ Value::Int(_) = reply {
            return Ok(Self::AllMade(Timestamp::from_millis(number(&time)?)));
        }
        values_of(reply).map(|(time, answers)| Self::Each(time, answers))
    }

    /// The answer to the next transition, from the record after it.
    fn next(&mut self, transition: &Transition, next: &StatusRecord) -> Result<Next> {
        let made = |next, time, handed| {
            let record = with_times(next, &transition.change, time);
            Ok(Next::Reply(TransitionReply::Done { record, handed }))
        };
        let (time, answer) = match self {
            Self::AllMade(time) => return made(next, *time, Vec::new()),
            Self::Each(time, answers) => (*time, answers.next().unwrap_or(Value::Nil)),
        };
        let (first, handed) = with_rest(answer)?;
        match first.split_first() {
            Some((b'D', _)) => made(next, time, hints(handed)?),
            Some((b'N', _)) => {
                let due = transition.seen.due.unwrap_or_default();
                Ok(Next::Reply(TransitionReply::Refused(Refusal::NotDue { due, now: time })))
            }
            _ => Ok(reconsider(transition, not_as_seen(&first)?, time)),
        }
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
            Ok(Decision::unchanged(block.waiter, &seen))
        } else {
            Decision::on(&transition, &seen, &[], Hint::None)
        };
        let (stored, now) = match decision {
            Err(_) => {
                let stored = records::read(client, &[block.waiter]).await?.pop().flatten();
                (stored.map(|tracked| tracked.record), seen.at)
            }
            Ok(Decision { arguments: Item { shared: [before_it, after_it, controls], own: [id, tail] }, next }) => {
                let arguments = [before, &[id, before_it, after_it, controls, tail], behind].concat();
                let (time, mut values) = values_of(client.run(script, &arguments).await?)?;
                let Some(Value::BulkString(first)) = values.next() else {
                    return Err(unexpected_reply("a reply to a wait"));
                };
                if !matches!(first.first(), Some(b'S' | b'M' | b'X') | None) {
                    let waiter = if is_paused { seen } else { with_times(&next, &transition.change, time) };
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
