//! The server's address, and how connections to it are opened.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime};
use pynenc_core::{Error, Result};
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisError};

use crate::config::RedisConfig;
use crate::error::component_error;

/// The largest number of blocked callers in one process. A runner is one caller.
const BLOCKED: usize = 64;

/// The server that has the app's keys.
pub(crate) struct Server {
    client: RwLock<Client>,
    connect_timeout: Duration,
    response_timeout: Duration,
    address: String,
}

impl Server {
    pub(super) fn new(config: &RedisConfig) -> Result<Self> {
        #[cfg(feature = "tls")]
        install_crypto();
        Ok(Self {
            client: RwLock::new(open(config)?),
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            address: config.address()?,
        })
    }

    /// How long a reply may take.
    pub(super) const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a connection whose replies have to come in time.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection> {
        let settings = self.settings().set_response_timeout(Some(self.response_timeout));
        let client = self.client();
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        connecting.await.map_err(|error| self.connection_error(error))
    }

    fn settings(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect_timeout)).set_response_timeout(None)
    }

    /// A pool of connections for exclusive use. The user of a connection limits the time of its replies.
    pub(super) fn pool(&self) -> Result<Pool> {
        let info = self.client().get_connection_info().clone();
        let manager = Manager::new_with_config(info, self.settings()).map_err(component_error)?;
        let building = Pool::builder(manager).max_size(BLOCKED).runtime(Runtime::Tokio1);
        let building = building.create_timeout(Some(self.connect_timeout)).recycle_timeout(Some(self.response_timeout));
        building
            .wait_timeout(Some(self.connect_timeout))
            .build()
            .map_err(|error| Error::config("can't create a pool of redis connections").caused_by(error))
    }

    /// Opens the pub/sub connection.
    pub(crate) async fn connect_pubsub(&self) -> Result<PubSub> {
        let client = self.client();
        let connecting = tokio::time::timeout(self.connect_timeout, client.get_async_pubsub());
        let connected = connecting.await.map_err(|_| Error::unavailable("redis didn't answer in time"))?;
        connected.map_err(|error| self.connection_error(error))
    }

    /// Switches to the node that a redirecting reply names: all keys of an app are on one node.
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

    fn uses_tls(&self) -> bool {
        matches!(self.client().get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Converts the error of a new connection, and adds the address and advice.
    pub(super) fn connection_error(&self, error: RedisError) -> Error {
        let text = error.to_string();
        let is_silent = error.is_timeout() && self.uses_tls();
        // The client sends first, so the server's message before the close is lost.
        let is_closed = error.is_connection_dropped() && !error.is_connection_refusal() && !error.is_timeout();
        let converted = component_error(error).with("address", &self.address);
        if is_silent {
            return converted.with("advice", "check that the server speaks TLS at this port");
        }
        if is_closed && converted.is_retryable() {
            return Error::unavailable(
                "redis closed a new connection; the server may have reached `maxclients`, or it speaks TLS although \
                 the address begins with `redis://`",
            )
            .with("address", &self.address)
            .caused_by(converted);
        }
        if text.contains("DB index") || text.contains("database number") {
            return Error::config(
                "redis has no database with this number; check `redis.redis_db`, or the end of `redis.redis_url`",
            )
            .with("address", &self.address)
            .caused_by(converted);
        }
        converted
    }
}

#[cfg(not(feature = "tls"))]
fn open(config: &RedisConfig) -> Result<Client> {
    Client::open(config.info()?).map_err(component_error)
}

#[cfg(feature = "tls")]
fn open(config: &RedisConfig) -> Result<Client> {
    let info = config.info()?;
    if config.redis_tls_ca.is_empty() || !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Client::open(info).map_err(component_error);
    }
    let unreadable = |cause| {
        let error = Error::config("can't read the certificates; check `redis.redis_tls_ca`");
        error.with("file", &config.redis_tls_ca).caused_by(cause)
    };
    let root_cert = Some(std::fs::read(&config.redis_tls_ca).map_err(unreadable)?);
    Client::build_with_tls(info, redis::TlsCertificates { client_tls: None, root_cert }).map_err(component_error)
}

/// The TLS library panics without a crypto provider. A provider that the program has installed stays.
#[cfg(feature = "tls")]
fn install_crypto() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
