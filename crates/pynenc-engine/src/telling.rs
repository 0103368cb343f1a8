//! What the engine tells of an invocation's life: spans and events of `tracing`, and the trace that calls belong to.
//!
//! | what | level | fields |
//! |---|---|---|
//! | event `submitted` | debug | `app`, `task`, `invocation`, `arguments` |
//! | span `attempt`, around all that a runner does for one claim, and around the body | info | `app`, `task`, `invocation`, `attempt`, `runner`, and `traceparent` if the call has one |
//! | event `started` | debug | `arguments` |
//! | event `succeeded`, `cancelled`, `given back` | debug | `reason` |
//! | event `will be retried` | info | `error`, `due` |
//! | event `failed` | warn | `error` |
//!
//! What a body tells itself is inside the span, and so carries its fields.

use std::fmt::{self, Write};

use pynenc_core::config::ArgumentPrinting;
use pynenc_core::record::{Argument, InvocationRecord, TraceContext};
use pynenc_core::{Status, StatusRecord};
use tracing::Span;

use crate::context::TaskContext;
use crate::engine::Engine;
use crate::worker::Attempt;

/// How an app takes part in the distributed tracing of its program: a few lines over OpenTelemetry, or over anything
/// else that has W3C Trace Context.
pub trait TracePropagation: fmt::Debug + Send + Sync + 'static {
    /// The trace of the code that makes a call, if it is in one.
    fn current(&self) -> Option<TraceContext>;

    /// Makes the span of an attempt a part of the trace that its call was made in.
    fn attach(&self, span: &Span, context: &TraceContext);
}

impl Engine {
    /// What may be told of a call's arguments, as the settings say: `x=1, name="ana"`. Content that isn't in the call is
    /// told by its size.
    pub fn print_arguments(&self, record: &InvocationRecord) -> String {
        let logging = &self.settings().logging;
        self.printed(record, logging.arguments, logging.argument_length)
    }

    /// A call's arguments in a way that the caller chooses; `length` counts where they are truncated.
    pub fn printed(&self, record: &InvocationRecord, how: ArgumentPrinting, length: usize) -> String {
        let mut text = String::new();
        for argument in &record.arguments {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string can't fail.
            let _ = match how {
                ArgumentPrinting::Hidden => Ok(()),
                ArgumentPrinting::Names => write!(text, "{separator}{}", argument.name),
                ArgumentPrinting::Full => write!(text, "{separator}{}={}", argument.name, self.told(record, argument)),
                ArgumentPrinting::Truncated => {
                    let value = truncated(&self.told(record, argument), length);
                    write!(text, "{separator}{}={value}", argument.name)
                }
            };
        }
        text
    }

    fn told(&self, record: &InvocationRecord, argument: &Argument) -> String {
        self.shown(&argument.value, &record.serializer).to_string()
    }

    pub(crate) fn tell_submitted(&self, record: &InvocationRecord) {
        tracing::debug!(
            app = %self.settings().app_id,
            task = %record.task,
            invocation = %record.id,
            arguments = %self.print_arguments(record),
            "submitted"
        );
    }

    /// The span of an attempt, which is part of its call's trace.
    pub(crate) fn span_of(&self, attempt: &Attempt) -> Span {
        let span = tracing::info_span!(
            "attempt",
            app = %self.settings().app_id,
            task = %attempt.tracked.task,
            invocation = %attempt.id(),
            attempt = attempt.number(),
            runner = %attempt.runner,
            traceparent = attempt.record.trace.as_ref().map(|trace| &*trace.traceparent),
        );
        if let (Some(propagation), Some(trace)) = (&self.settings().propagation, &attempt.record.trace) {
            propagation.attach(&span, trace);
        }
        span
    }

    pub(crate) fn tell_started(&self, attempt: &Attempt) {
        tracing::debug!(arguments = %self.print_arguments(&attempt.record), "started");
    }

    /// The trace of a new call: the one that was chosen for it, or the one that its caller's code is in, or that of the
    /// invocation that calls.
    pub(crate) fn trace(&self, chosen: Option<&TraceContext>, caller: Option<&TaskContext>) -> Option<TraceContext> {
        let supplied = || self.settings().propagation.as_ref().and_then(|propagation| propagation.current());
        let inherited = || caller.and_then(TaskContext::trace).cloned();
        chosen.cloned().or_else(supplied).or_else(inherited)
    }
}

/// Tells what an attempt has come to, inside its span.
pub(crate) fn tell_ended(record: &StatusRecord, detail: Option<&str>) {
    let (reason, error) = (record.reason, detail.unwrap_or_default());
    match record.status {
        Status::Success => tracing::debug!(%reason, "succeeded"),
        Status::Failed => tracing::warn!(%reason, error, "failed"),
        Status::Retry => {
            let due = record.due.map(tracing::field::display);
            tracing::info!(%reason, error, due, "will be retried");
        }
        Status::Cancelled => tracing::debug!(%reason, "cancelled"),
        status => tracing::debug!(%reason, %status, "given back"),
    }
}

fn truncated(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cut_between_characters() {
        assert_eq!(truncated("äöü", 2), "äö…");
        assert_eq!(truncated("äöü", 3), "äöü");
        assert_eq!(truncated("äöü", 0), "…");
    }
}
