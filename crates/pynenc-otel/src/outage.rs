//! Exporters that report an outage of the collector once, not for each batch.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

/// An exporter that logs the first failure after a success, and the first success after a failure. It reports every
/// export as successful, so that the SDK logs no failures.
#[derive(Debug)]
pub(crate) struct OutageLog<E> {
    exporter: E,
    is_failing: AtomicBool,
    dropped_spans: AtomicU64,
}

impl<E> OutageLog<E> {
    pub(crate) fn new(exporter: E) -> Self {
        Self { exporter, is_failing: AtomicBool::new(false), dropped_spans: AtomicU64::new(0) }
    }

    /// Notes the result of an export. Returns whether it differs from the last one.
    fn changes(&self, result: &OTelSdkResult) -> bool {
        self.is_failing.swap(result.is_err(), Ordering::Relaxed) != result.is_err()
    }
}

impl<E: SpanExporter> SpanExporter for OutageLog<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len() as u64;
        let result = self.exporter.export(batch).await;
        let has_changed = self.changes(&result);
        match &result {
            Ok(()) if has_changed => {
                let dropped_spans = self.dropped_spans.swap(0, Ordering::Relaxed);
                tracing::info!(dropped_spans, "the OpenTelemetry collector accepts spans again");
            }
            Ok(()) => {}
            Err(error) => {
                self.dropped_spans.fetch_add(count, Ordering::Relaxed);
                if has_changed {
                    tracing::warn!(%error, "the OpenTelemetry collector can't be reached; spans are dropped until it is back");
                }
            }
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for OutageLog<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        if self.changes(&result) {
            match &result {
                Ok(()) => tracing::info!("the OpenTelemetry collector accepts metrics again"),
                Err(error) => {
                    tracing::warn!(%error, "the OpenTelemetry collector can't be reached; metrics are sent when it is back");
                }
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
