//! The app's methods of the feature `web`.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_engine::{Error, Result};
use pynenc_web::{Listening, Web, WebConfig};

use super::{Pynenc, Signals};

impl Pynenc {
    /// Returns the HTTP API and the web monitor of the app, as the section `web` says. It listens at an address of its own, or
    /// gives you a router for your own server.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an invalid setting.
    pub fn web(&self) -> Result<Web> {
        Ok(Web::new(self, self.config.section::<WebConfig>()?, self.explain()))
    }

    /// Serves the HTTP API and the web monitor until the process gets SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// As [`Web::listen`].
    pub fn serve_web(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let listening = self.web()?.listen().await?;
            tracing::info!(url = listening.url(), "serving the web monitor");
            self.serve_web_at(listening).await
        }
        .boxed()
    }

    /// Serves at an open listener until the process gets SIGINT or SIGTERM.
    ///
    /// # Errors
    ///
    /// The listener fails.
    pub fn serve_web_at(&self, listening: Listening) -> BoxFuture<'_, Result<()>> {
        async move {
            let mut signals = Signals::new().map_err(Error::other)?;
            listening.serve(async move { signals.next().await }).await
        }
        .boxed()
    }
}
