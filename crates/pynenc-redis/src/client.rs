//! The client of one app: runs scripts and commands over the app's connections.
//!
//! There are three classes of connections, each opened at its first use: one for commands, which many callers share;
//! one for heartbeats, which no command may delay; and a pool with one connection for each caller that blocks. The
//! fourth is the pub/sub connection in `pubsub.rs`.

mod blocking;
mod connection;
mod server;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pynenc_core::component::StoreId;
use pynenc_core::{Error, Result, Timestamp};
use redis::Value;

use self::blocking::Blocking;
use self::connection::{Connection, Request};
use self::server::Server;
use crate::arguments::BATCH;
use crate::config::RedisConfig;
use crate::error::{is_corrupt, unexpected_reply};
use crate::keys::{Family, Key, Keys};
use crate::script::{self, Script};
use crate::value::{bytes, list, optional};

/// The number of keys that one step of a purge examines.
const PURGE_STEP: usize = 1000;

pub(crate) struct Client {
    keys: Keys,
    server: Arc<Server>,
    commands: Connection,
    heartbeats: Connection,
    blocking: Blocking,
    config: RedisConfig,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("keys", &self.keys).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(config: &RedisConfig, app_id: &str) -> Result<Self> {
        let server = Arc::new(Server::new(config)?);
        Ok(Self {
            keys: Keys::new(app_id),
            commands: Connection::new(server.clone()),
            heartbeats: Connection::new(server.clone()),
            blocking: Blocking::new(server.clone()),
            config: config.clone(),
            server,
        })
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.config
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn key(&self, key: Key) -> Vec<u8> {
        self.keys.one(key)
    }

    /// The key of one id or name.
    pub(crate) fn key_of(&self, key: Key, rest: &[u8]) -> Vec<u8> {
        self.keys.of(key, rest)
    }

    pub(crate) fn store_id(&self) -> StoreId {
        let address = self.config.address().unwrap_or_default();
        StoreId(format!("{address} {}", self.keys.prefix()).into())
    }

    /// Runs a script over the connection for commands.
    pub(crate) async fn run(&self, script: &'static Script, arguments: &[Vec<u8>]) -> Result<Value> {
        self.run_over(&self.commands, script, arguments).await
    }

    /// Runs a script over the connection for heartbeats. The connection belongs to the tokio runtime of its first
    /// caller, which is the runtime of a runner's heartbeats. So no other caller may use the connection.
    ///
    /// A reply, with a new connection if needed, may take half of the response timeout: a dead connection has to be
    /// replaced long before the lease expires.
    pub(crate) async fn run_heartbeat(&self, script: &'static Script, arguments: &[Vec<u8>]) -> Result<Value> {
        let timeout = self.server.response_timeout() / 2;
        let reply = tokio::time::timeout(timeout, self.run_over(&self.heartbeats, script, arguments)).await;
        reply.unwrap_or_else(|_| {
            self.heartbeats.replace();
            Err(Error::unavailable("redis didn't answer a heartbeat in time"))
        })
    }

    async fn run_over(&self, connection: &Connection, script: &'static Script, arguments: &[Vec<u8>]) -> Result<Value> {
        if let Some(function) = script::function_name(script) {
            let mut command = redis::cmd("FCALL");
            command.arg(function).arg(1).arg(self.keys.prefix()).arg(arguments);
            let reply =
                connection.call_function(&command).await.map_err(|error| error.with("function", script.name))?;
            if let Some(reply) = reply {
                return Ok(reply);
            }
        }
        let assembled = script.assembled();
        let mut command = redis::cmd("EVALSHA");
        command.arg(&assembled.hash).arg(1).arg(self.keys.prefix()).arg(arguments);
        let reply = connection.call(&Request::Script(assembled, &command)).await;
        reply.map_err(|error| error.with("script", script.name))
    }

    /// Asks again over a new connection if the reply is corrupt: the network may have garbled it. Scripts recognize a
    /// repeat.
    pub(crate) async fn retry_if_garbled<T, F: Future<Output = Result<T>>>(&self, ask: impl Fn() -> F) -> Result<T> {
        self.retry_if(ask, |reply| reply.as_ref().is_err_and(is_corrupt)).await
    }

    /// The same for a reply with a result for each item.
    pub(crate) async fn retry_items_if_garbled<T, F>(&self, ask: impl Fn() -> F) -> Result<Vec<Result<T>>>
    where
        F: Future<Output = Result<Vec<Result<T>>>>,
    {
        let is_garbled = |reply: &Result<Vec<Result<T>>>| match reply {
            Ok(items) => items.iter().any(|item| item.as_ref().is_err_and(is_corrupt)),
            Err(error) => is_corrupt(error),
        };
        self.retry_if(ask, is_garbled).await
    }

    async fn retry_if<T, F: Future<Output = Result<T>>>(
        &self,
        ask: impl Fn() -> F,
        is_garbled: impl Fn(&Result<T>) -> bool,
    ) -> Result<T> {
        let reply = ask().await;
        if !is_garbled(&reply) {
            return reply;
        }
        tracing::debug!("a reply of redis is corrupt; the request is repeated over a new connection");
        self.commands.replace();
        ask().await
    }

    /// Runs a script over items in chunks, and returns all replies. `width` is the number of arguments of an item.
    pub(crate) async fn run_in_chunks(
        &self,
        script: &'static Script,
        fixed: &[Vec<u8>],
        items: &[Vec<u8>],
        width: usize,
    ) -> Result<Vec<Value>> {
        let mut replies = Vec::with_capacity(items.len() / width);
        for chunk in items.chunks(BATCH * width) {
            let arguments = [fixed, chunk].concat();
            replies.extend(list(self.run(script, &arguments).await?)?);
        }
        Ok(replies)
    }

    /// Sends a plain command.
    pub(crate) async fn send(&self, command: &redis::Cmd) -> Result<Value> {
        self.commands.call(&Request::Command(command)).await
    }

    /// Reads the values of keys, in chunks.
    pub(crate) async fn values(&self, keys: Vec<Vec<u8>>) -> Result<Vec<Option<Vec<u8>>>> {
        let mut values = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(BATCH) {
            let mut command = redis::cmd("MGET");
            command.arg(chunk);
            values.extend(list(self.send(&command).await?)?.into_iter().map(optional));
        }
        values.into_iter().collect()
    }

    /// Waits for a wake token in one of the lists, at most as long as `wait`, over a connection of its own. Returns
    /// whether there may be something to do.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait closes its connection, so the server gives no token to a caller that is gone.
    pub(crate) async fn wait_for_token(&self, lists: &[Vec<u8>], wait: Duration) -> Result<bool> {
        self.blocking.wait_for_token(lists, wait).await
    }

    /// Deletes every key of a component. Keys that are written meanwhile may stay.
    pub(crate) async fn purge(&self, family: Family) -> Result<()> {
        // A command with a key goes first: in a cluster, its reply leads to the node that has the app's keys.
        self.now().await?;
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(self.keys.pattern(family)).arg("COUNT").arg(PURGE_STEP);
            let mut reply = list(self.send(&scan).await?)?.into_iter();
            let (next, keys) = reply.next().zip(reply.next()).ok_or_else(|| unexpected_reply("a cursor and keys"))?;
            let keys = list(keys)?.into_iter().map(bytes).collect::<Result<Vec<_>>>()?;
            if !keys.is_empty() {
                self.send(redis::cmd("UNLINK").arg(keys)).await?;
            }
            cursor = bytes(next)?;
            if cursor == b"0" {
                return Ok(());
            }
        }
    }

    pub(crate) async fn now(&self) -> Result<Timestamp> {
        match self.run(&script::NOW, &[]).await? {
            Value::Int(millis) => Ok(Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())),
            _ => Err(unexpected_reply("a time")),
        }
    }

    /// Moves the app's clock ahead, and wakes blocked pops as real time would.
    #[cfg(feature = "test-clock")]
    pub(crate) async fn advance_clock(&self, by: Duration) -> Result<()> {
        let millis = crate::codec::millis(by);
        self.send(redis::cmd("INCRBY").arg(self.key(Key::Clock)).arg(millis)).await?;
        for list in self.blocking.waited_for() {
            self.send(redis::cmd("RPUSH").arg(list).arg("")).await?;
        }
        Ok(())
    }
}
