//! The result of a benchmark.

/// One measured number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measurement {
    /// The name, empty for a benchmark's only measurement.
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) target: f64,
}
