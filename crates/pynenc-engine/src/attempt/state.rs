//! The state of an attempt, which its owner keeps in memory.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Tracked, Transition, TransitionReply};
use pynenc_core::record::InvocationRecord;
use pynenc_core::status::{Change, Refusal};
use pynenc_core::{InvocationId, RunnerId, StatusRecord};
use tokio::sync::{MutexGuard, Notify};

use super::extension_hooks::{ExtensionHooks, Halt};
use super::interrupt::Interrupt;
use super::slots::{Permit, Reservation, Slots};
use crate::engine::Engine;
use crate::trace_propagation::{AttemptEnd, AttemptTrace};

/// A granted claim, and what its owner remembers of it.
#[derive(Debug)]
pub struct Attempt {
    pub(crate) record: Arc<InvocationRecord>,
    pub(crate) tracked: Tracked,
    pub(crate) runner: RunnerId,
    pub(crate) is_missing: bool,
    pub(crate) is_blocking: bool,
    pub(crate) hooks: ExtensionHooks,
    /// The span of the attempt, if attempts have spans.
    pub(crate) trace: OnceLock<Box<dyn AttemptTrace>>,
    pub(super) slots: Slots,
    pub(super) open_waits: AtomicUsize,
    seen: tokio::sync::Mutex<StatusRecord>,
    reservation: Mutex<Option<Reservation>>,
    permit: Mutex<Option<Permit>>,
    requested: AtomicU8,
    interrupted: Notify,
    settled: Mutex<Option<StatusRecord>>,
}

impl Attempt {
    pub(crate) fn new(
        slots: Slots,
        reservation: Reservation,
        runner: RunnerId,
        tracked: Tracked,
        record: Option<Arc<InvocationRecord>>,
        is_blocking: bool,
    ) -> Self {
        Self {
            is_missing: record.is_none(),
            record: record.unwrap_or_else(|| Arc::new(placeholder(&tracked))),
            runner,
            is_blocking,
            hooks: ExtensionHooks::default(),
            trace: OnceLock::new(),
            slots,
            open_waits: AtomicUsize::new(0),
            seen: tokio::sync::Mutex::new(tracked.record.clone()),
            tracked,
            reservation: Mutex::new(Some(reservation)),
            permit: Mutex::new(None),
            requested: AtomicU8::new(0),
            interrupted: Notify::new(),
            settled: Mutex::new(None),
        }
    }

    pub(crate) fn id(&self) -> InvocationId {
        self.tracked.id
    }

    /// The number of the attempt: 1 for the first.
    pub(crate) fn number(&self) -> u32 {
        self.tracked.record.retries + 1
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.tracked.record.epoch
    }

    pub(crate) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Does a piece of work in the attempt's span.
    pub(crate) fn in_trace<R>(&self, work: impl FnOnce() -> R) -> R {
        let Some(trace) = self.trace.get() else { return work() };
        let (mut work, mut result) = (Some(work), None);
        // A trace that does the work never, or twice, gets it done once.
        trace.in_scope(&mut || {
            if let Some(work) = work.take() {
                result = Some(work());
            }
        });
        result.unwrap_or_else(|| work.take().expect("work without a result wasn't done")())
    }

    /// Ends the attempt's span, if it hasn't ended yet.
    pub(crate) fn end_trace(&self, end: &AttemptEnd<'_>) {
        if let Some(trace) = self.trace.get() {
            trace.end(end);
        }
    }

    /// Remembers the record that the settlement left.
    pub(crate) fn settled_as(&self, record: StatusRecord) {
        *self.settled.lock().unwrap_or_else(PoisonError::into_inner) = Some(record);
    }

