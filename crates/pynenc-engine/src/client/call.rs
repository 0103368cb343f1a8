//! A call: a task with its arguments, not yet submitted.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pynenc_core::packed::packed_struct;
use pynenc_core::record::{Argument, Payload, Priority, TraceContext};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::status::Due;
use pynenc_core::{QueueName, Serializer, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::task::{ArgumentIdentity, ArgumentSink, Arguments, EncodedArgument, Task};

/// The options of one call. They take precedence over the task's options.
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

packed_struct!(CallOptions { due, priority, queue, idempotency_key, disable_cache_args, timeout, max_retries, trace });

impl CallOptions {
    pub(crate) fn check(&self) -> Result<()> {
        self.trace.as_ref().map_or(Ok(()), TraceContext::check)?;
        match self.priority {
            Some(priority) if priority > Priority::HIGHEST => Err(Error::Invalid(
                pynenc_core::Error::invalid("the priority is greater than the highest one")
                    .with("priority", priority)
                    .with("highest", Priority::HIGHEST),
            )),
            _ => Ok(()),
        }
    }
}

/// A task with its arguments and options. Nothing happens until the call is submitted, or awaited inside a task.
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
    /// Creates a call with these arguments. `#[task]` makes a function of the task's name that does it.
    pub fn new(arguments: T::Arguments) -> Self {
        Self { arguments, options: CallOptions::default() }
    }

    /// The arguments.
    pub fn arguments(&self) -> &T::Arguments {
        &self.arguments
    }

    /// Delays the call: it doesn't run before `delay` has passed since the submit, by the store's clock.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.due = Some(Due::In(delay));
        self
    }

    /// Sets the time before which the call doesn't run, by the store's clock.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.options.due = Some(Due::At(Timestamp::from(time)));
        self
    }

    /// Sets the priority, 0 to 9. Within a queue, a runner takes invocations of a higher priority first. A submit with
    /// a priority above 9 fails with [`Error::Invalid`].
    pub fn priority(mut self, priority: u8) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Sets the queue.
    pub fn queue(mut self, queue: &str) -> Self {
        self.options.queue = Some(queue.into());
        self
    }

    /// Sets the idempotency key, which belongs to the task. Until the retention of the invocation is over, submitting a
    /// call of the task with the same key returns the same invocation, even if it has finished. With other arguments,
    /// the submit fails with [`Error::IdempotencyConflict`].
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.options.idempotency_key = Some(key.into());
        self
    }

    /// Names the arguments that are stored with the call and never in the argument cache, however large they are. `*`
    /// stands for all arguments.
    pub fn disable_cache_args<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.options.disable_cache_args = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the time limit of each attempt.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Sets the distributed trace of the call as a `traceparent` of W3C Trace Context. By default it is that of the caller.
    pub fn traceparent(mut self, traceparent: &str) -> Self {
        self.options.trace = Some(TraceContext { traceparent: traceparent.into(), tracestate: None });
        self
    }

    /// Sets how many times the invocation is retried after a failed attempt. Running again after a worker was lost or
    /// has shut down uses up no retry.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options.max_retries = Some(retries);
        self
    }
}

impl<T: Task> Call<T> {
    /// Encodes the arguments as JSON, for any app. [`Engine::encode`](crate::Engine::encode) encodes a call for one app,
    /// with its serializer and its argument cache.
    ///
    /// # Errors
    ///
    /// An argument has no JSON form, or one that can't be decoded; the priority is greater than the highest.
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

/// A call whose arguments are encoded. It can be stored or sent, and submitted by every app that has its task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncodedCall {
    pub(crate) task: TaskId,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) serializer: Cow<'static, str>,
    pub(crate) identity: Option<ArgumentIdentity>,
    pub(crate) options: CallOptions,
}

packed_struct!(EncodedCall { task, arguments, serializer, identity, options });

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

    /// Sets the priority as [`Call::priority`], except that a value above 9 becomes 9.
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

    /// As [`Call::at`].
    #[must_use]
    pub fn at(mut self, time: SystemTime) -> Self {
        self.options.due = Some(Due::At(Timestamp::from(time)));
        self
    }

    /// As [`Call::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// As [`Call::max_retries`].
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.options.max_retries = Some(retries);
        self
    }

    /// As [`Call::traceparent`].
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if it doesn't have the format of W3C Trace Context.
    pub fn traceparent(mut self, traceparent: &str) -> Result<Self> {
        let trace = TraceContext { traceparent: traceparent.into(), tracestate: None };
        trace.check()?;
        self.options.trace = Some(trace);
        Ok(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing test panics")]
mod tests {
    use pynenc_core::Digest;
    use pynenc_core::packed::{pack, unpack};

    use super::*;

    #[test]
    fn an_encoded_call_survives_storing() {
        let options = CallOptions {
            due: Some(Due::In(Duration::from_millis(3))),
            priority: Some(9),
            queue: Some("gpu".into()),
            idempotency_key: Some("order-1".to_owned()),
            disable_cache_args: vec!["a".to_owned()],
            timeout: Some(Duration::from_secs(1)),
            max_retries: Some(0),
            trace: Some(TraceContext { traceparent: "00".into(), tracestate: None }),
        };
        for options in [options, CallOptions::default()] {
            let call = EncodedCall {
                task: "app::pay".into(),
                arguments: vec![Argument { name: "a".into(), value: Payload::Inline(vec![1, 2].into()) }],
                serializer: "JsonSerializer".into(),
                identity: Some(ArgumentIdentity::of_digests(vec![("a".into(), Digest::of(b"1"))])),
                options,
            };
            assert_eq!(unpack::<EncodedCall>(&pack(&call)).unwrap(), call);
        }
    }
}
