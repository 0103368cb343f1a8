//! Where the server is, and how a connection to it is made.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::{Manager, Pool, Runtime};
use pynenc_core::{Error, Result};
use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisError};

use crate::config::RedisConfig;
use crate::error::classified;

/// So many may block at once in one process; a runner is one of them.
const EXCLUSIVE: usize = 64;

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
            client: RwLock::new(open(config)?),
            connect_timeout: config.connect_timeout,
            response_timeout: config.response_timeout,
            place: config.place()?,
        })
    }

    /// How long an answer may take.
    pub(super) const fn response_timeout(&self) -> Duration {
        self.response_timeout
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A connection whose answers have to come in time.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection> {
        let settings = self.settings().set_response_timeout(Some(self.response_timeout));
        let client = self.client();
        let connecting = client.get_multiplexed_async_connection_with_config(&settings);
        connecting.await.map_err(|error| self.explained(error))
    }

    fn settings(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new().set_connection_timeout(Some(self.connect_timeout)).set_response_timeout(None)
    }

    /// Connections for those who need one for themselves; who uses it sees to it that answers come in time.
    pub(super) fn pool(&self) -> Result<Pool> {
        let info = self.client().get_connection_info().clone();
        let manager = Manager::new_with_config(info, self.settings()).map_err(classified)?;
        let building = Pool::builder(manager).max_size(EXCLUSIVE).runtime(Runtime::Tokio1);
        let building = building.create_timeout(Some(self.connect_timeout)).recycle_timeout(Some(self.response_timeout));
        building
            .wait_timeout(Some(self.connect_timeout))
            .build()
            .map_err(|error| Error::config("no pool of connections can be made").caused_by(error))
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

    fn uses_tls(&self) -> bool {
        matches!(self.client().get_connection_info().addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(super) fn explained(&self, error: RedisError) -> Error {
        let text = error.to_string();
        let is_silent = error.is_timeout() && self.uses_tls();
        // What it says before it closes is lost where the client speaks first.
        let is_closed = error.is_connection_dropped() && !error.is_connection_refusal() && !error.is_timeout();
        let explained = classified(error).with("address", &self.place);
        if is_silent {
            return explained.with("advice", "see whether the server speaks TLS at this port");
        }
        if is_closed && explained.is_retryable() {
            return Error::unavailable(
                "redis closed a new connection; it may have as many clients as `maxclients` allows, or speak TLS where the \
                 address says `redis://`",
            )
            .with("address", &self.place)
            .caused_by(explained);
        }
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

#[cfg(not(feature = "tls"))]
fn open(config: &RedisConfig) -> Result<Client> {
    Client::open(config.info()?).map_err(classified)
}

#[cfg(feature = "tls")]
fn open(config: &RedisConfig) -> Result<Client> {
    let info = config.info()?;
    if config.redis_tls_ca.is_empty() || !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Client::open(info).map_err(classified);
    }
    let unreadable = |cause| {
        let error = Error::config("the certificates can't be read; check `redis.redis_tls_ca`");
        error.with("file", &config.redis_tls_ca).caused_by(cause)
    };
    let root_cert = Some(std::fs::read(&config.redis_tls_ca).map_err(unreadable)?);
    Client::build_with_tls(info, redis::TlsCertificates { client_tls: None, root_cert }).map_err(classified)
}

/// The TLS library panics without a provider; one that the program has installed stays.
#[cfg(feature = "tls")]
fn install_crypto() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
