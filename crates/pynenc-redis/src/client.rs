//! The server, as the stores of one app in one process share it.
//!
//! There are three classes of connections, each made at its first use: one for commands, which many callers use at once;
//! one for signs of life, so that nothing stands before them; and one for each caller that blocks, out of a pool.
//! What is pushed comes over a fourth.

mod blocking;
mod link;
mod server;
mod start_check;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use pynenc_core::lane::StoreId;
use pynenc_core::{Error, ErrorKind, Result, Timestamp};
use redis::Value;
use tokio::sync::OnceCell;

use self::blocking::Blocking;
use self::link::{Link, Request};
use self::server::Server;
use crate::config::RedisConfig;
use crate::error::misshapen;
use crate::keys::{Family, Key, Keys};
use crate::orchestrator::hub::Hub;
use crate::script::Verb;

/// At most so many items are handed to the server in one call.
pub(crate) const BATCH: usize = 500;
/// How many keys a step of a purge looks at.
const PURGE_STEP: usize = 1000;

/// The server of one app. Clones are cheap and share their connections.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

pub(crate) struct Shared {
    keys: Keys,
    server: Arc<Server>,
    commands: Link,
    beats: Link,
    blocking: Blocking,
    hub: Hub,
    checked: OnceCell<()>,
    config: RedisConfig,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("keys", &self.0.keys).field("config", &self.0.config).finish_non_exhaustive()
    }
}

type Registry = Mutex<HashMap<(String, String), Weak<Shared>>>;

/// The stores in use, by address and app: the components of an app find each other's connections here.
static IN_USE: LazyLock<Registry> = LazyLock::new(Mutex::default);

impl RedisStore {
    /// The server of an app, over the connections that this process has to it already, or new ones.
    ///
    /// # Errors
    ///
    /// An address that isn't understood, a server that can't be reached or doesn't let in, and what
    /// `redis.start_check` refuses.
    pub async fn connect(config: &RedisConfig, app_id: &str) -> Result<Self> {
        let store = Self::shared(config, app_id)?;
        store.0.checked.get_or_try_init(|| start_check::check(&store)).await?;
        Ok(store)
    }

    /// What of the server's settings may lose work.
    pub(crate) async fn weaknesses(&self) -> Result<Vec<String>> {
        start_check::weaknesses(self).await
    }

    fn shared(config: &RedisConfig, app_id: &str) -> Result<Self> {
        let info = config.info()?;
        // The password is shown by no `Debug`, and two of them are two stores, as are two authorities.
        let trust = (info.redis_settings().password(), &config.redis_tls_ca);
        let name = (format!("{info:?} {trust:?}"), app_id.to_owned());
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = in_use.get(&name).and_then(Weak::upgrade) {
            return Ok(Self(shared));
        }
        in_use.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::new(Shared::new(config, app_id)?);
        in_use.insert(name, Arc::downgrade(&shared));
        Ok(Self(shared))
    }

