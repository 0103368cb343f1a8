//! One claim of one invocation, from its grant to its settling.

mod call;

use std::future::Future;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pynenc_core::broker::Message;
use pynenc_core::lane::Settlement;
use pynenc_core::orchestrator::{Block, Blocked, Tracked, Transition, TransitionReply};
use pynenc_core::record::InvocationRecord;
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change, Expect, Refusal};
use pynenc_core::{InvocationId, Reason, RunnerId, Status, StatusRecord};
use tokio::sync::Notify;

pub(crate) use call::Awaited;

use super::Worker;
use super::answer::{Answer, Answering};
use super::guided::{Guided, Halt};
use super::slots::{Entry, Permit, Reservation, Slots};
use super::unknown_tasks::UnknownTasks;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Why a body should end early. The greatest one that was told counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Interrupt {
    /// What runs it for an extension has halted it.
    Halt = 1,
    /// Its runner stops, and the grace time is over.
    Shutdown = 2,
    /// Somebody asked for its end.
    Cancel = 3,
    /// Its time is over.
    Timeout = 4,
    /// Another runner owns it.
    Lost = 5,
}

impl Interrupt {
    fn from_u8(value: u8) -> Option<Self> {
        [Self::Halt, Self::Shutdown, Self::Cancel, Self::Timeout, Self::Lost].into_iter().find(|it| *it as u8 == value)
    }
}

/// A claim with what its owner has to remember.
#[derive(Debug)]
pub struct Attempt {
    pub(crate) record: Arc<InvocationRecord>,
    pub(crate) tracked: Tracked,
    pub(crate) runner: RunnerId,
    pub(crate) is_missing: bool,
    is_blocking: bool,
    worker: Arc<Worker>,
    expect: tokio::sync::Mutex<Expect>,
    open_waits: AtomicUsize,
    place: Mutex<Option<Reservation>>,
    permit: Mutex<Option<Permit>>,
    answer: Mutex<Option<Answer>>,
    interrupt: AtomicU8,
    interrupted: Notify,
    settled: Mutex<Option<StatusRecord>>,
    pub(crate) guided: Guided,
}

impl Attempt {
    pub(super) fn new(
        worker: Arc<Worker>,
        runner: RunnerId,
        tracked: Tracked,
        record: Option<Arc<InvocationRecord>>,
        is_blocking: bool,
        place: Reservation,
    ) -> Self {
        Self {
            is_missing: record.is_none(),
            record: record.unwrap_or_else(|| Arc::new(placeholder(&tracked))),
            runner,
            is_blocking,
            worker,
            expect: tokio::sync::Mutex::new(Expect::from(&tracked.record)),
            tracked,
            open_waits: AtomicUsize::new(0),
            place: Mutex::new(Some(place)),
            permit: Mutex::new(None),
            answer: Mutex::new(None),
            interrupt: AtomicU8::new(0),
            interrupted: Notify::new(),
            settled: Mutex::new(None),
            guided: Guided::default(),
        }
    }

