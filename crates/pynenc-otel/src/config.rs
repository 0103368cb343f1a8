//! The settings of OpenTelemetry that no standard variable covers: the section `otel`.

use pynenc_core::config::Section;
use serde::{Deserialize, Serialize};

/// The section `otel`. All other settings are standard `OTEL_*` variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtelConfig {
    /// How the span of an attempt is connected with the span of its submit.
    pub attempts: AttemptTraces,
}

/// How the span of an attempt is connected with the span of its submit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttemptTraces {
    /// Each attempt starts a trace of its own, with a link to the span of the submit. The messaging conventions recommend
    /// this.
    #[default]
    Link,
    /// An attempt is a child of the span of the submit, in the same trace.
    Child,
}

impl Section for OtelConfig {
    const NAME: &'static str = "otel";
}
