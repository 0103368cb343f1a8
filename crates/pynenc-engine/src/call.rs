//! A call: a task with its arguments, not yet submitted.

use std::borrow::Cow;
use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use pynenc_core::record::{Argument, Payload, Priority, TraceContext};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::status::Due;
use pynenc_core::{QueueName, Serializer, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::arguments::{ArgumentIdentity, ArgumentSink, Arguments, EncodedArgument};
use crate::context::TaskContext;
use crate::error::{Error, Result};
use crate::task::Task;

/// What one call sets over its task's options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CallOptions {
    pub(crate) due: Option<Due>,
    pub(crate) priority: Option<u8>,
    pub(crate) queue: Option<QueueName>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) disable_cache_args: Vec<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_retries: Option<u32>,
    #[serde(default)]
    pub(crate) trace: Option<TraceContext>,
}

impl CallOptions {
    pub(crate) fn check(&self) -> Result<()> {
        self.trace.as_ref().map_or(Ok(()), TraceContext::check)?;
        match self.priority {
            Some(priority) if priority > Priority::HIGHEST => Err(Error::Invalid(
                pynenc_core::Error::invalid("priority is greater than the highest")
                    .with("priority", priority)
                    .with("highest", Priority::HIGHEST),
            )),
            _ => Ok(()),
        }
    }
}

/// A typed, inert description of a call: nothing happens until it is submitted, or awaited inside a task.
#[must_use = "a call does nothing until it is submitted or awaited"]
pub struct Call<T: Task> {
    pub(crate) arguments: T::Arguments,
    pub(crate) options: CallOptions,
}

impl<T: Task> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("task", &T::definition().name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<T: Task> Call<T> {
    /// A call with these arguments; `#[task]` makes a function of the task's name for it.
    pub fn new(arguments: T::Arguments) -> Self {
        Self { arguments, options: CallOptions::default() }
    }

    /// The arguments.
    pub fn arguments(&self) -> &T::Arguments {
        &self.arguments
    }

    /// Not before `delay` has passed since the submit, by the store's clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.due = Some(Due::In(delay));
        self
    }

    /// Not before `time`, by the store's clock.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.options.due = Some(Due::At(Timestamp::from(time)));
        self
    }

    /// Its place in the queue: 0 is last, 9 is first.
    pub fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// The queue it goes through.
    pub fn queue(mut self, queue: &str) -> Self {
        self.options.queue = Some(queue.into());
        self
    }

    /// The caller's name for this call: submitting it again gives the same invocation.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }

    /// Arguments that travel with the call, however large they are; `*` stands for all.
    pub fn disable_cache_args<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.options.disable_cache_args = names.into_iter().map(Into::into).collect();
        self
    }

    /// The time limit of each attempt.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// The trace that it belongs to, as a `traceparent` of W3C Trace Context, in place of the one that it is made in.
    pub fn traceparent(mut self, traceparent: &str) -> Self {
        self.options.trace = Some(TraceContext { traceparent: traceparent.into(), tracestate: None });
        self
    }

    /// How often it is run again when it fails.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options.max_retries = Some(retries);
        self
    }
}

impl<T: Task> Call<T> {
    /// Encodes the arguments as JSON, whatever app the call is for; [`Engine::encode`](crate::Engine::encode) does it as
    /// one app would.
    ///
    /// # Errors
    ///
    /// An argument has no JSON form, or none that can be read back, or the priority is greater than the highest.
    pub fn encode(self) -> Result<EncodedCall> {
        self.options.check()?;
        let mut sink = ArgumentSink::new(&JsonSerializer, true);
        self.arguments.encode(&mut sink)?;
        sink.read_back::<T::Arguments>(Arc::new(JsonSerializer))?;
        let (encoded, identity) = sink.into_parts();
        let inline =
            |(name, value): EncodedArgument| Argument { name: name.into(), value: Payload::Inline(value.bytes) };
        Ok(EncodedCall {
            task: T::definition().name.into(),
            arguments: encoded.into_iter().map(inline).collect(),
            serializer: JsonSerializer.name().into(),
            identity,
            options: self.options,
        })
    }
}

/// A call whose arguments are encoded: it can be kept and sent, and submitted by every app that knows its task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedCall {
    pub(crate) task: TaskId,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) serializer: Cow<'static, str>,
    pub(crate) identity: Option<ArgumentIdentity>,
    pub(crate) options: CallOptions,
}

impl EncodedCall {
    /// The task that is called.
    pub fn task(&self) -> &TaskId {
        &self.task
    }

    /// As [`Call::delay`].
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.due = Some(Due::In(delay));
        self
    }

    /// As [`Call::priority`], but a greater one is cut to the highest.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority.min(Priority::HIGHEST));
        self
    }

    /// As [`Call::queue`].
    #[must_use]
    pub fn queue(mut self, queue: &str) -> Self {
        self.options.queue = Some(queue.into());
        self
    }

    /// As [`Call::idempotency_key`].
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }
}

/// Awaiting a call inside a task submits it to the task's app and waits for its value; the task's slot is free meanwhile.
impl<T: Task> IntoFuture for Call<T> {
    type Output = Result<T::Output>;
    type IntoFuture = BoxFuture<'static, Result<T::Output>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let context = TaskContext::current()?;
            context.engine().call(&context, self).await
        })
    }
}
