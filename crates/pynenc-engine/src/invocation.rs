//! Handles: what a caller has of its call.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{Ended, HistoryEntry};
use pynenc_core::record::{Outcome, TaskError};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::{InvocationId, Reason, Status, StatusRecord};
use rustc_hash::FxHashMap;
use serde::de::DeserializeOwned;

use crate::cancel::{Cancel, CancelAll};
use crate::context::TaskContext;
use crate::engine::Engine;
use crate::error::{ArgumentDiff, Error, Mismatch, Result};
use crate::task::Task;

/// That an invocation was there before its call.
#[derive(Debug, Clone)]
pub(crate) struct Reuse {
    pub(crate) diff: Vec<ArgumentDiff>,
}

/// The handle of a call that was submitted. Dropping it changes nothing.
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

    /// Its identity; [`Engine::invocation`] makes a handle of it anywhere.
    pub fn id(&self) -> InvocationId {
        self.id
    }

    /// Whether the call was given an invocation that was there before.
    pub fn is_reused(&self) -> bool {
        self.reuse.is_some()
    }

    /// The arguments in which the call differs from the invocation it was given.
    pub fn diff(&self) -> &[ArgumentDiff] {
        self.reuse.as_ref().map_or(&[], |reuse| &reuse.diff)
    }

    /// Waits for the value.
    ///
    /// Inside a task the wait pauses that task: its slot is free meanwhile, and what it waits for moves ahead.
    ///
    /// # Errors
    ///
    /// A variant of its own for each way to end without a value.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait leaves the invocation as it is.
    pub async fn result(&self) -> Result<T::Output> {
        let record = self.end().await?;
        self.engine.outcome(self.id, &record).await
    }

    async fn end(&self) -> Result<StatusRecord> {
        match TaskContext::try_current() {
            Some(context) if context.engine().is_same(&self.engine) => {
                context.attempt().wait(&self.engine, &[self.id], self.engine.ended(self.id)).await
            }
            _ if self.engine.is_stuck(self.id).await? => Err(Error::StuckInSyncMode(self.id)),
            _ => self.engine.ended(self.id).await,
        }
    }

    /// Waits for the value, but no longer than `limit`.
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

    /// Where it stands.
    pub async fn status(&self) -> Result<Status> {
        Ok(self.engine.status(self.id).await?.status)
    }

    /// Asks for its end; see [`Engine::cancel`].
    pub fn cancel(&self) -> Cancel {
        self.engine.cancel(self.id)
    }

    /// Everything that happened to it, oldest line first.
    pub async fn history(&self) -> Result<Vec<HistoryEntry>> {
        self.engine.history(self.id).await
    }
}

/// The handles of a batch.
pub struct InvocationGroup<T: Task> {
    engine: Engine,
    invocations: Vec<Invocation<T>>,
    /// In a lock that is never contended, because a stream alone can't be shared between threads.
    ends: Option<Mutex<BoxStream<'static, Ended>>>,
}

