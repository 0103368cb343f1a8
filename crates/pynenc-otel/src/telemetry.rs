//! The export of one app: what the builder takes.

use std::sync::Arc;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use percent_encoding::percent_decode_str;
use pynenc_core::config::Config;
use pynenc_engine::Result;
use uuid::Uuid;

use crate::config::OtelConfig;
use crate::environment::{Signal, is_on, variable};
use crate::extension::OtelExtension;
use crate::layer::export_by;
use crate::outage::OutageLog;
use crate::propagation::OtelPropagation;
use crate::providers::Providers;
use crate::recorder::OtelRecorder;

/// The version of the semantic conventions that the spans follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The exports of an app: the parts that its builder connects with the engine.
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
        let providers = Providers::new(tracers, meters);
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
    Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", app_id.to_owned()))
        .with_attribute(KeyValue::new("service.instance.id", Uuid::now_v7().to_string()))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(variable("OTEL_RESOURCE_ATTRIBUTES").iter().flat_map(|text| resource_attributes(text)))
        .with_attributes(variable("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name)))
        .build()
}

/// Reads `OTEL_RESOURCE_ATTRIBUTES`: `key=value,key=value`, with percent-encoded values. The detector of the SDK (0.33.1)
/// doesn't decode them.
fn resource_attributes(text: &str) -> impl Iterator<Item = KeyValue> {
    text.split(',').filter_map(|attribute| {
        let (key, value) = attribute.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some(KeyValue::new(key.trim().to_owned(), value.into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_attributes_are_decoded() {
        let read: Vec<_> = resource_attributes("team=jobs%20and%20mail, zone = a=b ,broken,bytes=%ff").collect();
        assert_eq!(read, [KeyValue::new("team", "jobs and mail"), KeyValue::new("zone", "a=b")]);
    }
}