    /// The hint for another claim of the invocation, unless it is finished.
    pub(crate) fn hint(&self) -> Option<Message> {
        match &*self.settled.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(record) if !record.is_queued() => None,
            Some(record) => Some(Message { not_before: record.due, ..self.tracked.message() }),
            None => Some(self.tracked.message()),
        }
    }

    /// Asks the task function to end.
    pub(crate) fn interrupt(&self, why: Interrupt) {
        self.requested.fetch_max(why as u8, Ordering::AcqRel);
        self.interrupted.notify_waiters();
    }

    /// Halts the task function for an extension. The first halt counts.
    pub(crate) fn halt(&self, halt: Halt) {
        self.hooks.halt(halt);
        self.interrupt(Interrupt::Halt);
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interruption().is_some()
    }

    pub(crate) fn interruption(&self) -> Option<Interrupt> {
        Interrupt::from_u8(self.requested.load(Ordering::Acquire))
    }

    /// Waits until the task function is asked to end.
    pub(crate) async fn interrupted(&self) -> Interrupt {
        self.interrupted_beyond(None).await
    }

    /// Waits until the task function is asked to end for a greater reason than `known`.
    pub(crate) async fn interrupted_beyond(&self, known: Option<Interrupt>) -> Interrupt {
        loop {
            let interrupted = self.interrupted.notified();
            if let Some(interrupt) = self.interruption().filter(|interrupt| Some(*interrupt) > known) {
                return interrupt;
            }
            interrupted.await;
        }
    }

    /// Waits for the slot that was reserved with the claim.
    pub(crate) async fn take_slot(&self) {
        let reservation = self.reservation.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reservation) = reservation {
            self.hold(reservation.permit().await);
        }
    }

    pub(super) fn hold(&self, permit: Permit) {
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
    }

    /// Frees the slot for the next attempt, because the task function has returned and only the settlement is left. An
    /// invocation under running concurrency control keeps its slot: the next holder of its key comes before other work.
    pub(crate) fn leave_slot(&self) {
        if self.tracked.limited {
            return;
        }
        let mut permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner);
        permit.as_mut().into_iter().for_each(Permit::settle);
    }

    pub(crate) fn release_slot(&self) {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(permit);
    }

    /// Locks the status record, as its owner saw it last. Who holds the lock makes the next transition.
    pub(crate) async fn seen(&self) -> MutexGuard<'_, StatusRecord> {
        self.seen.lock().await
    }

    /// Locks the record unless another transition is under way.
    pub(crate) fn try_seen(&self) -> Option<MutexGuard<'_, StatusRecord>> {
        self.seen.try_lock().ok()
    }

    /// Reads the record again after a transition was refused as stale. Returns whether the epoch is still this owner's:
    /// then the newer version is the owner's own, whose reply was lost.
    pub(crate) async fn saw_own(
        &self,
        engine: &Engine,
        seen: &mut StatusRecord,
        refusal: &Refusal,
    ) -> Result<bool, pynenc_core::Error> {
        if !matches!(refusal, Refusal::Stale { epoch, .. } if *epoch == seen.epoch) {
            return Ok(false);
        }
        match only(engine.parts().orchestrator.records(&[self.id()]).await?)? {
            Some(Tracked { record, .. }) if record.epoch == seen.epoch && record.version != seen.version => {
                *seen = record;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Makes a transition as the owner.
    pub(crate) async fn change(&self, engine: &Engine, change: Change) -> Result<TransitionReply, pynenc_core::Error> {
        let mut seen = self.seen().await;
        loop {
            let transition = Transition { id: self.id(), seen: seen.clone(), change: change.clone() };
            let reply = only(engine.parts().orchestrator.transition(&[transition]).await?)?;
            match &reply {
                TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record) => {
                    *seen = record.clone();
                }
                TransitionReply::Refused(refusal) => {
                    if self.saw_own(engine, &mut seen, refusal).await? {
                        continue;
                    }
                }
            }
            return Ok(reply);
        }
    }
}

fn only<T>(replies: Vec<T>) -> Result<T, pynenc_core::Error> {
    replies.into_iter().next().ok_or_else(|| pynenc_core::Error::unavailable("the orchestrator sent no reply"))
}

/// Stands for a record that is missing, until the invocation fails for it.
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
        due: None,
    }
}
