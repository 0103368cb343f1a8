//! Recording for Prometheus, and the text that a scrape gets.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use pynenc_core::{Error, Result};
use pynenc_engine::metrics::{Kind, MetricsRecorder, list};
use pynenc_engine::{AppGauges, Engine};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The content type of the rendered text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How long the gauges of the whole app are kept before they are read from the stores again.
const CACHE: Duration = Duration::from_secs(2);
/// How long a reading of the stores may take. After that the text has no gauges of the app.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the recorded values of histograms are counted into their buckets, also while nobody reads them. Until then
/// each value takes memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Records the metrics of one app and renders them.
pub(crate) struct Prometheus {
    app_id: Arc<str>,
    recorder: MetricsRecorder,
    handle: Arc<PrometheusHandle>,
    app: Mutex<Option<AppReading>>,
}

/// The last reading of the gauges of the whole app.
struct AppReading {
    gauges: AppGauges,
    text: String,
    at: Instant,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prometheus").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

impl Prometheus {
    pub(crate) fn new(app_id: &str) -> Result<Self> {
        let recorder = new_recorder(app_id)?;
        let handle = Arc::new(recorder.handle());
        let upkeep = Arc::downgrade(&handle);
        std::thread::Builder::new()
            .name("pynenc-metrics".to_owned())
            .spawn(move || run_upkeep(&upkeep))
            .map_err(|error| Error::unavailable("can't start the thread for metrics").caused_by(error))?;
        Ok(Self { app_id: app_id.into(), recorder: MetricsRecorder::new(recorder), handle, app: Mutex::default() })
    }

    pub(crate) fn recorder(&self) -> MetricsRecorder {
        self.recorder.clone()
    }

    /// Renders all metrics.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point.
    pub(crate) async fn render(&self, engine: &Engine) -> String {
        engine.read_process_gauges(&self.recorder);
        let mut text = self.handle.render();
        if !engine.exports_app_gauges() {
            return text;
        }
        match timeout(READ_TIMEOUT, self.read_app(engine)).await {
            Ok(Ok(gauges)) => text.push_str(&gauges),
            Ok(Err(error)) => tracing::warn!(%error, "the gauges of the app can't be read from the stores"),
            Err(_) => tracing::warn!("the gauges of the app can't be read: the stores don't reply in time"),
        }
        text
    }

    /// Reads the gauges of the app, unless the last reading is recent. Each reading has a recorder of its own, so that the
    /// series of queues that are gone disappear.
    async fn read_app(&self, engine: &Engine) -> pynenc_engine::Result<String> {
        let mut last = self.app.lock().await;
        if let Some(reading) = last.as_ref().filter(|reading| reading.at.elapsed() < CACHE) {
            return Ok(reading.text.clone());
        }
        let recorder = new_recorder(&self.app_id)?;
        let handle = recorder.handle();
        let mut gauges = last.take().map(|reading| reading.gauges).unwrap_or_default();
        gauges.read(engine, &MetricsRecorder::new(recorder)).await?;
        let text = handle.render();
        *last = Some(AppReading { gauges, text: text.clone(), at: Instant::now() });
        Ok(text)
    }
}

/// Makes a recorder with the buckets of the list of metrics. All series have the label `app`.
fn new_recorder(app_id: &str) -> Result<PrometheusRecorder> {
    let failed = |error| Error::config("the recorder of metrics can't be built").caused_by(error);
    // For histograms that tasks record themselves.
    let mut builder =
        PrometheusBuilder::new().add_global_label("app", app_id).set_buckets(list::SECONDS).map_err(failed)?;
    for metric in list::ALL {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds).map_err(failed)?;
        }
    }
    Ok(builder.build_recorder())
}

/// Counts the values of histograms at intervals, until the recorder is dropped.
fn run_upkeep(recorded: &Weak<PrometheusHandle>) {
    while let Some(recorded) = recorded.upgrade() {
        recorded.run_upkeep();
        drop(recorded);
        std::thread::sleep(UPKEEP_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_its_bucket_and_in_all_greater_ones() {
        let recorder = new_recorder("shop").unwrap();
        let handle = recorder.handle();
        let duration = MetricsRecorder::new(recorder).histogram(&list::STORE_DURATION, &["submit"]);
        [0.001, 0.002, 7200.0].into_iter().for_each(|seconds| duration.record(seconds));
        let text = handle.render();
        let name = "pynenc_store_operation_duration_seconds";
        for (le, count) in [("0.001", 1), ("0.0025", 2), ("3600", 2), ("+Inf", 3)] {
            let line = format!("{name}_bucket{{app=\"shop\",operation=\"submit\",le=\"{le}\"}} {count}\n");
            assert!(text.contains(&line), "{text}");
        }
    }
}
