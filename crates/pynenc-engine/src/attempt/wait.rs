//! A task function that waits for other invocations: its record is paused and its slot is free meanwhile.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pynenc_core::orchestrator::{Block, Blocked, TransitionReply};
use pynenc_core::status::{By, Change, Refusal};
use pynenc_core::{InvocationId, Reason, RunnerId, Status, StatusRecord};

use super::interrupt::Interrupt;
use super::slots::{Permit, SlotRequest};
use super::state::Attempt;
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Attempt {
    /// How many waits for other invocations are open.
    pub(crate) fn open_waits(&self) -> usize {
        self.open_waits.load(Ordering::Acquire)
    }

    /// Checks that the task function may begin a wait.
    ///
    /// # Errors
    ///
    /// [`Error::WaitInBlockingTask`]; [`Error::TooManyPaused`] if this wait would pause one task too many.
    pub(crate) fn check_may_wait(&self) -> Result<()> {
        if self.is_blocking {
            return Err(Error::WaitInBlockingTask(self.tracked.task.clone()));
        }
        if self.open_waits() == 0 { self.slots.check_paused().map_err(Error::TooManyPaused) } else { Ok(()) }
    }

    /// Waits by `until` for all of `on`, with the slot free meanwhile.
    pub(crate) async fn wait<R>(
        self: &Arc<Self>,
        engine: &Engine,
        on: &[InvocationId],
        until: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        self.check_may_wait()?;
        let Some(wait) = self.pause(engine, on).await? else { return until.await };
        let result = until.await;
        wait.close(engine).await?;
        result
    }

    async fn pause(self: &Arc<Self>, engine: &Engine, on: &[InvocationId]) -> Result<Option<OpenWait>> {
        let mut seen = self.seen().await;
        match self.block(engine, on, &mut seen).await? {
            Blocked::Ready => Ok(None),
            Blocked::Cycle(path) => Err(Error::WaitCycle { path: cycle_text(&path) }),
            Blocked::Refused(_) => Err(self.lost()),
            Blocked::Waiting { record, raised } => {
                *seen = record;
                drop(seen);
                let wait = self.open_wait();
                engine.hint(&raised).await;
                Ok(Some(wait))
            }
        }
    }

    async fn block(&self, engine: &Engine, on: &[InvocationId], seen: &mut StatusRecord) -> Result<Blocked> {
        loop {
            let block = Block { waiter: self.id(), seen: seen.clone(), runner: self.runner, on: on.to_vec() };
            let reply = engine.parts().orchestrator.block(&block).await?;
            match &reply {
                Blocked::Refused(refusal) if self.saw_own(engine, seen, refusal).await? => {}
                _ => return Ok(reply),
            }
        }
    }

    /// Interrupts the task function, because another runner owns the invocation, and returns the error for it.
    pub(crate) fn lost(&self) -> Error {
        self.interrupt(Interrupt::Lost);
        Error::ClaimLost(self.id())
    }

    /// Opens a wait, after the record was paused. The first one frees the slot.
    pub(crate) fn open_wait(self: &Arc<Self>) -> OpenWait {
        if self.open_waits.fetch_add(1, Ordering::AcqRel) == 0 {
            self.slots.count_paused(true);
            self.release_slot();
        }
        OpenWait { attempt: Some(self.clone()) }
    }

    /// Closes a wait, and returns whether it was the last one.
    fn close_wait(&self) -> bool {
        let was_last = self.open_waits.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last {
            self.slots.count_paused(false);
        }
        was_last
    }

    /// Takes a slot again and moves the record back to running.
    async fn resume(&self, engine: &Engine) -> Result<()> {
        let permit = self.slots.reserve(SlotRequest::Resume).permit().await;
        self.hold(permit);
        match self.change(engine, resumed(self.runner)).await? {
            TransitionReply::Done { .. }
            | TransitionReply::AlreadyMine(_)
            | TransitionReply::Refused(Refusal::NoEdge { from: Status::Running, .. }) => Ok(()),
            TransitionReply::Refused(_) => Err(self.lost()),
        }
    }
}

/// An open wait. Dropping it closes the wait without resuming the record: a later wait or the settlement moves it on.
pub(crate) struct OpenWait {
    attempt: Option<Arc<Attempt>>,
}

impl OpenWait {
    /// Closes the wait of an attempt whose record runs again already. It runs in this slot, unless it waits for something
    /// else meanwhile.
    pub(crate) fn close_in(mut self, permit: Permit) {
        if let Some(attempt) = self.attempt.take()
            && attempt.close_wait()
        {
            attempt.hold(permit);
        }
    }

    /// Closes the wait, and resumes the attempt if it was the last one.
    pub(crate) async fn close(mut self, engine: &Engine) -> Result<()> {
        let Some(attempt) = self.attempt.take() else { return Ok(()) };
        if attempt.close_wait() { attempt.resume(engine).await } else { Ok(()) }
    }
}

impl Drop for OpenWait {
    fn drop(&mut self) {
        if let Some(attempt) = &self.attempt {
            attempt.close_wait();
        }
    }
}

/// The transition of an attempt that runs again after a wait.
pub(crate) fn resumed(runner: RunnerId) -> Change {
    Change::new(Status::Running, By::Owner(runner), Reason::Resumed)
}

/// A wait cycle, as errors show it.
pub(crate) fn cycle_text(path: &[InvocationId]) -> String {
    path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> ")
}
