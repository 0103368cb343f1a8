//! `worker health`: asks a running worker for its health.

use pynenc_builder::PynencBuilder;
use pynenc_builder::backends::pynenc_metrics::{MetricsConfig, Probe, probe};
use pynenc_engine::Result;
use serde_json::json;

use crate::arguments::Health;
use crate::exit::Exit;
use crate::output::Output;

pub(super) async fn ask(mut builder: PynencBuilder, options: &Health, output: &mut Output) -> Result<Exit> {
    if let Some(address) = &options.metrics {
        builder = builder.argument("metrics.listen", address);
    }
    let config: MetricsConfig = builder.section()?;
    let problem = probe(&config, if options.live { Probe::Live } else { Probe::Ready }).await?;
    output.value(|| json!({"problem": problem}), || problem.clone().unwrap_or_else(|| "ok".to_owned()))?;
    Ok(if problem.is_none() { Exit::Done } else { Exit::Failed })
}
