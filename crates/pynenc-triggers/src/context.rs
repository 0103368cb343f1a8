//! What a filter or a provider is given: what happened, with its types.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::record::{Outcome, TaskError};
use pynenc_core::trigger_store::Event;
use pynenc_core::{Error, InvocationId, SerializerExt, Status, Timestamp};
use pynenc_engine::arguments::Arguments;
use pynenc_engine::{Engine, Result, Task};
use serde::de::DeserializeOwned;

use crate::happening::{Ended, Happening};

/// Where a condition's contexts come from.
pub trait Source: Send + Sync + 'static {
    /// What filters and providers are given.
    type Context: Send + 'static;
    /// Whether the context holds what was called.
    #[doc(hidden)]
    const READS_CALL: bool = false;
    /// Whether the context holds what the invocation left behind.
    #[doc(hidden)]
    const READS_OUTCOME: bool = false;

    /// Reads what happened.
    #[doc(hidden)]
    fn read<'a>(engine: &'a Engine, happening: &'a Happening) -> BoxFuture<'a, Result<Self::Context>>;
}

/// An event.
pub struct EventContext<P> {
    event: Event,
    payload: P,
}

impl<P> EventContext<P> {
    /// The payload.
    pub fn payload(&self) -> &P {
        &self.payload
    }

    /// The payload, to be moved into a call.
    pub fn into_payload(self) -> P {
        self.payload
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.event.name
    }

    /// What the event concerns.
    pub fn key(&self) -> Option<&str> {
        self.event.key.as_deref()
    }

    /// Its place in the log: later events have greater ones. Runs aren't ordered.
    pub fn sequence(&self) -> u64 {
        self.event.sequence
    }

    /// When it was emitted, by the store's clock.
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

    fn read<'a>(engine: &'a Engine, happening: &'a Happening) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            let Happening::Event(event) = happening else { return Err(another_kind()) };
            let payload = engine.reader(&event.serializer)?.decode_as(&event.payload);
            let payload = payload.map_err(|error| error.with("event", &event.name))?;
            Ok(EventContext { event: event.clone(), payload })
        }
        .boxed()
    }
}

/// The end of an invocation.
pub struct EndContext<T: Task> {
    ended: Ended,
    arguments: T::Arguments,
}

impl<T: Task> EndContext<T> {
    /// What it was called with.
    pub fn arguments(&self) -> &T::Arguments {
        &self.arguments
    }

    /// The invocation.
    pub fn invocation(&self) -> InvocationId {
        self.ended.entry.id
    }

    /// How it ended.
    pub fn status(&self) -> Status {
        self.ended.entry.record.status
    }

    /// Its place among the ends that were told: later ones have greater ones. Runs aren't ordered.
    pub fn sequence(&self) -> u64 {
        self.ended.entry.sequence
    }

    /// When it ended, by the store's clock.
    pub fn at(&self) -> Timestamp {
        self.ended.entry.record.at
    }

    async fn read(engine: &Engine, happening: &Happening) -> Result<Self> {
        let Happening::Ended(ended) = happening else { return Err(another_kind()) };
        let call = ended.call.as_ref().ok_or_else(|| gone(ended, "what was called is no longer kept"))?;
        let arguments = T::Arguments::decode(&mut engine.arguments(call).await?)?;
        Ok(Self { ended: Ended::clone(ended), arguments })
    }
}

impl<T: Task> fmt::Debug for EndContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndContext").field("entry", &self.ended.entry).finish_non_exhaustive()
    }
}

/// The source of [`EndContext`].
#[derive(Debug)]
pub struct Ends<T>(PhantomData<fn() -> T>);

impl<T: Task> Source for Ends<T> {
    type Context = EndContext<T>;
    const READS_CALL: bool = true;

    fn read<'a>(engine: &'a Engine, happening: &'a Happening) -> BoxFuture<'a, Result<Self::Context>> {
        EndContext::read(engine, happening).boxed()
    }
}

