//! The providers of the SDK, which are flushed and shut down within a bound.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::oneshot;

/// How long a flush may take when a runner has stopped or the app is dropped. Spans and metrics that the collector hasn't
/// accepted by then are lost.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

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
    pub(crate) fn new(tracers: Option<SdkTracerProvider>, meters: Option<SdkMeterProvider>) -> Self {
        Self { tracers, meters, is_stuck: AtomicBool::new(false) }
    }

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
