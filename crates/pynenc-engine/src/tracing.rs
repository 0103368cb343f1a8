//! The engine's spans and log events, and the distributed trace that a call belongs to.
//!
//! | span or event | level | fields |
//! |---|---|---|
//! | event `submitted` | debug | `app`, `task`, `invocation`, `arguments` |
//! | span `attempt`, around all work on one claim, including the task function | info | `app`, `task`, `invocation`, `attempt`, `runner`, and `traceparent` if the call has one |
//! | event `started` | debug | `arguments` |
//! | event `succeeded`, `cancelled`, `given back` | debug | `reason` |
//! | event `will be retried` | info | `error`, `due` |
//! | event `failed` | warn | `error` |
//!
//! Events that a task function emits itself are inside the span, and so carry its fields.

use std::fmt::Write;

use pynenc_core::config::ArgumentPrinting;
use pynenc_core::record::{Argument, InvocationRecord, TraceContext};
use pynenc_core::{Status, StatusRecord};
use tracing::Span;

use crate::attempt::Attempt;
use crate::engine::Engine;
use crate::trace_propagation::Processing;

impl Engine {
    /// Formats a call's arguments as the logging settings say: `x=1, name="ana"`. Of a value in the argument cache only the
    /// size and the digest are shown.
    pub fn print_arguments(&self, record: &InvocationRecord) -> String {
        let logging = &self.settings().logging;
        self.format_arguments(record, logging.arguments, logging.argument_length)
    }

    /// Formats a call's arguments. `length` is the number of characters after which a value is truncated.
    pub fn format_arguments(&self, record: &InvocationRecord, how: ArgumentPrinting, length: usize) -> String {
        let mut text = String::new();
        for argument in &record.arguments {
            let separator = if text.is_empty() { "" } else { ", " };
            // Writing to a string can't fail.
            let _ = match how {
                ArgumentPrinting::Hidden => Ok(()),
                ArgumentPrinting::Names => write!(text, "{separator}{}", argument.name),
                ArgumentPrinting::Full => {
                    write!(text, "{separator}{}={}", argument.name, self.argument_text(record, argument))
                }
                ArgumentPrinting::Truncated => {
                    let value = truncated(&self.argument_text(record, argument), length);
                    write!(text, "{separator}{}={value}", argument.name)
                }
            };
        }
        text
    }

    fn argument_text(&self, record: &InvocationRecord, argument: &Argument) -> String {
        self.shown(&argument.value, &record.serializer).to_string()
    }

    pub(crate) fn log_submitted(&self, record: &InvocationRecord) {
        tracing::debug!(
            app = %self.settings().app_id,
            task = %record.task,
            invocation = %record.id,
            arguments = %self.print_arguments(record),
            "submitted"
        );
    }

    /// Makes the span of an attempt, as part of its call's distributed trace.
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

    /// Starts the span of an attempt in the program's distributed tracing, if attempts have such spans.
    pub(crate) fn start_trace(&self, attempt: &Attempt) {
        let Some(propagation) = &self.settings().propagation else { return };
        let processing = Processing {
            app: &self.settings().app_id,
            task: &attempt.tracked.task,
            queue: &attempt.tracked.queue,
            invocation: attempt.id(),
            attempt: attempt.number(),
            runner: attempt.runner,
            submitted: attempt.record.trace.as_ref(),
        };
        if let Some(trace) = propagation.process(&processing) {
            // An attempt runs once, so it has no trace yet.
            let _ = attempt.trace.set(trace);
        }
    }

    pub(crate) fn log_started(&self, attempt: &Attempt) {
        tracing::debug!(arguments = %self.print_arguments(&attempt.record), "started");
    }

    /// The trace of a new call: the one that the call sets, or the current one of the program, or that of the calling
    /// invocation.
    pub(crate) fn trace(&self, chosen: Option<&TraceContext>, caller: Option<&TraceContext>) -> Option<TraceContext> {
        let supplied = || self.settings().propagation.as_ref().and_then(|propagation| propagation.current());
        let inherited = || caller.cloned();
        chosen.cloned().or_else(supplied).or_else(inherited)
    }
}

/// Logs the settlement of an attempt, inside its span.
pub(crate) fn log_settled(record: &StatusRecord, detail: Option<&str>) {
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
    fn a_value_is_truncated_between_characters() {
        assert_eq!(truncated("äöü", 2), "äö…");
        assert_eq!(truncated("äöü", 3), "äöü");
        assert_eq!(truncated("äöü", 0), "…");
    }
}