/// The end of an invocation that succeeded.
pub struct ResultContext<T: Task> {
    end: EndContext<T>,
    result: T::Output,
}

impl<T: Task> ResultContext<T> {
    /// The value.
    pub fn result(&self) -> &T::Output {
        &self.result
    }

    /// The value, to be moved into a call.
    pub fn into_result(self) -> T::Output {
        self.result
    }
}

impl<T: Task> Deref for ResultContext<T> {
    type Target = EndContext<T>;

    fn deref(&self) -> &EndContext<T> {
        &self.end
    }
}

impl<T: Task> fmt::Debug for ResultContext<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultContext").field("end", &self.end).finish_non_exhaustive()
    }
}

/// The source of [`ResultContext`].
#[derive(Debug)]
pub struct Results<T>(PhantomData<fn() -> T>);

impl<T: Task> Source for Results<T> {
    type Context = ResultContext<T>;
    const READS_CALL: bool = true;
    const READS_OUTCOME: bool = true;

    fn read<'a>(engine: &'a Engine, happening: &'a Happening) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            let end = EndContext::read(engine, happening).await?;
            let Some(Outcome::Value { value, serializer }) = &end.ended.outcome else {
                return Err(gone(&end.ended, "the result is no longer kept"));
            };
            let result = engine.value(value, serializer).await?;
            Ok(ResultContext { end, result })
        }
        .boxed()
    }
}

/// The end of an invocation that failed.
pub struct ErrorContext<T: Task> {
    end: EndContext<T>,
    error: TaskError,
}

impl<T: Task> ErrorContext<T> {
    /// The error of the last attempt.
    pub fn error(&self) -> &TaskError {
        &self.error
    }

    /// The name of the error's type or variant; for what failed without an error of its body, such as a poison pill, the
    /// reason of its history.
    pub fn kind(&self) -> &str {
        &self.error.kind
    }

    /// The error's message.
    pub fn message(&self) -> &str {
        &self.error.message
    }
}

impl<T: Task> Deref for ErrorContext<T> {
    type Target = EndContext<T>;

    fn deref(&self) -> &EndContext<T> {
        &self.end
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

    fn read<'a>(engine: &'a Engine, happening: &'a Happening) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            let end = EndContext::read(engine, happening).await?;
            let error = error_of(&end.ended);
            Ok(ErrorContext { end, error })
        }
        .boxed()
    }
}

/// The error that an invocation failed with, or the reason where no body returned one.
pub(crate) fn error_of(ended: &Ended) -> TaskError {
    match &ended.outcome {
        Some(Outcome::Error(error)) => error.clone(),
        _ => TaskError {
            kind: ended.entry.record.reason.to_string(),
            message: String::new(),
            source_chain: Vec::new(),
            attempt: ended.entry.record.retries + 1,
        },
    }
}

/// A slot of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotContext {
    slot: Timestamp,
}

impl SlotContext {
    /// The time of the slot, which is not that of the run.
    pub fn slot(&self) -> Timestamp {
        self.slot
    }
}

/// The source of [`SlotContext`].
#[derive(Debug)]
pub struct Slots(());

impl Source for Slots {
    type Context = SlotContext;

    fn read<'a>(_: &'a Engine, happening: &'a Happening) -> BoxFuture<'a, Result<Self::Context>> {
        async move {
            match happening {
                Happening::Slot(slot) => Ok(SlotContext { slot: *slot }),
                Happening::Event(_) | Happening::Ended(_) => Err(another_kind()),
            }
        }
        .boxed()
    }
}

fn another_kind() -> pynenc_engine::Error {
    Error::corrupt("something else happened than the condition is for").into()
}

fn gone(ended: &Ended, message: &'static str) -> pynenc_engine::Error {
    Error::new(pynenc_core::ErrorKind::NotFound, message).with("invocation", ended.entry.id).into()
}
