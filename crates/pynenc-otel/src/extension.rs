//! Reads the gauges for the exports beside a runner, and flushes when the runner has stopped.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::RunnerId;
use pynenc_engine::metrics::MetricsRecorder;
use pynenc_engine::stop::Stop;
use pynenc_engine::{AppGauges, Engine, Extension, Result};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::environment::metric_interval;
use crate::providers::Providers;
use crate::recorder::OtelRecorder;

/// How long a reading of the stores may take. After that no gauges of the app are exported.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The extension of OpenTelemetry.
#[derive(Debug)]
pub struct OtelExtension {
    providers: Arc<Providers>,
    recorder: Option<OtelRecorder>,
    /// Locked by the one runner of this process that reads the gauges.
    reader: Mutex<AppGauges>,
}

impl OtelExtension {
    pub(crate) fn new(providers: Arc<Providers>, recorder: Option<OtelRecorder>) -> Self {
        Self { providers, recorder, reader: Mutex::default() }
    }
}

#[async_trait]
impl Extension for OtelExtension {
    fn recorder(&self) -> Option<MetricsRecorder> {
        self.recorder.clone().map(MetricsRecorder::new)
    }

    /// Reads the gauges once in each interval of the exports.
    async fn serve(&self, engine: Engine, _runner: RunnerId, mut stop: Stop) -> Result<()> {
        let Some(recorder) = &self.recorder else { return Ok(()) };
        let mut gauges = tokio::select! {
            gauges = self.reader.lock() => gauges,
            () = stop.draining() => return Ok(()),
        };
        let process = MetricsRecorder::new(recorder.clone());
        while !stop.is_draining() {
            engine.read_process_gauges(&process);
            read_app(&engine, recorder, &mut gauges).await;
            tokio::select! {
                () = tokio::time::sleep(metric_interval()) => {}
                () = stop.draining() => {}
            }
        }
        engine.read_process_gauges(&process);
        recorder.hide_app();
        Ok(())
    }

    async fn flush(&self) {
        self.providers.flush().await;
    }
}

/// Reads the gauges of the whole app, if this process is the one that exports them.
async fn read_app(engine: &Engine, recorder: &OtelRecorder, gauges: &mut AppGauges) {
    if !engine.exports_app_gauges() {
        return recorder.hide_app();
    }
    let reading = recorder.reading_app();
    match timeout(READ_TIMEOUT, gauges.read(engine, &MetricsRecorder::new(reading.clone()))).await {
        Ok(Ok(())) => recorder.show_app(&reading),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the gauges of the app can't be read from the stores");
            recorder.hide_app();
        }
        Err(_) => {
            tracing::warn!("the gauges of the app can't be read: the stores don't reply in time");
            recorder.hide_app();
        }
    }
}
