//! The connection of an app with the distributed tracing of its program.

use std::fmt;

use pynenc_core::record::TraceContext;
use pynenc_core::{InvocationId, QueueName, RunnerId, Status, TaskId};
use tracing::Span;

use crate::error::Error;

/// Connects an app to the distributed tracing of its program: over OpenTelemetry, or over another library for W3C Trace
/// Context.
///
/// A program that only passes traces on implements [`current`](Self::current) and [`attach`](Self::attach). A program that
/// makes spans of its own for submits and attempts implements [`send`](Self::send) and [`process`](Self::process) too.
pub trait TracePropagation: fmt::Debug + Send + Sync + 'static {
    /// The trace of the code that makes a call, if there is one.
    fn current(&self) -> Option<TraceContext>;

    /// Makes the span of an attempt part of the trace that its call was made in.
    fn attach(&self, span: &Span, context: &TraceContext);

    /// Starts a span for a submit, if submits have spans.
    fn send(&self, _sending: &Sending<'_>) -> Option<Box<dyn SendTrace>> {
        None
    }

    /// Starts a span for an attempt, if attempts have spans.
    fn process(&self, _processing: &Processing<'_>) -> Option<Box<dyn AttemptTrace>> {
        None
    }
}

/// A submit of one or more calls.
#[derive(Debug, Clone)]
pub struct Sending<'a> {
    /// The name of the app.
    pub app: &'a str,
    /// The task, if all calls are of one.
    pub task: Option<&'a TaskId>,
    /// The queue, if all calls go to one.
    pub queue: Option<&'a QueueName>,
    /// The number of calls, unless it is a submit of a single call.
    pub batch: Option<usize>,
    /// The trace context that the caller has set for a single call. The call keeps it.
    pub chosen: Option<&'a TraceContext>,
    /// The trace of the task function that submits, for code in which no trace is current.
    pub caller: Option<&'a TraceContext>,
}

/// The span of a submit. A dropped one ends.
pub trait SendTrace: fmt::Debug + Send + Sync {
    /// The trace context for the records of the calls.
    fn context(&self) -> &TraceContext;

    /// Ends the span with the result of the submit: the invocation of a single call, or the error.
    fn end(self: Box<Self>, result: Result<Option<InvocationId>, &Error>);
}

/// An attempt that starts.
#[derive(Debug, Clone)]
pub struct Processing<'a> {
    /// The name of the app.
    pub app: &'a str,
    /// The task.
    pub task: &'a TaskId,
    /// The queue.
    pub queue: &'a QueueName,
    /// The invocation.
    pub invocation: InvocationId,
    /// The number of the attempt: 1 for the first.
    pub attempt: u32,
    /// The runner.
    pub runner: RunnerId,
    /// The trace context of the submit.
    pub submitted: Option<&'a TraceContext>,
}

/// The span of an attempt.
pub trait AttemptTrace: fmt::Debug + Send + Sync {
    /// The trace context of the span.
    fn context(&self) -> &TraceContext;

    /// Does a piece of the attempt's work, with the span as the current one.
    fn in_scope(&self, work: &mut dyn FnMut());

    /// Ends the span. Later calls have no effect.
    fn end(&self, end: &AttemptEnd<'_>);
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy)]
pub enum AttemptEnd<'a> {
    /// The attempt was settled without an error.
    Settled(Status),
    /// The attempt was settled with an error.
    Failed {
        /// The status after the attempt: `failed` or `retry`.
        status: Status,
        /// The kind of the error, of which there are few.
        kind: &'a str,
        /// The text of the error.
        message: &'a str,
    },
    /// Another runner has taken over the invocation, or the attempt was dropped.
    Lost,
}

/// The span of a submit, or nothing if submits have no spans.
#[derive(Debug)]
pub(crate) struct SendSpan(Option<Box<dyn SendTrace>>);

impl SendSpan {
    pub(crate) const NONE: Self = Self(None);

    pub(crate) fn start(propagation: &dyn TracePropagation, sending: &Sending<'_>) -> Self {
        Self(propagation.send(sending))
    }

    /// Puts the span's trace context into a call that has none.
    pub(crate) fn carry(&self, trace: &mut Option<TraceContext>) {
        if let (Some(span), None) = (&self.0, &trace) {
            *trace = Some(span.context().clone());
        }
    }

    pub(crate) fn end(self, result: Result<Option<InvocationId>, &Error>) {
        if let Some(span) = self.0 {
            span.end(result);
        }
    }
}