    /// Keeps in mind what it was settled as.
    pub(super) fn settled_as(&self, record: StatusRecord) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    /// The hint that another claim of it may need, unless it has ended.
    pub(super) fn hint(&self) -> Option<Message> {
        match &*self.settled.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(record) if !record.is_queued() => None,
            Some(record) => Some(Message { not_before: record.due, ..self.tracked.message() }),
            None => Some(self.tracked.message()),
        }
    }

    pub(crate) fn id(&self) -> InvocationId {
        self.tracked.id
    }

    pub(crate) fn number(&self) -> u32 {
        self.tracked.record.retries + 1
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.tracked.record.epoch
    }

    pub(crate) fn is_blocking(&self) -> bool {
        self.is_blocking
    }

    /// Tells the body to end.
    pub(crate) fn tell(&self, interrupt: Interrupt) {
        self.interrupt.fetch_max(interrupt as u8, Ordering::AcqRel);
        self.interrupted.notify_waiters();
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interruption().is_some()
    }

    pub(crate) fn interruption(&self) -> Option<Interrupt> {
        Interrupt::from_u8(self.interrupt.load(Ordering::Acquire))
    }

    pub(super) fn unknown_tasks(&self) -> &UnknownTasks {
        &self.worker.unknown_tasks
    }

    pub(super) fn slots(&self) -> &Slots {
        &self.worker.slots
    }

    /// Where its record was when it last moved on, unless its owner is about to move it.
    pub(super) fn expect_at_once(&self) -> Option<tokio::sync::MutexGuard<'_, Expect>> {
        self.expect.try_lock().ok()
    }

    /// Has its end told to a caller of the same runner.
    pub(super) fn answer_with(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }

    /// How many waits for other invocations are open.
    pub(crate) fn open_waits(&self) -> usize {
        self.open_waits.load(Ordering::Acquire)
    }

    /// Ends the body on the word of an extension; the first word counts.
    pub(crate) fn halt(&self, halt: Halt) {
        self.guided.halt(halt);
        self.tell(Interrupt::Halt);
    }

    /// Waits until the body is told to end.
    pub(crate) async fn interrupted(&self) -> Interrupt {
        loop {
            let told = self.interrupted.notified();
            if let Some(interrupt) = self.interruption() {
                return interrupt;
            }
            told.await;
        }
    }

    /// Waits until the body is told to end once more than it was before.
    pub(super) async fn interrupted_beyond(&self, known: Interrupt) -> Interrupt {
        loop {
            let told = self.interrupted.notified();
            match self.interruption() {
                Some(interrupt) if interrupt > known => return interrupt,
                _ => told.await,
            }
        }
    }

    /// Waits for the place that was reserved with the claim.
    pub(super) async fn enter(&self) {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(place) = place {
            self.hold(place.permit().await);
        }
    }

    fn hold(&self, permit: Permit) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
    }

    /// Gives its slot to the next, because its body has ended. One that holds a slot of concurrency control doesn't: who
    /// is handed that comes before others.
    pub(super) fn leave_slot(&self) {
        if self.tracked.limited {
            return;
        }
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.as_mut().into_iter().for_each(Permit::settle);
    }

    pub(super) fn release(&self) {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(permit);
    }

    /// Waits for all of `on`, by `until`, with the slot given back meanwhile.
    pub(crate) async fn wait<R>(
        self: &Arc<Self>,
        engine: &Engine,
        on: &[InvocationId],
        until: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        if self.is_blocking {
            return Err(Error::WaitInBlockingTask(self.tracked.task.clone()));
        }
        let Some(wait) = self.pause(engine, on).await? else { return until.await };
        let result = until.await;
        wait.end(engine).await?;
        result
    }

    async fn pause(self: &Arc<Self>, engine: &Engine, on: &[InvocationId]) -> Result<Option<Wait>> {
        if self.open_waits.load(Ordering::Acquire) == 0 {
            self.worker.check_paused()?;
        }
        let mut expect = self.expect.lock().await;
        match self.block(engine, on, &mut expect).await? {
            Blocked::Ready => Ok(None),
            Blocked::Cycle(path) => Err(Error::WaitCycle { path: shown(&path) }),
            Blocked::Refused(_) => {
                self.tell(Interrupt::Lost);
                Err(Error::ClaimLost(self.id()))
            }
            Blocked::Waiting { record, raised } => {
                *expect = Expect::from(&record);
                drop(expect);
                let wait = self.open_wait();
                engine.hint(&raised).await;
                Ok(Some(wait))
            }
        }
    }

    async fn block(&self, engine: &Engine, on: &[InvocationId], expect: &mut Expect) -> Result<Blocked> {
        let mut block = Block { waiter: self.id(), expect: *expect, runner: self.runner, on: on.to_vec() };
        let reply = engine.parts().orchestrator.block(&block).await?;
        match reply {
            Blocked::Refused(Refusal::Stale { version, epoch }) if epoch == expect.epoch => {
                *expect = Expect { version, epoch };
                block.expect = *expect;
                Ok(engine.parts().orchestrator.block(&block).await?)
            }
            reply => Ok(reply),
        }
    }

    fn open_wait(self: &Arc<Self>) -> Wait {
        if self.open_waits.fetch_add(1, Ordering::AcqRel) == 0 {
            self.worker.count_paused(true);
            self.release();
        }
        Wait { attempt: Some(self.clone()) }
    }

    /// Counts a wait out; whether it was the last one.
    fn close_wait(&self) -> bool {
        let was_last = self.open_waits.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            self.worker.count_paused(false);
        }
        was_last
    }

    /// Takes a slot again and says that the body goes on.
    async fn resume(&self, engine: &Engine) -> Result<()> {
        let permit = self.worker.slots.reserve(Entry::Resume).permit().await;
        self.hold(permit);
        match self.change(engine, resumed(self.runner)).await? {
            TransitionReply::Done { .. }
            | TransitionReply::AlreadyMine(_)
            | TransitionReply::Refused(Refusal::NoEdge { from: Status::Running, .. }) => Ok(()),
            TransitionReply::Refused(_) => {
                self.tell(Interrupt::Lost);
                Err(Error::ClaimLost(self.id()))
            }
        }
    }

    /// Makes a transition as the owner. A stale version under the same epoch is this owner's own, whose reply was lost.
    pub(super) async fn change(&self, engine: &Engine, change: Change) -> Result<TransitionReply, pynenc_core::Error> {
        let mut expect = self.expect.lock().await;
        loop {
            let transition = Transition { id: self.id(), expect: *expect, change: change.clone() };
            let reply = one(engine.parts().orchestrator.transition(&[transition]).await?)?;
            match &reply {
                TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record) => {
                    *expect = Expect::from(record);
                }
                TransitionReply::Refused(Refusal::Stale { version, epoch }) if *epoch == expect.epoch => {
                    *expect = Expect { version: *version, epoch: *epoch };
                    continue;
                }
                TransitionReply::Refused(_) => {}
            }
            return Ok(reply);
        }
    }

    /// Settles: the outcome, then the transition, then the hint if it goes back to its queue.
    pub(super) async fn settle(
        &self,
        engine: &Engine,
        outcome: Option<&OutcomeWrite>,
        change: &Change,
        requeue: bool,
    ) -> Result<TransitionReply, pynenc_core::Error> {
        let mut answer = if change.to.is_final() { self.begin_answer() } else { None };
        let mut expect = self.expect.lock().await;
        loop {
            let transition = Transition { id: self.id(), expect: *expect, change: change.clone() };
            let requeue = requeue.then(|| Message { not_before: None, ..self.tracked.message() });
            let settlement = Settlement { outcome: outcome.cloned(), transition, requeue };
            let reply = match answer.take() {
                Some(answer) => Box::pin(answer.settle(engine, settlement)).await?,
                None => engine.settles().send(settlement).await.unwrap_or_else(dropped)?,
            };
            match reply {
                TransitionReply::Refused(Refusal::Stale { version, epoch }) if epoch == expect.epoch => {
                    *expect = Expect { version, epoch };
                }
                reply => return Ok(reply),
            }
        }
    }

    fn begin_answer(&self) -> Option<Answering> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take().and_then(Answer::begin)
    }
}

