//! The export of one app: the providers of the SDK.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::{EnvResourceDetector, ResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use pynenc_core::config::Config;
use pynenc_engine::Result;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::config::OtelConfig;
use crate::environment::{Signal, is_on, variable};
use crate::extension::OtelExtension;
use crate::layer::export_by;
use crate::outage::OutageLog;
use crate::propagation::OtelPropagation;
use crate::recorder::OtelRecorder;

/// How long a flush may take when a runner has stopped or the app is dropped. Spans and metrics that the collector hasn't
/// accepted by then are lost.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The version of the semantic conventions that the spans follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

/// What the builder of an app takes to export its traces and metrics.
#[derive(Debug)]
pub struct Telemetry {
    /// Makes the spans, if traces are exported.
    pub propagation: Option<OtelPropagation>,
    /// Records the metrics if they are exported, reads the gauges, and flushes when a runner has stopped.
    pub extension: OtelExtension,
}

impl Telemetry {
    /// Starts the exports that the environment asks for. Without an endpoint variable there are none.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](pynenc_engine::Error::Config) for an invalid section `otel`. A variable that can't be used is
    /// logged instead, and turns its signal off.
    pub fn from_environment(config: &Config, app_id: &str) -> Result<Option<Self>> {
        let settings: OtelConfig = config.section()?;
        let resource = resource(app_id);
        let tracers = exporting(Signal::Traces, || tracer_provider(&resource));
        let meters = exporting(Signal::Metrics, || meter_provider(&resource));
        if tracers.is_none() && meters.is_none() {
            return Ok(None);
        }
        let scope = InstrumentationScope::builder("pynenc").with_version(env!("CARGO_PKG_VERSION"));
        let scope = scope.with_schema_url(SCHEMA).build();
        let propagation = tracers.as_ref().map(|provider| {
            let tracer = provider.tracer_with_scope(scope.clone());
            export_by(&tracer);
            OtelPropagation::new(tracer, settings.attempts)
        });
        let recorder = meters.as_ref().map(|provider| OtelRecorder::new(provider.meter_with_scope(scope), app_id));
        let providers = Providers { tracers, meters, is_stuck: AtomicBool::new(false) };
        Ok(Some(Self { propagation, extension: OtelExtension::new(Arc::new(providers), recorder) }))
    }
}

/// Makes a provider if its signal is on. An exporter that can't be made is logged.
fn exporting<P>(signal: Signal, make: impl FnOnce() -> Result<P, ExporterBuildError>) -> Option<P> {
    if !is_on(signal) {
        return None;
    }
    make().inspect_err(|error| tracing::warn!(%error, "OpenTelemetry exports no {}", signal.name())).ok()
}

fn tracer_provider(resource: &Resource) -> Result<SdkTracerProvider, ExporterBuildError> {
    let exporter = OutageLog::new(SpanExporter::builder().with_http().build()?);
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone()).build())
}

fn meter_provider(resource: &Resource) -> Result<SdkMeterProvider, ExporterBuildError> {
    let exporter = OutageLog::new(MetricExporter::builder().with_http().build()?);
    let reader = PeriodicReader::builder(exporter).build();
    Ok(SdkMeterProvider::builder().with_reader(reader).with_resource(resource.clone()).build())
}

/// The description of this process. The environment overrides the name of the app and the random id of the instance.
fn resource(app_id: &str) -> Resource {
    let detectors: [Box<dyn ResourceDetector>; 2] =
        [Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())];
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", app_id.to_owned()))
        .with_attribute(KeyValue::new("service.instance.id", Uuid::now_v7().to_string()))
        .with_detectors(&detectors)
        .with_attributes(variable("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name)))
        .build()
}

/// The providers of an app.
pub(crate) struct Providers {
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    /// Whether the last flush took too long.
    is_stuck: AtomicBool,
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").finish_non_exhaustive()
    }
}

impl Providers {
    /// Sends what the queues hold, within the [`FLUSH_TIMEOUT`].
    pub(crate) async fn flush(&self) {
        let (tracers, meters) = (self.tracers.clone(), self.meters.clone());
        let (done, is_done) = oneshot::channel();
        let is_started = on_thread(move || {
            // The exporters log their failures. A flush of a provider that was shut down has nothing to send.
            let _ = tracers.as_ref().map(SdkTracerProvider::force_flush);
            let _ = meters.as_ref().map(SdkMeterProvider::force_flush);
            let _ = done.send(());
        });
        let is_stuck = !is_started || tokio::time::timeout(FLUSH_TIMEOUT, is_done).await.is_err();
        self.is_stuck.store(is_stuck, Ordering::Relaxed);
        if is_stuck {
            tracing::warn!("the OpenTelemetry collector doesn't reply; the last spans and metrics are lost");
        }
    }
}

impl Drop for Providers {
    /// Shuts the providers down on another thread, because that may block. Waits for it, unless the collector is known to
    /// hang.
    fn drop(&mut self) {
        let (tracers, meters) = (self.tracers.take(), self.meters.take());
        let (done, is_done) = mpsc::channel();
        let is_started = on_thread(move || {
            let _ = tracers.map(|provider| provider.shutdown_with_timeout(FLUSH_TIMEOUT));
            let _ = meters.map(|provider| provider.shutdown_with_timeout(FLUSH_TIMEOUT));
            let _ = done.send(());
        });
        if is_started && !self.is_stuck.load(Ordering::Relaxed) {
            let _ = is_done.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Runs blocking work on a thread of its own. Returns whether the thread could be started.
fn on_thread(work: impl FnOnce() + Send + 'static) -> bool {
    let started = thread::Builder::new().name("pynenc-otel".to_owned()).spawn(work);
    started.inspect_err(|error| tracing::warn!(%error, "OpenTelemetry can't be flushed without a thread")).is_ok()
}
