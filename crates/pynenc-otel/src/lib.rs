//! OpenTelemetry for pynenc: the traces and metrics of an app, exported over OTLP/HTTP as the standard `OTEL_*` variables
//! say.
//!
//! The builder of an app turns this on by itself if an endpoint variable is set. See `docs/src/opentelemetry.md` for the
//! variables, the spans and the metrics.
//!
//! | file | holds |
//! |---|---|
//! | `environment.rs` | whether traces and metrics are exported, by the environment |
//! | `telemetry.rs`, `providers.rs` | the export of one app, and its flush within a bound |
//! | `outage.rs` | exporters that report an outage of the collector once |
//! | `propagation.rs`, `context.rs` | the spans of submits and attempts; the conversion of trace contexts |
//! | `recorder.rs`, `gauges.rs` | the recorder for the engine's metrics, and its gauges |
//! | `extension.rs` | reads the gauges beside a runner, and flushes when it has stopped |
//! | `layer.rs` | a `tracing` layer for the spans that task functions make |

mod config;
mod context;
mod environment;
mod extension;
mod gauges;
mod layer;
mod outage;
mod propagation;
mod providers;
mod recorder;
mod telemetry;

pub use config::{AttemptTraces, OtelConfig};
pub use extension::OtelExtension;
pub use layer::layer;
pub use propagation::OtelPropagation;
pub use providers::FLUSH_TIMEOUT;
pub use telemetry::Telemetry;
