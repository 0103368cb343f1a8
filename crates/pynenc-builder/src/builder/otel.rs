//! The feature `otel`: connects an app with the exports that the environment asks for.

use std::sync::Arc;

use pynenc_core::config::Config;
use pynenc_engine::{Extension, Result, Settings, TracePropagation};
use pynenc_otel::Telemetry;

/// Starts the exports, and connects them with the engine. The program's own trace propagation replaces the spans of
/// OpenTelemetry.
pub(super) fn connect(
    config: &Config,
    settings: &mut Settings,
    extensions: &mut Vec<Arc<dyn Extension>>,
) -> Result<()> {
    let Some(telemetry) = Telemetry::from_environment(config, &settings.app_id)? else { return Ok(()) };
    let Telemetry { propagation, extension } = telemetry;
    let propagation = propagation.map(|propagation| Arc::new(propagation) as Arc<dyn TracePropagation>);
    settings.propagation = settings.propagation.take().or(propagation);
    extensions.push(Arc::new(extension));
    Ok(())
}
