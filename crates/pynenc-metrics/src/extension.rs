//! The connection to the engine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pynenc_core::Error;
use pynenc_core::config::{AppConfig, Config};
use pynenc_engine::metrics::MetricsRecorder;
use pynenc_engine::{Engine, Extension, Result, worker_number};

use crate::config::MetricsConfig;
use crate::listener::Listener;
use crate::prometheus::Prometheus;

/// Records the metrics of an app, and opens the listener of its process, as the section `metrics` says.
#[derive(Debug)]
pub struct MetricsExtension {
    config: MetricsConfig,
    prometheus: Option<Arc<Prometheus>>,
    listener: Mutex<Option<Listener>>,
}

impl MetricsExtension {
    /// Reads the section `metrics`.
    ///
    /// # Errors
    ///
    /// The configuration error of an invalid setting.
    pub fn new(config: &Config) -> Result<Self> {
        let app: AppConfig = config.section()?;
        let config: MetricsConfig = config.section()?;
        let prometheus = if config.is_on() { Some(Arc::new(Prometheus::new(&app.app_id)?)) } else { None };
        Ok(Self { config, prometheus, listener: Mutex::default() })
    }

    async fn render(&self, engine: &Engine) -> Option<String> {
        Some(self.prometheus.as_ref()?.render(engine).await)
    }

    fn listener(&self) -> MutexGuard<'_, Option<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Extension for MetricsExtension {
    fn recorder(&self) -> Option<MetricsRecorder> {
        self.prometheus.as_ref().map(|prometheus| prometheus.recorder())
    }

    /// Opens the listener, unless another runner of this process did. It stays open until the app is dropped.
    async fn prepare(&self, engine: &Engine) -> Result<()> {
        let address = self.config.address(worker_number())?;
        let mut listener = self.listener();
        if let (Some((host, port)), Some(prometheus), None) = (address, &self.prometheus, &*listener) {
            *listener = Some(Listener::open(host, port, prometheus.clone(), engine.downgrade())?);
        }
        Ok(())
    }
}

/// Adds the metrics to an app.
pub trait MetricsExt {
    /// Renders all metrics of the app in the text format of Prometheus, for a web server of the program. The content type is
    /// [`CONTENT_TYPE`](crate::CONTENT_TYPE). Each series has the label `app`.
    ///
    /// The gauges of the whole app, such as the length of its queues, are read from the stores, at most once in 2 s. Of the
    /// processes with a runner, only the one that maintains the app at present renders them, so that they exist once for
    /// each app. A process without a runner always renders them. If the stores don't reply within 5 s, they are left out.
    ///
    /// # Errors
    ///
    /// A configuration error if the app records no metrics.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point.
    fn metrics_text(&self) -> impl Future<Output = Result<String>> + Send;

    /// The address of the process's listener. It is open from the start of the first runner until the app is dropped, if
    /// `metrics.listen` is set.
    fn metrics_address(&self) -> Option<SocketAddr>;
}

impl MetricsExt for Engine {
    async fn metrics_text(&self) -> Result<String> {
        let text = match self.extension::<MetricsExtension>() {
            Some(extension) => extension.render(self).await,
            None => None,
        };
        text.ok_or_else(|| Error::config("the app records no metrics: set `metrics.record = true`").into())
    }

    fn metrics_address(&self) -> Option<SocketAddr> {
        self.extension::<MetricsExtension>()?.listener().as_ref().map(|listener| listener.address)
    }
}
