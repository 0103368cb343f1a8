//! The state of the server, which every request gets: the app, the settings, and the readings that requests share.

use std::ops::Deref;
use std::sync::Arc;

use pynenc_core::Result;
use pynenc_core::config::{ArgumentPrinting, Setting};
use pynenc_engine::Engine;
use tokio::sync::watch;

use crate::access::{Access, Entrance};
use crate::config::WebConfig;
use crate::readings::Readings;

/// The state of the server. Clones are cheap and mean the same one.
#[derive(Debug, Clone)]
pub(crate) struct WebState(Arc<Inner>);

/// The parts of the state.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) app: Engine,
    /// The settings of the process.
    pub(crate) settings: Vec<Setting>,
    pub(crate) config: WebConfig,
    pub(crate) access: Access,
    /// How arguments, results and errors are shown.
    pub(crate) arguments: ArgumentPrinting,
    pub(crate) readings: Arc<Readings>,
    closing: watch::Sender<bool>,
}

impl WebState {
    pub(crate) fn new(app: &Engine, config: WebConfig, settings: Vec<Setting>, entrance: Entrance) -> Result<Self> {
        let is_loopback = matches!(entrance, Entrance::Loopback(_));
        Ok(Self(Arc::new(Inner {
            app: app.clone(),
            settings,
            arguments: config.arguments.resolve(is_loopback, app.settings().logging.arguments),
            access: Access::new(&config, entrance)?,
            config,
            readings: Arc::default(),
            closing: watch::Sender::new(false),
        })))
    }

    /// Ends the streams, which would otherwise keep the server from stopping.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the server stops.
    pub(crate) fn closed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut closing = self.closing.subscribe();
        async move {
            // The sender lives as long as the state.
            let _ = closing.wait_for(|is_closing| *is_closing).await;
        }
    }

    /// The path of a page or an endpoint, with the prefix.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.config.prefix)
    }
}

impl Deref for WebState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