impl<T: Task> fmt::Debug for InvocationGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvocationGroup").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: Task> InvocationGroup<T> {
    pub(crate) fn new(engine: Engine, invocations: Vec<Invocation<T>>) -> Self {
        Self { engine, invocations, ends: None }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.invocations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.invocations.is_empty()
    }

    /// The handles, in the order of the calls.
    pub fn invocations(&self) -> &[Invocation<T>] {
        &self.invocations
    }

    /// Asks for the end of all; see [`Engine::cancel_all`]. The results are in the order of the calls.
    pub fn cancel(&self) -> CancelAll {
        self.engine.cancel_all(&self.ids())
    }

    /// Waits for all values, in the order of the calls.
    ///
    /// # Errors
    ///
    /// The first in the order of the calls that ended without a value; the others go on.
    pub async fn results(&self) -> Result<Vec<T::Output>> {
        let ends = self.all_ends().await?;
        let mut values = Vec::with_capacity(self.len());
        for invocation in &self.invocations {
            let record = ends.get(&invocation.id).ok_or(Error::InvocationNotFound(invocation.id))?;
            values.push(self.engine.outcome(invocation.id, record).await?);
        }
        Ok(values)
    }

    /// Waits for the next one to end, in the order of the ends; `None` after the last.
    ///
    /// # Cancel safety
    ///
    /// An end that was reached before the drop is given by the next call.
    pub async fn next(&mut self) -> Option<(InvocationId, Result<T::Output>)> {
        if self.ends.is_none() {
            let ids = self.ids();
            match self.engine.parts().orchestrator.watch(&ids).await {
                Ok(ends) => self.ends = Some(Mutex::new(ends)),
                Err(error) => return Some((*ids.first()?, Err(error.into()))),
            }
        }
        let waited: Vec<_> = self.ids();
        let ends = self.ends.as_mut()?.get_mut().unwrap_or_else(PoisonError::into_inner);
        let ended = match TaskContext::try_current() {
            Some(context) if context.engine().is_same(&self.engine) => {
                let next = async { Ok(ends.next().await) };
                match context.attempt().wait(&self.engine, &waited, next).await {
                    Ok(ended) => ended,
                    Err(error) => return Some((*waited.first()?, Err(error))),
                }
            }
            _ => ends.next().await,
        };
        let (id, record) = ended?;
        Some((id, self.value(id, record).await))
    }

    async fn value(&self, id: InvocationId, record: Option<StatusRecord>) -> Result<T::Output> {
        let record = record.ok_or(Error::InvocationNotFound(id))?;
        self.engine.outcome(id, &record).await
    }

    fn ids(&self) -> Vec<InvocationId> {
        self.invocations.iter().map(Invocation::id).collect()
    }

    async fn all_ends(&self) -> Result<FxHashMap<InvocationId, StatusRecord>> {
        let ids = self.ids();
        let ends = self.engine.all_ended(&ids);
        match TaskContext::try_current() {
            Some(context) if context.engine().is_same(&self.engine) => {
                context.attempt().wait(&self.engine, &ids, ends).await
            }
            _ => ends.await,
        }
    }
}

impl Engine {
    /// The handles of invocations of one task, in this order.
    pub fn group<T: Task>(&self, ids: impl IntoIterator<Item = InvocationId>) -> InvocationGroup<T> {
        InvocationGroup::new(self.clone(), ids.into_iter().map(|id| self.invocation(id)).collect())
    }

    async fn all_ended(&self, ids: &[InvocationId]) -> Result<FxHashMap<InvocationId, StatusRecord>> {
        let mut ended = FxHashMap::default();
        let mut ends = self.parts().orchestrator.watch(ids).await?;
        while let Some((id, record)) = ends.next().await {
            ended.insert(id, record.ok_or(Error::InvocationNotFound(id))?);
        }
        for id in ids {
            if !ended.contains_key(id) {
                ended.insert(*id, self.ended(*id).await?);
            }
        }
        Ok(ended)
    }

    /// Waits for the value of an invocation whose task this program needn't know, such as a `serde_json::Value`.
    ///
    /// The wait is nobody's: a task that wants to wait awaits a call, or [`Invocation::result`].
    ///
    /// # Errors
    ///
    /// As [`Invocation::result`].
    pub async fn result<V: DeserializeOwned>(&self, id: InvocationId) -> Result<V> {
        let record = self.ended(id).await?;
        self.outcome(id, &record).await
    }

    /// The value of an invocation that has ended, or why it has none.
    pub(crate) async fn outcome<V: DeserializeOwned>(&self, id: InvocationId, record: &StatusRecord) -> Result<V> {
        match record.status {
            Status::Success => match self.value_of(id, self.parts().state.outcome(id, record.epoch).await?).await {
                // It may have been garbled on its way.
                Err(Error::CorruptRecord { .. }) => {
                    self.value_of(id, self.parts().state.outcome(id, record.epoch).await?).await
                }
                value => value,
            },
            Status::Cancelled => Err(Error::Cancelled(id)),
            Status::ConcurrencyControlledFinal => Err(Error::DroppedByConcurrencyControl(id)),
            _ => Err(self.failure(id, record).await?),
        }
    }

