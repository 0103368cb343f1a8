//! Where the server is, and how a connection to it is made.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use pynenc_core::{Error, Result};
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisError};

use crate::config::RedisConfig;
use crate::error::classified;

/// The server that has the app's keys.
pub(crate) struct Server {
    client: RwLock<Client>,
    connect_timeout: Duration,
    response_timeout: Duration,
    place: String,
}

impl Server {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        #[cfg(feature = "tls")]
        install_crypto();
        Ok(Self {
            client: RwLock::new(Client::open(config.info()?).map_err(classified)?),
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            place: config.place()?,
        })
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    /// A connection whose answers have to come in time; without a time the caller sees to it.
    pub(super) async fn connect(&self, response_timeout: Option<Duration>) -> Result<MultiplexedConnection> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(response_timeout);
        let client = self.client();
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        connecting.await.map_err(|error| self.explained(error))
    }

    /// A connection for what is pushed.
    pub(crate) async fn listen(&self) -> Result<PubSub> {
        let client = self.client();
        let connecting = tokio::time::timeout(self.connect_timeout, client.get_async_pubsub());
        let connected = connecting.await.map_err(|_| Error::unavailable("redis didn't answer in time"))?;
        connected.map_err(|error| self.explained(error))
    }

    /// Goes to the node that an answer names: all keys of an app are on one.
    pub(super) fn follow(&self, error: &RedisError) -> bool {
        let node = error.redirect_node().and_then(|(address, _)| address.rsplit_once(':'));
        let Some((host, Ok(port))) = node.map(|(host, port)| (host, port.parse())) else { return false };
        let mut client = self.client.write().unwrap_or_else(PoisonError::into_inner);
        let address = match client.get_connection_info().addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                let (insecure, tls_params) = (*insecure, tls_params.clone());
                ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        let info = client.get_connection_info().clone().set_addr(address);
        Client::open(info).is_ok_and(|other| {
            *client = other;
            true
        })
    }

    fn explained(&self, error: RedisError) -> Error {
        let text = error.to_string();
        let explained = classified(error).with("address", &self.place);
        if text.contains("DB index") || text.contains("database number") {
            return Error::config(
                "redis has no database of this number; check `redis.redis_db`, or the end of `redis.redis_url`",
            )
            .with("address", &self.place)
            .caused_by(explained);
        }
        explained
    }
}

/// The TLS library panics without a provider; one that the program has installed stays.
#[cfg(feature = "tls")]
fn install_crypto() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
