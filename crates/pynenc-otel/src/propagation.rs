//! The spans of submits and attempts, by the messaging conventions of OpenTelemetry.

use std::borrow::Cow;

use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use pynenc_core::record::TraceContext;
use pynenc_core::{InvocationId, QueueName};
use pynenc_engine::{AttemptEnd, AttemptTrace, Error, Processing, SendTrace, Sending, TracePropagation};

use crate::config::AttemptTraces;
use crate::context::{of_record, to_record};

/// The maximum length of an error's text in a span, in bytes.
const MAX_DESCRIPTION: usize = 1024;

/// Makes a span for each submit and each attempt.
#[derive(Debug)]
pub struct OtelPropagation {
    tracer: SdkTracer,
    attempts: AttemptTraces,
}

impl OtelPropagation {
    pub(crate) fn new(tracer: SdkTracer, attempts: AttemptTraces) -> Self {
        Self { tracer, attempts }
    }

    fn start(&self, operation: &'static str, queue: Option<&str>, span: NewSpan<'_>) -> Option<(Span, TraceContext)> {
        let NewSpan { kind, parent, link, mut attributes } = span;
        let name: Cow<'static, str> = queue.map_or(operation.into(), |queue| format!("{operation} {queue}").into());
        attributes.extend([
            KeyValue::new("messaging.system", "pynenc"),
            KeyValue::new("messaging.operation.name", operation),
            KeyValue::new("messaging.operation.type", operation),
        ]);
        attributes.extend(queue.map(|queue| KeyValue::new("messaging.destination.name", queue.to_owned())));
        let links = link.map(|context| Link::new(context, Vec::new(), 0)).into_iter().collect();
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_links(links).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, parent);
        // Without a context the SDK is shut down.
        let context = to_record(span.span_context())?;
        Some((span, context))
    }
}

struct NewSpan<'a> {
    kind: SpanKind,
    parent: &'a Context,
    link: Option<SpanContext>,
    attributes: Vec<KeyValue>,
}

impl TracePropagation for OtelPropagation {
    fn current(&self) -> Option<TraceContext> {
        Context::map_current(|context| to_record(context.span().span_context()))
    }

    /// Does nothing: [`process`](Self::process) makes the span.
    fn attach(&self, _span: &tracing::Span, _context: &TraceContext) {}

    fn send(&self, sending: &Sending<'_>) -> Option<Box<dyn SendTrace>> {
        let mut parent = Context::current();
        if let (false, Some(caller)) = (parent.has_active_span(), sending.caller.and_then(of_record)) {
            parent = parent.with_remote_span_context(caller);
        }
        let mut attributes = vec![KeyValue::new("pynenc.app", sending.app.to_owned())];
        attributes.extend(sending.task.map(|task| KeyValue::new("pynenc.task", task.as_str().to_owned())));
        let count = sending.batch.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        attributes.extend(count.map(|count| KeyValue::new("messaging.batch.message_count", count)));
        // A span whose context isn't in the message isn't a producer, by the conventions.
        let kind = if sending.chosen.is_some() { SpanKind::Client } else { SpanKind::Producer };
        let link = sending.chosen.and_then(of_record);
        let queue = sending.queue.map(QueueName::as_str);
        let (span, context) = self.start("send", queue, NewSpan { kind, parent: &parent, link, attributes })?;
        Some(Box::new(SubmitSpan { span, context }))
    }

    fn process(&self, processing: &Processing<'_>) -> Option<Box<dyn AttemptTrace>> {
        let Processing { app, task, queue, invocation, attempt, runner, submitted } = processing;
        let submitted = submitted.and_then(of_record);
        let (parent, link) = match (self.attempts, submitted) {
            (AttemptTraces::Child, Some(submitted)) => (Context::new().with_remote_span_context(submitted), None),
            (_, submitted) => (Context::new(), submitted),
        };
        let mut attributes = of_invocation(*invocation);
        attributes.extend([
            KeyValue::new("messaging.client.id", runner.to_string()),
            KeyValue::new("pynenc.app", (*app).to_owned()),
            KeyValue::new("pynenc.task", task.as_str().to_owned()),
            KeyValue::new("pynenc.attempt", i64::from(*attempt)),
        ]);
        let new = NewSpan { kind: SpanKind::Consumer, parent: &parent, link, attributes };
        let (span, trace) = self.start("process", Some(queue.as_str()), new)?;
        Some(Box::new(AttemptSpan { context: Context::new().with_span(span), trace }))
    }
}

fn of_invocation(id: InvocationId) -> Vec<KeyValue> {
    let id = id.to_string();
    vec![KeyValue::new("messaging.message.id", id.clone()), KeyValue::new("pynenc.invocation", id)]
}

/// The span of a submit.
#[derive(Debug)]
struct SubmitSpan {
    span: Span,
    context: TraceContext,
}

impl SendTrace for SubmitSpan {
    fn context(&self) -> &TraceContext {
        &self.context
    }

    fn end(mut self: Box<Self>, result: Result<Option<InvocationId>, &Error>) {
        match result {
            Ok(id) => self.span.set_attributes(id.map(of_invocation).unwrap_or_default()),
            Err(error) => {
                self.span.set_attribute(KeyValue::new("error.type", error_type(error)));
                self.span.set_status(Status::error(description(&error.to_string())));
            }
        }
        self.span.end();
    }
}

/// The span of an attempt.
#[derive(Debug)]
struct AttemptSpan {
    /// A context in which the span is the current one.
    context: Context,
    trace: TraceContext,
}

impl AttemptTrace for AttemptSpan {
    fn context(&self) -> &TraceContext {
        &self.trace
    }

    fn in_scope(&self, work: &mut dyn FnMut()) {
        let _current = self.context.clone().attach();
        work();
    }

    fn end(&self, end: &AttemptEnd<'_>) {
        let span = self.context.span();
        let (status, error) = match end {
            AttemptEnd::Settled(status) => (Some(status), None),
            AttemptEnd::Failed { status, kind, message } => (Some(status), Some(((*kind).to_owned(), *message))),
            AttemptEnd::Lost => {
                (None, Some(("claim_lost".to_owned(), "the attempt has lost its claim or was stopped")))
            }
        };
        if let Some(status) = status {
            span.set_attribute(KeyValue::new("pynenc.status", status.as_str()));
        }
        if let Some((kind, message)) = error {
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(description(message)));
        }
        span.end();
    }
}

/// The kind of a submit's error. The conventions call a kind without a name `_OTHER`.
fn error_type(error: &Error) -> &'static str {
    match error {
        Error::Unavailable { source, .. } => source.kind().as_str(),
        Error::Config(_) => "config",
        Error::Invalid(_) => "invalid",
        Error::IdempotencyConflict { .. } => "idempotency_conflict",
        Error::ArgumentsDiffer { .. } => "arguments_differ",
        _ => "_OTHER",
    }
}

/// The text of an error, cut off at the maximum length.
fn description(message: &str) -> String {
    let mut end = message.len().min(MAX_DESCRIPTION);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_off_between_characters() {
        let long = "ä".repeat(MAX_DESCRIPTION);
        assert_eq!(description(&long).len(), MAX_DESCRIPTION);
        assert_eq!(description(&format!("a{long}")).len(), MAX_DESCRIPTION - 1);
        assert_eq!(description("short"), "short");
    }
}
