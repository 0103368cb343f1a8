//! Conversions between the trace contexts of records and those of OpenTelemetry.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use pynenc_core::record::TraceContext;

/// The trace context for a record. A span that isn't part of a trace has none.
pub(crate) fn to_record(context: &SpanContext) -> Option<TraceContext> {
    if !context.is_valid() {
        return None;
    }
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
    let state = context.trace_state().header();
    Some(TraceContext {
        traceparent: format!("00-{trace}-{span}-{flags:02x}").into(),
        tracestate: (!state.is_empty()).then(|| state.into()),
    })
}

/// The span that a record's trace context names. A malformed one names none.
pub(crate) fn of_record(context: &TraceContext) -> Option<SpanContext> {
    context.check().ok()?;
    let mut parts = context.traceparent.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
    // Vendors may drop a malformed state, as W3C Trace Context says.
    let state = context.tracestate.as_deref().and_then(|state| TraceState::from_str(state).ok());
    Some(SpanContext::new(trace, span, flags, true, state.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_survives_the_record() {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext { traceparent: traceparent.into(), tracestate: Some("vendor=1".into()) };
        let span = of_record(&context).unwrap();
        assert!(span.is_sampled() && span.is_remote());
        assert_eq!(to_record(&span), Some(context));
    }

    #[test]
    fn a_malformed_context_names_no_span() {
        let of = |traceparent: &str| of_record(&TraceContext { traceparent: traceparent.into(), tracestate: None });
        assert_eq!(of("4bf92f"), None);
        assert_eq!(of("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
        assert_eq!(to_record(&SpanContext::empty_context()), None);
    }
}