    pub(crate) fn config(&self) -> &RedisConfig {
        &self.0.config
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.0.server
    }

    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &Weak<Shared>) -> Option<Self> {
        weak.upgrade().map(Self)
    }

    pub(crate) fn one(&self, key: Key) -> Vec<u8> {
        self.0.keys.one(key)
    }

    pub(crate) fn of(&self, key: Key, rest: &[u8]) -> Vec<u8> {
        self.0.keys.of(key, rest)
    }

    pub(crate) fn id(&self) -> StoreId {
        let place = self.0.config.place().unwrap_or_default();
        StoreId(format!("{place} {}", self.0.keys.prefix()).into())
    }

    /// Runs a script over the connection for commands.
    pub(crate) async fn run(&self, verb: Verb, arguments: &[Vec<u8>]) -> Result<Value> {
        self.run_over(&self.0.commands, verb, arguments).await
    }

    /// Runs a script over the connection for signs of life. It belongs to the runtime that calls here first, which for a
    /// runner is that of its heartbeats: nothing else may come this way.
    ///
    /// An answer, a new connection included, may take half of the response timeout: a dead connection has to be replaced
    /// long before the lease is over.
    pub(crate) async fn beat(&self, verb: Verb, arguments: &[Vec<u8>]) -> Result<Value> {
        let limit = self.0.server.response_timeout() / 2;
        let answer = tokio::time::timeout(limit, self.run_over(&self.0.beats, verb, arguments)).await;
        answer.unwrap_or_else(|_| {
            self.0.beats.replace();
            Err(Error::unavailable("redis didn't answer a heartbeat in time"))
        })
    }

    async fn run_over(&self, link: &Link, verb: Verb, arguments: &[Vec<u8>]) -> Result<Value> {
        if let Some(function) = verb.function() {
            let mut command = redis::cmd("FCALL");
            command.arg(function).arg(1).arg(self.0.keys.prefix()).arg(arguments);
            let ran = link.call_function(&command).await.map_err(|error| error.with("function", verb.name()))?;
            if let Some(answer) = ran {
                return Ok(answer);
            }
        }
        let mut command = redis::cmd("EVALSHA");
        command.arg(&verb.script().hash).arg(1).arg(self.0.keys.prefix()).arg(arguments);
        let ran = link.call(&Request::Script(verb.script(), &command)).await;
        ran.map_err(|error| error.with("script", verb.name()))
    }

    /// Asks again, over a new connection, if an answer can't be understood: it may have been garbled on its way. Scripts
    /// recognize a repeat.
    pub(crate) async fn intact<T, F: Future<Output = Result<T>>>(&self, ask: impl Fn() -> F) -> Result<T> {
        self.intact_if(ask, |answer| answer.as_ref().is_err_and(is_corrupt)).await
    }

    /// As [`RedisStore::intact`], for answers of which each has an error of its own.
    pub(crate) async fn intact_each<T, F>(&self, ask: impl Fn() -> F) -> Result<Vec<Result<T>>>
    where
        F: Future<Output = Result<Vec<Result<T>>>>,
    {
        let is_garbled = |answer: &Result<Vec<Result<T>>>| match answer {
            Ok(each) => each.iter().any(|one| one.as_ref().is_err_and(is_corrupt)),
            Err(error) => is_corrupt(error),
        };
        self.intact_if(ask, is_garbled).await
    }

    async fn intact_if<T, F: Future<Output = Result<T>>>(
        &self,
        ask: impl Fn() -> F,
        is_garbled: impl Fn(&Result<T>) -> bool,
    ) -> Result<T> {
        let answer = ask().await;
        if !is_garbled(&answer) {
            return answer;
        }
        tracing::debug!("an answer of redis can't be understood; it is asked for again over a new connection");
        self.0.commands.replace();
        ask().await
    }

    /// Runs a script over items in chunks, each of `width` arguments behind the fixed ones, and gives all replies.
    pub(crate) async fn run_chunked(
        &self,
        verb: Verb,
        fixed: &[Vec<u8>],
        items: &[Vec<u8>],
        width: usize,
    ) -> Result<Vec<Value>> {
        let mut replies = Vec::with_capacity(items.len() / width);
        for chunk in items.chunks(BATCH * width) {
            let arguments = [fixed, chunk].concat();
            match self.run(verb, &arguments).await? {
                Value::Array(chunk) => replies.extend(chunk),
                _ => return Err(misshapen("a list")),
            }
        }
        Ok(replies)
    }

    /// Sends plain commands.
    pub(crate) async fn send(&self, command: &redis::Cmd) -> Result<Value> {
        self.0.commands.call(&Request::Command(command)).await
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

    /// Waits for a token of one of the lists, or for the end of `wait`, over a connection that nobody else uses meanwhile.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait closes its connection, so that no token is handed to nobody.
    pub(crate) async fn wait_for_token(&self, lists: &[Vec<u8>], wait: std::time::Duration) -> Result<()> {
        self.0.blocking.wait_for_token(lists, wait).await
    }

    /// Drops every key of a component. What is written meanwhile may stay.
    pub(crate) async fn purge(&self, family: Family) -> Result<()> {
        // A keyed command goes first: in a cluster it finds the node that has the app's keys.
        self.now().await?;
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(self.0.keys.pattern(family)).arg("COUNT").arg(PURGE_STEP);
            let mut answer = list(self.send(&scan).await?)?.into_iter();
            let (next, keys) = answer.next().zip(answer.next()).ok_or_else(|| misshapen("a cursor and keys"))?;
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

    async fn now(&self) -> Result<Timestamp> {
        match self.run(Verb::Now, &[]).await? {
            Value::Int(millis) => Ok(Timestamp::from_millis(u64::try_from(millis).unwrap_or_default())),
            _ => Err(misshapen("a time")),
        }
    }
}

#[cfg(feature = "test-clock")]
impl RedisStore {
    /// The time by which the app's stores decide.
    pub async fn present(&self) -> Result<Timestamp> {
        self.now().await
    }

    /// Moves the app's time ahead, for all that use it.
    pub async fn advance(&self, by: std::time::Duration) -> Result<()> {
        let millis = crate::codec::millis(by);
        self.send(redis::cmd("INCRBY").arg(self.one(Key::Clock)).arg(millis)).await?;
        for list in self.0.blocking.waited_for() {
            self.send(redis::cmd("RPUSH").arg(list).arg("")).await?;
        }
        Ok(())
    }
}

impl Shared {
    fn new(config: &RedisConfig, app_id: &str) -> Result<Self> {
        let keys = Keys::new(app_id);
        let server = Arc::new(Server::new(config)?);
        Ok(Self {
            commands: Link::new(server.clone()),
            beats: Link::new(server.clone()),
            blocking: Blocking::new(server.clone()),
            hub: Hub::new(&keys, config.response_timeout),
            checked: OnceCell::new(),
            config: config.clone(),
            keys,
            server,
        })
    }
}

pub(crate) fn is_corrupt(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt
}

pub(crate) fn list(value: Value) -> Result<Vec<Value>> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(misshapen("a list")),
    }
}

pub(crate) fn bytes(value: Value) -> Result<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        _ => Err(misshapen("bytes")),
    }
}

pub(crate) fn optional(value: Value) -> Result<Option<Vec<u8>>> {
    if value == Value::Nil { Ok(None) } else { bytes(value).map(Some) }
}

pub(crate) fn number(value: &Value) -> Result<u64> {
    match value {
        Value::Int(number) => Ok(u64::try_from(*number).unwrap_or_default()),
        _ => Err(misshapen("a number")),
    }
}

/// Whether a script did what it was asked.
pub(crate) fn is_one(value: &Value) -> bool {
    *value == Value::Int(1)
}