    /// The value of an outcome; there is none where it is forgotten.
    pub(crate) async fn value_of<V: DeserializeOwned>(&self, id: InvocationId, outcome: Option<Outcome>) -> Result<V> {
        let corrupt = |error: &pynenc_core::Error| Error::CorruptRecord { id, detail: error.to_string() };
        match outcome {
            Some(Outcome::Value { value, serializer }) => {
                let value = self.contents().fetch(&value).await.map_err(|error| Error::from_value(id, error))?;
                let reader = self.reader(&serializer).map_err(|error| corrupt(&error))?;
                value.decode(&*reader).map_err(|error| corrupt(&error))
            }
            Some(error) => Err(self.task_error(id, error).await),
            None => Err(Error::ResultExpired(id)),
        }
    }

    /// The error that a body left behind, wherever its text is.
    async fn task_error(&self, id: InvocationId, outcome: Outcome) -> Error {
        match outcome {
            Outcome::Error(error) => Error::TaskFailed(error),
            Outcome::LargeError(content) => match self.contents().fetch(&content).await {
                Ok(content) => content.decode(&JsonSerializer).map_or_else(Error::from, Error::TaskFailed),
                Err(error) => Error::from_value(id, error),
            },
            Outcome::Value { .. } => Error::ResultExpired(id),
        }
    }

    /// Why an invocation that has ended has no value.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`], and what keeps the answer from being read.
    pub async fn why_failed(&self, id: InvocationId) -> Result<Error> {
        let record = self.status(id).await?;
        self.failure(id, &record).await
    }

    async fn failure(&self, id: InvocationId, record: &StatusRecord) -> Result<Error> {
        if matches!(record.reason, Reason::Raised | Reason::TimedOut | Reason::ResultRejected) {
            return Ok(match self.parts().state.outcome(id, record.epoch).await? {
                Some(outcome) => self.task_error(id, outcome).await,
                None => Error::ResultExpired(id),
            });
        }
        if record.reason == Reason::NonDeterminism {
            return Ok(match self.parts().state.outcome(id, record.epoch).await? {
                Some(outcome) => Error::of_mismatch(id, self.task_error(id, outcome).await),
                None => Error::ResultExpired(id),
            });
        }
        let history = self.parts().orchestrator.history(id).await?;
        let detail = history.last().and_then(|entry| entry.detail.as_deref()).unwrap_or_default().to_owned();
        Ok(Error::from_reason(id, record, detail))
    }
}

impl Error {
    /// A value that can't be had: its content is gone, or its store is.
    fn from_value(id: InvocationId, error: pynenc_core::Error) -> Self {
        match error.kind() {
            pynenc_core::ErrorKind::NotFound => Self::ResultExpired(id),
            _ => error.into(),
        }
    }

    fn of_mismatch(id: InvocationId, error: Self) -> Self {
        match error {
            Self::TaskFailed(error) => match Mismatch::of_task_error(error) {
                Ok(mismatch) => Self::NonDeterminism { id, mismatch },
                Err(error) => Self::TaskFailed(error),
            },
            other => other,
        }
    }

    /// The error of a failure that no body returned.
    fn from_reason(id: InvocationId, record: &StatusRecord, detail: String) -> Self {
        match record.reason {
            Reason::ArgumentsUnavailable => Self::ArgumentsUnavailable { id, detail },
            Reason::CorruptRecord => Self::CorruptRecord { id, detail },
            Reason::WaitCycle => Self::WaitCycle { path: detail },
            Reason::PoisonPill => Self::PoisonPill { id, detail },
            reason => Self::TaskFailed(TaskError {
                kind: reason.to_string(),
                message: detail,
                source_chain: Vec::new(),
                attempt: record.retries + 1,
            }),
        }
    }
}