/// An open wait; dropped, it is over without the body having been resumed: a later wait or the end moves the record on.
struct Wait {
    attempt: Option<Arc<Attempt>>,
}

impl Wait {
    /// The body goes on in this slot, and its record says so already, unless it waits for something else by now.
    fn over(mut self, permit: Permit) {
        if let Some(attempt) = self.attempt.take()
            && attempt.close_wait()
        {
            attempt.hold(permit);
        }
    }

    async fn end(mut self, engine: &Engine) -> Result<()> {
        let Some(attempt) = self.attempt.take() else { return Ok(()) };
        if attempt.close_wait() { attempt.resume(engine).await } else { Ok(()) }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(attempt) = &self.attempt {
            attempt.close_wait();
        }
    }
}

pub(super) fn one<T>(replies: Vec<T>) -> Result<T, pynenc_core::Error> {
    replies.into_iter().next().ok_or_else(|| pynenc_core::Error::unavailable("a call of the orchestrator had no reply"))
}

/// The caller of others goes on.
pub(super) fn resumed(runner: RunnerId) -> Change {
    Change::new(Status::Running, By::Owner(runner), Reason::Resumed)
}

pub(super) fn dropped<T>() -> Result<T, pynenc_core::Error> {
    Err(pynenc_core::Error::unavailable("the trip that this settlement shared was dropped"))
}

fn shown(path: &[InvocationId]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> ")
}

/// What stands for a record that is missing, until the invocation is failed for it.
fn placeholder(tracked: &Tracked) -> InvocationRecord {
    InvocationRecord {
        id: tracked.id,
        task: tracked.task.clone(),
        arguments: Vec::new(),
        serializer: "".into(),
        queue: tracked.queue.clone(),
        priority: tracked.priority,
        timeout: None,
        max_retries: None,
        parent: None,
        workflow: None,
        retry_of: None,
        trace: None,
        created_at: tracked.record.at,
    }
}
