//! Calls that are submitted in a transaction of the caller.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;

use super::call::Call;
use super::encode::Uploads;
use super::invocation::{Invocation, Reuse};
use super::submit::conflict;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::task::{RegisteredTask, Task};

/// An encoded call that a store can submit in a transaction of the caller.
pub struct PreparedCall<T: Task> {
    engine: Engine,
    task: Arc<RegisteredTask>,
    submission: Submission,
    marker: PhantomData<fn() -> T>,
}

impl<T: Task> fmt::Debug for PreparedCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedCall").field("submission", &self.submission).finish_non_exhaustive()
    }
}

impl Engine {
    /// Encodes a call for a submit in a transaction of the caller.
    ///
    /// All arguments are stored with the call, and none in the argument cache, which belongs to no transaction.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`], [`Error::Invalid`] if the arguments can't be encoded or read back.
    pub fn prepare_for_transaction<T: Task>(&self, mut call: Call<T>) -> Result<PreparedCall<T>> {
        let task = self.known_task(T::definition().name)?.clone();
        call.options.disable_cache_args = vec!["*".to_owned()];
        let span = self.start_send(&task, &mut call.options);
        let submission = self.prepare_call(&task, call, &mut Uploads::default())?;
        span.end(Ok(Some(submission.record.id)));
        Ok(PreparedCall { engine: self.clone(), task, submission, marker: PhantomData })
    }
}

impl<T: Task> PreparedCall<T> {
    /// The submission for the store.
    pub fn submission(&self) -> &Submission {
        &self.submission
    }

    /// Returns the invocation that stands for the call, from the store's reply.
    ///
    /// # Errors
    ///
    /// [`Error::IdempotencyConflict`], or [`Error::ArgumentsDiffer`] if the task's options ask for it; it lists no
    /// differences.
    pub fn registered(self, reply: Registered) -> Result<Invocation<T>> {
        let invocation = |id, reuse| Ok(Invocation::new(self.engine, id, reuse));
        match reply {
            Registered::New(tracked) => invocation(tracked.id, None),
            Registered::Existing { id: existing, same_arguments: false }
                if self.task.options.on_diff_non_key_args_raise =>
            {
                Err(Error::ArgumentsDiffer { existing, diff: Vec::new() })
            }
            Registered::Existing { id, .. } => invocation(id, Some(Reuse { diff: Vec::new() })),
            Registered::Conflict { id } => Err(conflict(&self.submission, id)),
        }
    }
}
