//! The steps of a lane, in one transaction.

use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::lane::{Claimed, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Blocked, Claim, ClaimReply, Registered, Tracked, TransitionReply};
use pynenc_core::status::{Refusal, StatusRecord};
use pynenc_core::{InvocationId, QueueName, Result, Timestamp};

use crate::decisions::orchestrator::State;
use crate::decisions::queues::{HintTable, Queues};
use crate::decisions::records::Records;
use crate::storage::{Collection, collections};
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::consumer::Dues;
use crate::stores::entry_hints::EntryHints;
use crate::stores::key_value::Durability;
use crate::stores::step::unless_corrupt;
use crate::stores::store::KvStore;

collections! {
    /// The collections of the three components of a lane.
    pub(crate) struct Tables {
        queues: Queues<S>,
        hints: HintTable<S>,
        records: Records<S>,
    }
}

/// Performs a step on the collections of a lane in a write transaction.
pub(crate) async fn write<R: Send + 'static>(
    store: &KvStore,
    durability: Durability,
    items: usize,
    mut step: impl FnMut(&mut Work<'_, '_>) -> Result<R> + Send + 'static,
) -> Result<R> {
    let run = move |bytes: Bytes<'_>, now: Timestamp, committed: &mut Committed| {
        let mut work = Work::open(bytes, now, committed);
        let output = step(&mut work)?;
        work.finish()?;
        Ok(output)
    };
    store.write(durability, items, run).await
}

/// The state of a store in a step of a lane or of its broker.
pub(crate) struct Work<'t, 'c> {
    pub(crate) state: State<Bytes<'t>, Committed>,
    tables: Tables<Bytes<'t>>,
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

    /// The queues, and where their hints are found by invocation.
    fn queues(&mut self) -> (&mut Queues<Bytes<'t>>, EntryHints<'_, 't>) {
        let Tables { queues, hints, .. } = &mut self.tables;
        (queues, EntryHints { state: &mut self.state, table: hints })
    }

    /// Adds a hint.
    pub(crate) fn push(&mut self, message: &Message) -> Result<()> {
        let now = self.now;
        self.committed.hinted(&message.queue, message.not_before.filter(|due| *due > now));
        let (queues, mut hints) = self.queues();
        queues.push(&mut hints, message, now)
    }

    /// Takes hints.
    pub(crate) fn take(&mut self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let now = self.now;
        let (queues, mut hints) = self.queues();
        queues.take(&mut hints, pop, now)
    }

    /// Removes a hint.
    pub(crate) fn remove(&mut self, queue: &QueueName, id: InvocationId) -> Result<()> {
        let (queues, mut hints) = self.queues();
        queues.remove(&mut hints, queue, id)
    }

    /// Removes all hints.
    pub(crate) fn purge_hints(&mut self) -> Result<()> {
        self.tables.queues.clear()?;
        self.tables.hints.clear()
    }

    /// Counts the hints of a queue, and finds the position of one of them.
    pub(crate) fn queue(&mut self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        let now = self.now;
        let (queues, mut hints) = self.queues();
        queues.state(&mut hints, queue, position_of, now)
    }

    /// When the next delayed hint of each queue is due.
    pub(crate) fn dues(&self, names: &[QueueName]) -> Result<Dues> {
        let queues = &self.tables.queues;
        let due = |name: &QueueName| Some(queues.next_due(name).transpose()?.map(|due| (name.clone(), due)));
        names.iter().filter_map(due).collect()
    }

    /// Registers an invocation, and stores its record if it is a new one.
    fn register(&mut self, submission: &Submission) -> Result<Registered> {
        let registered = self.state.register_in_lane(&submission.registration, self.now)?;
        if matches!(registered, Registered::New(_)) {
            self.tables.records.put_registered(&submission.record)?;
        }
        Ok(registered)
    }

    /// Submits a call. The inner error says that the call has an entry already that can't be read.
    pub(crate) fn submit(&mut self, submission: &Submission) -> Result<Result<Registered>> {
        let id = submission.registration.id;
        let is_first = match unless_corrupt(self.state.record(id).map(|record| record.is_none()))? {
            Ok(is_first) => is_first,
            Err(error) => return Ok(Err(error)),
        };
        let registered = self.register(submission)?;
        if let Registered::New(tracked) = &registered {
            if is_first { self.first_hint(&tracked.message())? } else { self.hint(tracked)? }
        }
        Ok(Ok(registered))
    }

    /// Pushes the hint of an invocation that has just been registered. It can't have another one, which saves a read.
    fn first_hint(&mut self, message: &Message) -> Result<()> {
        let now = self.now;
        self.committed.hinted(&message.queue, message.not_before.filter(|due| *due > now));
        let (queues, mut hints) = self.queues();
        queues.push_first(&mut hints, message, now)
    }

    /// Pushes the hint of an invocation, if it belongs in a queue.
    fn hint(&mut self, tracked: &Tracked) -> Result<()> {
        if tracked.record.is_queued() { self.push(&tracked.message()) } else { Ok(()) }
    }

    pub(crate) fn claim(&mut self, id: InvocationId, claim: &Claim) -> Result<Claimed> {
        let reply = self.state.claim(id, claim, self.now)?;
        let record = match &reply {
            // The runner reads a record that can't be read again, and fails the invocation.
            ClaimReply::Granted(_) => unless_corrupt(self.tables.records.record(id))?.unwrap_or_default(),
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

    /// Whether an invocation has no outcome of an earlier attempt. Finds out whether the others can be read.
    fn is_first_attempt(&self, id: InvocationId) -> Result<bool> {
        let is_first = self.state.record(id)?.is_some_and(|record| record.deliveries <= 1 && record.owner.is_some());
        if !is_first {
            self.tables.records.outcome(id, 0)?;
        }
        Ok(is_first)
    }

    /// Settles an attempt. The inner error says that the entry or the outcomes of the invocation can't be read.
    pub(crate) fn settle(&mut self, settlement: &Settlement) -> Result<Result<TransitionReply>> {
        let id = settlement.transition.id;
        let is_first = match unless_corrupt(self.is_first_attempt(id))? {
            Ok(is_first) => is_first,
            Err(error) => return Ok(Err(error)),
        };
        let reply = self.state.transition(&settlement.transition, self.now)?;
        if let TransitionReply::Done { record, handed } = &reply {
            match &settlement.outcome {
                Some(outcome) if is_first => self.tables.records.put_first_outcome(outcome)?,
                Some(outcome) => self.tables.records.put_outcome(outcome)?,
                None => {}
            }
            if let Some(requeue) = settlement.requeue.as_ref().filter(|_| record.is_queued()) {
                self.push(&Message { not_before: record.due, ..requeue.clone() })?;
            }
            handed.iter().try_for_each(|message| self.push(message))?;
        }
        Ok(Ok(reply))
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
