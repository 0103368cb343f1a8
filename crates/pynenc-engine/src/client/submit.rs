//! Submits calls, alone or in batches.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, MaybeDone, maybe_done};
use pynenc_core::lane::Submission;
use pynenc_core::orchestrator::Registered;
use pynenc_core::{InvocationId, Lane};

use super::call::{Call, EncodedCall};
use super::encode::Uploads;
use super::group::InvocationGroup;
use super::invocation::{Invocation, Reuse};
use crate::engine::{Engine, StatusChange};
use crate::error::{Error, Result};
use crate::task::{RegisteredTask, Task};
use crate::trace_propagation::SendSpan;

/// The maximum number of calls in one round trip.
const BATCH: usize = 500;

impl Engine {
    /// Submits a call and returns its invocation, without waiting for the result.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTask`], [`Error::Invalid`] if the arguments can't be encoded or read back,
    /// [`Error::IdempotencyConflict`], [`Error::ArgumentsDiffer`] if the task's options ask for it,
    /// [`Error::Unavailable`].
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect; with an idempotency key it can be repeated.
    pub async fn submit<T: Task>(&self, mut call: Call<T>) -> Result<Invocation<T>> {
        let task = self.known_task(T::definition().name)?;
        let span = self.start_send(task, &mut call.options);
        let mut uploads = Uploads::default();
        let result = match self.prepare_call(task, call, &mut uploads) {
            Ok(submission) => self.submit_prepared(task, submission, uploads).await,
            Err(error) => Err(error),
        };
        span.end(result.as_ref().map(|(id, _)| Some(*id)));
        let (id, reuse) = result?;
        Ok(Invocation::new(self.clone(), id, reuse))
    }

