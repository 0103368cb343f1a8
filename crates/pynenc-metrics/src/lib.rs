//! The metrics of an app in the text format of Prometheus, and the health of its runners, for the tools of operators.
//!
//! [`MetricsExtension`] records the metrics of the engine and renders them. If the setting `metrics.listen` has an address,
//! it also answers `GET /metrics`, `/livez` and `/readyz` there while a runner of the app works in this process.
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | the section `metrics` |
//! | `prometheus.rs` | recording and rendering |
//! | `listener.rs` | the HTTP listener |
//! | `probe.rs` | the client of the listener, for probes that execute a command |
//! | `extension.rs` | the connection to the engine |

mod config;
mod extension;
mod listener;
mod probe;
mod prometheus;

pub use config::MetricsConfig;
pub use extension::{MetricsExt, MetricsExtension};
pub use probe::{Probe, probe};
pub use prometheus::CONTENT_TYPE;
