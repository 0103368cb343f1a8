//! Contexts: the typed data about an occurrence, for filters and for the closures that make calls.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::record::{Outcome, TaskError};
use pynenc_core::trigger_store::Event;
use pynenc_core::{Error, InvocationId, SerializerExt, Status, Timestamp};
use pynenc_engine::task::Arguments;
use pynenc_engine::{Engine, Result, Task};
use serde::de::DeserializeOwned;

use crate::observation::{CompletionDetails, Observation};

/// The kind of a condition: the observations that it is evaluated against, and the context that it reads from them.
pub trait Source: Send + Sync + 'static {
    /// The data about an occurrence.
    type Context: Send + 'static;
    /// Whether the context holds the record of the call.
    #[doc(hidden)]
    const READS_CALL: bool = false;
    /// Whether the context holds the outcome of the invocation.
    #[doc(hidden)]
    const READS_OUTCOME: bool = false;

    /// Reads the context from an observation.
    #[doc(hidden)]
    fn read<'a>(engine: &'a Engine, observation: &'a Observation) -> BoxFuture<'a, Result<Self::Context>>;
}

/// The sources whose contexts know the arguments of a call.
pub trait TaskSource: Source {}

impl<T: Task> TaskSource for Completions<T> {}
impl<T: Task> TaskSource for Results<T> {}
impl<T: Task> TaskSource for Errors<T> {}

/// An event that met [`on_event`](crate::on_event).
pub struct EventContext<P> {
    event: Event,
    payload: P,
}

impl<P> EventContext<P> {
    /// Returns the payload.
    pub fn payload(&self) -> &P {
        &self.payload
    }

    /// Returns the payload by value, to move it into a call.
    pub fn into_payload(self) -> P {
        self.payload
    }

    /// Returns the event's name.
    pub fn name(&self) -> &str {
        &self.event.name
    }

    /// Returns the event's key, if the emitter gave one.
    pub fn key(&self) -> Option<&str> {
        self.event.key.as_deref()
    }

    /// Returns the event's number in the log: later events have greater numbers. Runs of triggers aren't ordered.
    pub fn sequence(&self) -> u64 {
        self.event.sequence
    }

    /// Returns the time at which the event was emitted, by the store's clock.
    pub fn at(&self) -> Timestamp {
        self.event.at
    }
}

impl<P> fmt::Debug for EventContext<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventContext").field("event", &self.event).finish_non_exhaustive()
    }
}

/// The source of [`EventContext`].
#[derive(Debug)]
pub struct Events<P>(PhantomData<fn() -> P>);

impl<P: DeserializeOwned + Send + 'static> Source for Events<P> {
    type Context = EventContext<P>;

    fn read<'a>(engine: &'a Engine, observation: &'a Observation) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            let Observation::Event(event) = observation else { return Err(wrong_kind()) };
            let payload = engine.reader(&event.serializer)?.decode_as(&event.payload);
            let payload = payload.map_err(|error| error.with("event", &event.name))?;
            Ok(EventContext { event: event.clone(), payload })
        }
        .boxed()
    }
}

/// A completion that met [`on_status`](crate::on_status).
pub struct CompletionContext<T: Task> {
    completion: CompletionDetails,
    arguments: T::Arguments,
}

impl<T: Task> CompletionContext<T> {
    /// Returns the arguments of the call.
    pub fn arguments(&self) -> &T::Arguments {
        &self.arguments
    }

    /// Returns the invocation.
    pub fn invocation(&self) -> InvocationId {
        self.completion.entry.id
    }

    /// Returns the final status.
    pub fn status(&self) -> Status {
        self.completion.entry.record.status
    }

    /// Returns the number of the completion in the outbox: later completions have greater numbers. Runs of triggers
    /// aren't ordered.
    pub fn sequence(&self) -> u64 {
        self.completion.entry.sequence
    }

    /// Returns the time of the completion, by the store's clock.
    pub fn at(&self) -> Timestamp {
        self.completion.entry.record.at
    }

    async fn read(engine: &Engine, observation: &Observation) -> Result<Self> {
        let Observation::Completion(completion) = observation else { return Err(wrong_kind()) };
        let call = completion.call.as_ref();
        let call = call.ok_or_else(|| gone(completion, "the record of the call is no longer kept"))?;
        let arguments = T::Arguments::decode(&mut engine.arguments(call).await?)?;
        Ok(Self { completion: CompletionDetails::clone(completion), arguments })
    }
}

impl<T: Task> fmt::Debug for CompletionContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionContext").field("entry", &self.completion.entry).finish_non_exhaustive()
    }
}

/// The source of [`CompletionContext`].
#[derive(Debug)]
pub struct Completions<T>(PhantomData<fn() -> T>);

impl<T: Task> Source for Completions<T> {
    type Context = CompletionContext<T>;
    const READS_CALL: bool = true;