    /// Submits an encoded call, after its uploads. Boxed, so that the crates of tasks don't compile this future.
    fn submit_prepared<'a>(
        &'a self,
        task: &'a RegisteredTask,
        submission: Submission,
        uploads: Uploads,
    ) -> BoxFuture<'a, Result<(InvocationId, Option<Reuse>)>> {
        async move {
            uploads.send(self).await?;
            let reply = self.submit_in_group(&submission).await;
            self.resolve_reply(task, &submission, Some(reply)).await
        }
        .boxed()
    }

    /// Submits through group commit. If the leader of the group was dropped, submits once more alone, which is safe
    /// because submitting under the same id is idempotent.
    async fn submit_in_group(&self, submission: &Submission) -> pynenc_core::Result<Registered> {
        match self.submits().send(submission.clone()).await {
            Some(reply) => reply,
            None => only(self.lane().submit(vec![submission.clone()]).await?),
        }
    }

    /// Submits calls of one task in batches.
    ///
    /// # Errors
    ///
    /// As [`Engine::submit`]. Calls that were accepted before the one that failed continue.
    pub async fn submit_all<T: Task>(&self, calls: impl IntoIterator<Item = Call<T>>) -> Result<InvocationGroup<T>> {
        let task = self.known_task(T::definition().name)?;
        let mut invocations = Vec::new();
        let mut calls = calls.into_iter().peekable();
        let mut in_flight: Option<RoundTrip> = None;
        while calls.peek().is_some() {
            let mut batch = Vec::with_capacity(BATCH.min(calls.size_hint().0));
            let mut uploads = Uploads::default();
            let mut span = SendSpan::NONE;
            if self.makes_send_spans() {
                let mut chunk: Vec<_> = calls.by_ref().take(BATCH).collect();
                span = self.start_batch(task, chunk.iter_mut().map(|call| &mut call.options));
                for call in chunk {
                    batch.push(self.prepare_call(task, call, &mut uploads)?);
                }
            } else {
                // Without a `Vec` of calls, which are large and would be moved once more.
                for call in calls.by_ref().take(BATCH) {
                    batch.push(self.prepare_call(task, call, &mut uploads)?);
                }
            }
            uploads.send(self).await?;
            // The next batch is encoded while this round trip is in progress.
            let next = RoundTrip::begin(self.lane(), batch, span).await;
            if let Some(round_trip) = in_flight.replace(next) {
                self.accept_batch(task, round_trip, &mut invocations).await?;
            }
        }
        if let Some(round_trip) = in_flight {
            self.accept_batch(task, round_trip, &mut invocations).await?;
        }
        Ok(InvocationGroup::new(self.clone(), invocations))
    }

    async fn accept_batch<T: Task>(
        &self,
        task: &RegisteredTask,
        round_trip: RoundTrip,
        invocations: &mut Vec<Invocation<T>>,
    ) -> Result<()> {
        let (batch, replies) = round_trip.finish().await?;
        for (submission, reply) in batch.iter().zip(replies) {
            invocations.push(self.invocation_of(task, submission, Some(reply)).await?);
        }
        Ok(())
    }

    /// Submits calls under ids that the caller chose. Submitting the same id again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if the fate of all calls is unknown. Each call's own error is its result.
    ///
    /// # Cancel safety
    ///
    /// A dropped submit may or may not have taken effect, and can be repeated.
    pub fn submit_encoded(
        &self,
        calls: Vec<(InvocationId, EncodedCall)>,
    ) -> BoxFuture<'_, Result<Vec<Result<InvocationId>>>> {
        async move {
            let mut results = Vec::with_capacity(calls.len());
            let mut calls = calls.into_iter().peekable();
            while calls.peek().is_some() {
                let mut chunk: Vec<_> = calls.by_ref().take(BATCH).collect();
                let only_id = if let [(id, _)] = chunk[..] { Some(id) } else { None };
                let span = self.start_encoded(chunk.iter_mut().map(|(_, call)| call));
                let batch: Vec<_> = chunk.into_iter().map(|(id, call)| self.prepare_encoded(id, call)).collect();
                let submissions = batch.iter().flatten().map(|(_, submission)| submission.clone()).collect();
                let replies = self.lane().submit(submissions).await.map_err(Error::from);
                span.end(replies.as_ref().map(|_| only_id));
                let mut replies = replies?.into_iter();
                for prepared in batch {
                    results.push(match prepared {
                        Ok((task, submission)) => {
                            self.resolve_reply(task, &submission, replies.next()).await.map(|(id, _)| id)
                        }
                        Err(error) => Err(error),
                    });
                }
            }
            Ok(results)
        }
        .boxed()
    }

    pub(super) async fn invocation_of<T: Task>(
        &self,
        task: &RegisteredTask,
        submission: &Submission,
        reply: Option<pynenc_core::Result<Registered>>,
    ) -> Result<Invocation<T>> {
        let (id, reuse) = self.resolve_reply(task, submission, reply).await?;
        Ok(Invocation::new(self.clone(), id, reuse))
    }

    /// The invocation that stands for a submission. With a [`Reuse`] it existed before.
    pub(super) fn resolve_reply<'a>(
        &'a self,
        task: &'a RegisteredTask,
        submission: &'a Submission,
        reply: Option<pynenc_core::Result<Registered>>,
    ) -> BoxFuture<'a, Result<(InvocationId, Option<Reuse>)>> {
        async move {
            match reply.ok_or_else(|| pynenc_core::Error::unavailable("the submit had no reply"))?? {
                Registered::New(tracked) => {
                    self.log_submitted(&submission.record);
                    self.measure_submitted(&submission.record);
                    self.changed(&StatusChange::of(&tracked));
                    self.run_inline(tracked.id).await?;
                    Ok((tracked.id, None))
                }
                Registered::Existing { id, same_arguments } => {
                    Ok((id, Some(self.reused(task, submission, id, same_arguments).await?)))
                }
                Registered::Conflict { id: existing } => Err(conflict(submission, existing)),
            }
        }
        .boxed()
    }

    async fn reused(
        &self,
        task: &RegisteredTask,
        submission: &Submission,
        existing: InvocationId,
        same_arguments: bool,
    ) -> Result<Reuse> {
        let diff = if same_arguments { Vec::new() } else { self.difference(submission, existing).await? };
        if !same_arguments && task.options.on_diff_non_key_args_raise {
            return Err(Error::ArgumentsDiffer { existing, diff });
        }
        Ok(Reuse { diff })
    }
}

type Replies = pynenc_core::Result<Vec<pynenc_core::Result<Registered>>>;

/// A batch in flight.
struct RoundTrip {
    batch: Vec<Submission>,
    replies: MaybeDone<BoxFuture<'static, Replies>>,
    span: SendSpan,
}

impl RoundTrip {
    /// Starts the round trip without waiting for its replies.
    async fn begin(lane: &Arc<dyn Lane>, batch: Vec<Submission>, span: SendSpan) -> Self {
        let (lane, submissions) = (lane.clone(), batch.clone());
        let mut replies = maybe_done(async move { lane.submit(submissions).await }.boxed());
        poll_fn(|cx| Poll::Ready(replies.poll_unpin(cx).is_ready())).await;
        Self { batch, replies, span }
    }

    async fn finish(mut self) -> Result<(Vec<Submission>, Vec<pynenc_core::Result<Registered>>)> {
        (&mut self.replies).await;
        let replies =
            Pin::new(&mut self.replies).take_output().expect("the future is done, and its output is taken once");
        let replies = replies.map_err(Error::from);
        self.span.end(replies.as_ref().map(|_| None));
        Ok((self.batch, replies?))
    }
}

fn only(replies: Vec<pynenc_core::Result<Registered>>) -> pynenc_core::Result<Registered> {
    replies.into_iter().next().unwrap_or_else(|| Err(pynenc_core::Error::unavailable("the submit had no reply")))
}

pub(super) fn conflict(submission: &Submission, existing: InvocationId) -> Error {
    let key = submission.registration.idempotency.as_ref().map(|key| key.key.to_string()).unwrap_or_default();
    Error::IdempotencyConflict { key, existing }
}
