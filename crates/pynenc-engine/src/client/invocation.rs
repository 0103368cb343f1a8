//! The handle of an invocation.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use pynenc_core::orchestrator::HistoryEntry;
use pynenc_core::{InvocationId, Status, StatusRecord};

use super::cancel::Cancel;
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::error::{ArgumentDiff, Error, Result};
use crate::task::Task;

/// How a call differs from the existing invocation that it was given.
#[derive(Debug, Clone)]
pub(crate) struct Reuse {
    pub(crate) diff: Vec<ArgumentDiff>,
}

/// A handle of a submitted call. Dropping it doesn't affect the invocation.
pub struct Invocation<T: Task> {
    engine: Engine,
    id: InvocationId,
    reuse: Option<Reuse>,
    task: PhantomData<fn() -> T>,
}

impl<T: Task> Clone for Invocation<T> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), id: self.id, reuse: self.reuse.clone(), task: PhantomData }
    }
}

impl<T: Task> fmt::Debug for Invocation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("task", &T::definition().name).field("id", &self.id).finish_non_exhaustive()
    }
}

impl<T: Task> Invocation<T> {
    pub(crate) fn new(engine: Engine, id: InvocationId, reuse: Option<Reuse>) -> Self {
        Self { engine, id, reuse, task: PhantomData }
    }

    /// The invocation's id. [`Engine::invocation`] makes a handle of it in any process.
    pub fn id(&self) -> InvocationId {
        self.id
    }

    /// Returns whether the submit created no invocation, and this handle belongs to an earlier one with the same
    /// idempotency key or registration key.
    pub fn is_reused(&self) -> bool {
        self.reuse.is_some()
    }

    /// The arguments in which the submitted call differs from that earlier invocation.
    pub fn diff(&self) -> &[ArgumentDiff] {
        self.reuse.as_ref().map_or(&[], |reuse| &reuse.diff)
    }

    /// Waits for the result's value.
    ///
    /// Inside a task the wait pauses that task: its slot is free meanwhile, and the awaited invocation moves ahead in its
    /// queue.
    ///
    /// # Errors
    ///
    /// Each way to finish without a value has its own variant of [`Error`].
    ///
    /// # Cancel safety
    ///
    /// A dropped wait doesn't affect the invocation.
    pub async fn result(&self) -> Result<T::Output> {
        let record = self.completion().await?;
        self.engine.outcome(self.id, &record).await
    }

    async fn completion(&self) -> Result<StatusRecord> {
        match TaskContext::current_of(&self.engine) {
            Some(context) => context.wait(&[self.id], self.engine.completion(self.id)).await,
            None if self.engine.is_stuck(self.id).await? => Err(Error::StuckInSyncMode(self.id)),
            None => self.engine.completion(self.id).await,
        }
    }

    /// Waits for the result's value, but no longer than `limit`.
    ///
    /// # Errors
    ///
    /// As [`Invocation::result`], and [`Error::Timeout`].
    pub async fn result_timeout(&self, limit: Duration) -> Result<T::Output> {
        tokio::select! {
            biased;
            result = self.result() => result,
            () = self.engine.parts().clock.sleep(limit) => Err(Error::Timeout(limit)),
        }
    }

    /// The invocation's status.
    pub async fn status(&self) -> Result<Status> {
        Ok(self.engine.status(self.id).await?.status)
    }

    /// Cancels the invocation; see [`Engine::cancel`].
    pub fn cancel(&self) -> Cancel {
        self.engine.cancel(self.id)
    }

    /// The invocation's history, oldest entry first.
    pub async fn history(&self) -> Result<Vec<HistoryEntry>> {
        self.engine.history(self.id).await
    }
}

impl Engine {
    /// Makes a handle of an existing invocation by its id. Any process of the app may have submitted it.
    ///
    /// `T` has to be the invocation's task. This method makes no request, so an unknown id is an error only when you
    /// use the handle.
    pub fn invocation<T: Task>(&self, id: InvocationId) -> Invocation<T> {
        Invocation::new(self.clone(), id, None)
    }
}
