//! The result of a finished invocation: its value, or the error that says why there is none.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::reads;
use pynenc_core::record::{Outcome, TaskError};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::{InvocationId, Reason, Serializer, Status, StatusRecord};
use serde::de::DeserializeOwned;

use crate::argument_cache::Fetched;
use crate::engine::Engine;
use crate::error::{Error, Mismatch, Result};

impl Engine {
    /// Waits for the value of an invocation by its id. The program needn't have the task: any `V` that the value decodes to
    /// will do, such as a `serde_json::Value`.
    ///
    /// Inside a task, await a call or [`Invocation::result`](crate::Invocation::result) instead: they free the task's slot.
    ///
    /// # Errors
    ///
    /// As [`Invocation::result`](crate::Invocation::result).
    pub async fn result<V: DeserializeOwned>(&self, id: InvocationId) -> Result<V> {
        let record = self.completion(id).await?;
        self.outcome(id, &record).await
    }

    /// The value of a finished invocation, or the error that says why there is none.
    pub(crate) async fn outcome<V: DeserializeOwned>(&self, id: InvocationId, record: &StatusRecord) -> Result<V> {
        match self.encoded_outcome(id, record).await.and_then(|value| value.decode()) {
            // The reply may have been garbled; a stored outcome doesn't change, so read it once more.
            Err(Error::CorruptRecord { .. }) if record.status == Status::Success => {
                self.encoded_outcome(id, record).await?.decode()
            }
            value => value,
        }
    }

    /// The value of an outcome, or its error.
    pub(crate) async fn value_of<V: DeserializeOwned>(&self, id: InvocationId, outcome: Option<Outcome>) -> Result<V> {
        self.encoded_value(id, outcome).await?.decode()
    }

    /// As [`outcome`](Self::outcome). Boxed, so that the crates of tasks don't compile this future for each type.
    fn encoded_outcome<'a>(
        &'a self,
        id: InvocationId,
        record: &'a StatusRecord,
    ) -> BoxFuture<'a, Result<EncodedValue>> {
        async move {
            match record.status {
                Status::Success => {
                    let outcome = self.parts().state.outcome(id, record.epoch).await?;
                    self.encoded_value(id, outcome).await
                }
                Status::Cancelled => Err(Error::Cancelled(id)),
                Status::ConcurrencyControlledFinal => Err(Error::DroppedByConcurrencyControl(id)),
                _ => Err(self.failure(id, record).await?),
            }
        }
        .boxed()
    }

    fn encoded_value(&self, id: InvocationId, outcome: Option<Outcome>) -> BoxFuture<'_, Result<EncodedValue>> {
        async move {
            match outcome {
                Some(Outcome::Value { value, serializer }) => {
                    let value =
                        self.large_values().fetch(&value).await.map_err(|error| Error::from_value(id, error))?;
                    let reader = self.reader(&serializer).map_err(|error| corrupt(id, &error))?;
                    Ok(EncodedValue { id, value, reader })
                }
                Some(error) => Err(self.task_error(id, error).await),
                None => Err(Error::ResultExpired(id)),
            }
        }
        .boxed()
    }

    /// The error of a task function, read from the argument cache if it is large.
    async fn task_error(&self, id: InvocationId, outcome: Outcome) -> Error {
        match outcome {
            Outcome::Error(error) => Error::TaskFailed(error),
            Outcome::LargeError(content) => match self.large_values().fetch(&content).await {
                Ok(content) => content.decode(&JsonSerializer).map_or_else(Error::from, Error::TaskFailed),
                Err(error) => Error::from_value(id, error),
            },
            Outcome::Value { .. } => Error::ResultExpired(id),
        }
    }

    /// The error that says why a finished invocation has no value.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`]; [`Error::Unavailable`] if a store can't be read.
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
        let history = reads::history(&*self.parts().orchestrator, id).await?;
        let detail = history.last().and_then(|entry| entry.detail.as_deref()).unwrap_or_default().to_owned();
        Ok(Error::from_reason(id, record, detail))
    }
}

/// The value of an invocation, with the serializer that wrote it.
struct EncodedValue {
    id: InvocationId,
    value: Fetched,
    reader: Arc<dyn Serializer>,
}

impl EncodedValue {
    fn decode<V: DeserializeOwned>(&self) -> Result<V> {
        self.value.decode(&*self.reader).map_err(|error| corrupt(self.id, &error))
    }
}

fn corrupt(id: InvocationId, error: &pynenc_core::Error) -> Error {
    Error::CorruptRecord { id, detail: error.to_string() }
}

impl Error {
    /// The error for a value that can't be read: it is gone from the argument cache, or the store is unavailable.
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

    /// The error of a failure that no task function returned.
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
