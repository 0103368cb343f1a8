//! OpenTelemetry: traces and metrics over OTLP, as the standard `OTEL_*` variables say.
//!
//! An app exports without code if an endpoint variable is set. A program with a `tracing` subscriber of its own adds
//! [`layer`], to export the spans of its task functions too.

pub use pynenc_otel::{AttemptTraces, FLUSH_TIMEOUT, OtelConfig, layer};
