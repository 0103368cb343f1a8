//! The steps of a lane, in one transaction.

use pynenc_core::broker::Message;
use pynenc_core::lane::{Claimed, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Blocked, Claim, ClaimReply, Registered, Tracked, TransitionReply};
use pynenc_core::status::{Refusal, StatusRecord};
use pynenc_core::{InvocationId, Result, Timestamp};

use crate::decisions::orchestrator::State;
use crate::decisions::queues::Queues;
use crate::decisions::records::Records;
use crate::storage::{Collection, collections};
use crate::stores::broker::push;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;

collections! {
    /// The collections of the three components of a lane.
    pub(crate) struct Tables {
        pub(crate) queues: Queues<S>,
        records: Records<S>,
    }
}

/// The state of a store in a step of a lane.
pub(crate) struct Work<'t, 'c> {
    pub(crate) state: State<Bytes<'t>, Committed>,
    pub(crate) tables: Tables<Bytes<'t>>,
    pub(crate) now: Timestamp,
    committed: &'c mut Committed,
}

impl<'t, 'c> Work<'t, 'c> {
    pub(crate) fn open(bytes: Bytes<'t>, now: Timestamp, committed: &'c mut Committed) -> Self {
        let (state, tables) = (State::open(&bytes, Committed::default()), Tables::open(&bytes));
        Self { state, tables, now, committed }
    }

    /// Writes the changes.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.state.flush()?;
        self.tables.flush()?;
        self.committed.completed = self.state.effects.completed;
        self.committed.signals = self.state.effects.signals;
        Ok(())
    }

    fn push(&mut self, message: &Message) -> Result<()> {
        push(&mut self.tables.queues, message, self.now, self.committed)
    }

    /// Registers an invocation, and stores its record if it is a new one.
    fn register(&mut self, submission: &Submission) -> Result<Registered> {
        let registered = self.state.register(&submission.registration, self.now)?;
        if matches!(registered, Registered::New(_)) {
            self.tables.records.put(&submission.record, self.now)?;
        }
        Ok(registered)
    }

    pub(crate) fn submit(&mut self, submission: &Submission) -> Result<Registered> {
        let is_first = self.state.record(submission.registration.id)?.is_none();
        let registered = self.register(submission)?;
        if let Registered::New(tracked) = &registered {
            if is_first { self.first_hint(&tracked.message())? } else { self.hint(tracked)? }
        }
        Ok(registered)
    }

    /// Pushes the hint of an invocation that has just been registered. It can't have another one, which saves a read.
    fn first_hint(&mut self, message: &Message) -> Result<()> {
        self.committed.hinted(&message.queue, message.not_before.filter(|due| *due > self.now));
        self.tables.queues.push_first(message, self.now)
    }

    /// Pushes the hint of an invocation, if it belongs in a queue.
    fn hint(&mut self, tracked: &Tracked) -> Result<()> {
        if tracked.record.is_queued() { self.push(&tracked.message()) } else { Ok(()) }
    }

    pub(crate) fn claim(&mut self, id: InvocationId, claim: &Claim) -> Result<Claimed> {
        let reply = self.state.claim(id, claim, self.now)?;
        let record = match &reply {
            ClaimReply::Granted(_) => self.tables.records.record(id)?,
            ClaimReply::Busy | ClaimReply::Gone | ClaimReply::LeftOut(_) => None,
        };
        Ok(Claimed { id, reply, record })
    }

    /// Submits a call and pauses its caller.
    pub(crate) fn call(&mut self, submission: &Submission, block: &Block, claim: Option<&Claim>) -> Result<Answer> {
        let registered = self.register(submission)?;
        let Registered::New(child) = registered else { return Ok(Answer::Registered(registered)) };
        match self.state.block(&Block { on: vec![child.id], ..block.clone() }, self.now)? {
            Blocked::Refused(refusal) => Ok(Answer::Refused(refusal)),
            Blocked::Ready => {
                self.hint(&child)?;
                Ok(Answer::Registered(Registered::New(child)))
            }
            Blocked::Cycle(cycle) => {
                self.hint(&child)?;
                Ok(Answer::Cycle(cycle))
            }
            Blocked::Waiting { record, raised } => {
                let claimed = self.claim_child(&child, claim)?;
                if claimed.is_none() {
                    raised.iter().try_for_each(|message| self.push(message))?;
                }
                Ok(Answer::Waiting { child, waiter: record, claimed })
            }
        }
    }

    fn claim_child(&mut self, child: &Tracked, claim: Option<&Claim>) -> Result<Option<Tracked>> {
        let Some(claim) = claim else { return Ok(None) };
        if !self.state.may_claim(claim.runner, self.now)? {
            return Ok(None);
        }
        match self.state.claim(child.id, claim, self.now)? {
            ClaimReply::Granted(granted) => Ok(Some(granted)),
            ClaimReply::Busy | ClaimReply::Gone | ClaimReply::LeftOut(_) => Ok(None),
        }
    }

    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Result<TransitionReply> {
        if let Some(outcome) = &settlement.outcome {
            self.tables.records.put_outcome(outcome)?;
        }
        let reply = self.state.transition(&settlement.transition, self.now)?;
        if let TransitionReply::Done { record, handed } = &reply {
            if let Some(requeue) = settlement.requeue.as_ref().filter(|_| record.is_queued()) {
                self.push(&Message { not_before: record.due, ..requeue.clone() })?;
            }
            handed.iter().try_for_each(|message| self.push(message))?;
        }
        Ok(reply)
    }
}

/// The reply to a call, without its stream.
#[expect(clippy::large_enum_variant, reason = "it is made once a call, and taken apart at once")]
pub(crate) enum Answer {
    Waiting { child: Tracked, waiter: StatusRecord, claimed: Option<Tracked> },
    Registered(Registered),
    Cycle(Vec<InvocationId>),
    Refused(Refusal),
}
