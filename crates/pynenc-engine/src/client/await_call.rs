//! Awaiting a call inside a task: `let sum = add(1, 2).await?`.

use std::future::IntoFuture;

use futures_util::future::BoxFuture;
use pynenc_core::Status;

use super::call::Call;
use super::encode::Uploads;
use super::group::InvocationGroup;
use super::invocation::Invocation;
use crate::context::{AwaitedCall, TaskContext};
use crate::error::{Error, Result};
use crate::task::Task;

/// Awaiting a call inside a task submits it to the task's app and waits for its value. The task's slot is free meanwhile.
impl<T: Task> IntoFuture for Call<T> {
    type Output = Result<T::Output>;
    type IntoFuture = BoxFuture<'static, Result<T::Output>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { TaskContext::current()?.await_call(self).await })
    }
}

impl TaskContext {
    /// Submits a call as a child of this invocation, without waiting for its value.
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect.
    pub async fn submit<T: Task>(&self, call: Call<T>) -> Result<Invocation<T>> {
        self.scope(self.engine().submit(call)).await
    }

    /// Submits calls as children of this invocation in batches.
    pub async fn submit_all<T: Task>(&self, calls: impl IntoIterator<Item = Call<T>>) -> Result<InvocationGroup<T>> {
        self.scope(self.engine().submit_all(calls)).await
    }

    /// Submits a call from a task that is a plain function.
    ///
    /// # Errors
    ///
    /// As [`TaskContext::submit`]; [`Error::Invalid`] inside an `async` task, whose thread must not be blocked.
    pub fn submit_blocking<T: Task>(&self, call: Call<T>) -> Result<Invocation<T>> {
        if !self.is_blocking() {
            let error = pynenc_core::Error::invalid("submit_blocking is for plain functions; use submit(..).await");
            return Err(Error::Invalid(error));
        }
        tokio::runtime::Handle::current().block_on(self.submit(call))
    }

    /// Submits a call as a child of this invocation and waits for its value.
    async fn await_call<T: Task>(&self, mut call: Call<T>) -> Result<T::Output> {
        let engine = self.engine();
        if engine.is_synchronous() {
            return self.submit(call).await?.result().await;
        }
        let task = engine.known_task(T::definition().name)?;
        let span = engine.start_send(task, &mut call.options);
        let mut uploads = Uploads::default();
        let submission = engine.prepare_call(task, call, &mut uploads)?;
        uploads.send(engine).await?;
        match self.call(&submission, span).await? {
            AwaitedCall::Finished { record, outcome: Some(outcome) } if record.status == Status::Success => {
                engine.value_of(submission.record.id, Some(outcome)).await
            }
            AwaitedCall::Finished { record, .. } => engine.outcome(submission.record.id, &record).await,
            AwaitedCall::Registered(reply) => {
                engine.invocation_of::<T>(task, &submission, Some(Ok(reply))).await?.result().await
            }
        }
    }
}