    fn read<'a>(engine: &'a Engine, observation: &'a Observation) -> BoxFuture<'a, Result<Self::Context>> {
        CompletionContext::read(engine, observation).boxed()
    }
}

/// A completion with a result, which met [`on_success`](crate::on_success) or [`on_result`](crate::on_result). It
/// dereferences to [`CompletionContext`].
pub struct ResultContext<T: Task> {
    completion: CompletionContext<T>,
    result: T::Output,
}

impl<T: Task> ResultContext<T> {
    /// Returns the result.
    pub fn result(&self) -> &T::Output {
        &self.result
    }

    /// Returns the result by value, to move it into a call.
    pub fn into_result(self) -> T::Output {
        self.result
    }
}

impl<T: Task> Deref for ResultContext<T> {
    type Target = CompletionContext<T>;

    fn deref(&self) -> &CompletionContext<T> {
        &self.completion
    }
}

impl<T: Task> fmt::Debug for ResultContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultContext").field("completion", &self.completion).finish_non_exhaustive()
    }
}

/// The source of [`ResultContext`].
#[derive(Debug)]
pub struct Results<T>(PhantomData<fn() -> T>);

impl<T: Task> Source for Results<T> {
    type Context = ResultContext<T>;
    const READS_CALL: bool = true;
    const READS_OUTCOME: bool = true;

    fn read<'a>(engine: &'a Engine, observation: &'a Observation) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            let completion = CompletionContext::read(engine, observation).await?;
            let Some(Outcome::Value { value, serializer }) = &completion.completion.outcome else {
                return Err(gone(&completion.completion, "the result is no longer kept"));
            };
            let result = engine.value(value, serializer).await?;
            Ok(ResultContext { completion, result })
        }
        .boxed()
    }
}

/// The completion of a failed invocation, which met [`on_exception`](crate::on_exception). It dereferences to
/// [`CompletionContext`].
pub struct ErrorContext<T: Task> {
    completion: CompletionContext<T>,
    error: TaskError,
}

impl<T: Task> ErrorContext<T> {
    /// Returns the error of the last attempt.
    pub fn error(&self) -> &TaskError {
        &self.error
    }

    /// Returns the name of the error's type or variant. If the invocation failed without an error of its task function,
    /// such as a poison pill, it is the reason of the last transition.
    pub fn kind(&self) -> &str {
        &self.error.kind
    }

    /// Returns the error's message.
    pub fn message(&self) -> &str {
        &self.error.message
    }
}

impl<T: Task> Deref for ErrorContext<T> {
    type Target = CompletionContext<T>;

    fn deref(&self) -> &CompletionContext<T> {
        &self.completion
    }
}

impl<T: Task> fmt::Debug for ErrorContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorContext").field("error", &self.error).finish_non_exhaustive()
    }
}

/// The source of [`ErrorContext`].
#[derive(Debug)]
pub struct Errors<T>(PhantomData<fn() -> T>);

impl<T: Task> Source for Errors<T> {
    type Context = ErrorContext<T>;
    const READS_CALL: bool = true;
    const READS_OUTCOME: bool = true;

    fn read<'a>(engine: &'a Engine, observation: &'a Observation) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            let completion = CompletionContext::read(engine, observation).await?;
            let error = error_of(&completion.completion);
            Ok(ErrorContext { completion, error })
        }
        .boxed()
    }
}

/// Returns the error of a failed invocation. If the task function returned none, the error's kind is the reason of the
/// last transition.
pub(crate) fn error_of(completion: &CompletionDetails) -> TaskError {
    match &completion.outcome {
        Some(Outcome::Error(error)) => error.clone(),
        _ => TaskError {
            kind: completion.entry.record.reason.to_string(),
            message: String::new(),
            source_chain: Vec::new(),
            attempt: completion.entry.record.retries + 1,
        },
    }
}

/// A slot of a schedule, which met [`on_cron`](crate::on_cron).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotContext {
    slot: Timestamp,
}

impl SlotContext {
    /// Returns the time of the slot. The run may be later.
    pub fn slot(&self) -> Timestamp {
        self.slot
    }
}

/// The source of [`SlotContext`].
#[derive(Debug)]
pub struct Slots(());

impl Source for Slots {
    type Context = SlotContext;

    fn read<'a>(_: &'a Engine, observation: &'a Observation) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            match observation {
                Observation::Slot(slot) => Ok(SlotContext { slot: *slot }),
                Observation::Event(_) | Observation::Completion(_) => Err(wrong_kind()),
            }
        }
        .boxed()
    }
}

fn wrong_kind() -> pynenc_engine::Error {
    Error::corrupt("the observation is of another kind than the condition").into()
}

fn gone(completion: &CompletionDetails, message: &'static str) -> pynenc_engine::Error {
    Error::new(pynenc_core::ErrorKind::NotFound, message).with("invocation", completion.entry.id).into()
}
