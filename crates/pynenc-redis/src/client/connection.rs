//! A connection that many callers share, and that is replaced when it is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pynenc_core::component::RECONNECTS;
use pynenc_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};

use super::server::Server;
use crate::error::{component_error, needs_new_connection};
use crate::script::{Assembled, library};

/// How often one call loads the functions into a server that forgets them.
const FUNCTION_TRIES: usize = 4;

/// A connection, opened at its first use.
pub(super) struct Connection {
    server: Arc<Server>,
    current: Mutex<Option<Established>>,
    connecting: tokio::sync::Mutex<()>,
    opened: AtomicU64,
}

#[derive(Clone)]
struct Established {
    number: u64,
    connection: MultiplexedConnection,
    /// Whether functions can be called: some servers are too old, and some users lack the right.
    has_functions: Arc<AtomicBool>,
    unanswered: Arc<Unanswered>,
}

/// The time since which requests have been sent and no reply has come. It includes requests that their callers gave up:
/// a caller that always gives up before the timeout would use a dead connection for ever.
#[derive(Default)]
struct Unanswered(Mutex<Option<Instant>>);

impl Unanswered {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) {
        self.since().get_or_insert_with(Instant::now);
    }

    fn answered(&self) {
        *self.since() = None;
    }

    fn is_longer_than(&self, limit: Duration) -> bool {
        self.since().is_some_and(|since| since.elapsed() > limit)
    }
}

/// A request to the server.
pub(super) enum Request<'a> {
    /// A command that runs this script.
    Script(&'static Assembled, &'a Cmd),
    Command(&'a Cmd),
}

impl Request<'_> {
    async fn send(&self, mut connection: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Script(script, command) => match command.query_async(&mut connection).await {
                Err(error) if error.code() == Some("NOSCRIPT") => {
                    // The reply is ignored: in a debug build, the client's own method panics if it isn't the hash.
                    let mut load = redis::cmd("SCRIPT");
                    load.arg("LOAD").arg(&script.code).query_async::<Value>(&mut connection).await?;
                    command.query_async(&mut connection).await
                }
                reply => reply,
            },
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }
}

impl Established {
    async fn ask(&self, request: &Request<'_>) -> RedisResult<Value> {
        self.unanswered.sent();
        let reply = request.send(self.connection.clone()).await;
        if !reply.as_ref().is_err_and(RedisError::is_timeout) {
            self.unanswered.answered();
        }
        reply
    }
}

impl Connection {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, current: Mutex::default(), connecting: tokio::sync::Mutex::default(), opened: AtomicU64::new(0) }
    }

    /// Sends a request. Repeats the request over a new connection if the current one is lost, or leads to another node
    /// than the one with the keys. Every request may be repeated: scripts recognize a repeat, and a hint may get lost.
    pub(super) async fn call(&self, request: &Request<'_>) -> Result<Value> {
        self.reply(request).await?.map_err(component_error)
    }

    /// Calls a function, and loads the library if the server lacks it. Returns `None` if the caller has to run the
    /// script.
    pub(super) async fn call_function(&self, command: &Cmd) -> Result<Option<Value>> {
        for _ in 0..FUNCTION_TRIES {
            let established = self.established().await?;
            if !established.has_functions.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match self.reply(&Request::Command(command)).await? {
                Ok(reply) => return Ok(Some(reply)),
                Err(error) if error.to_string().contains("Function not found") => {
                    if !self.load_functions(&established).await? {
                        return Ok(None);
                    }
                }
                Err(error) if is_forbidden(&error) => established.has_functions.store(false, Ordering::Relaxed),
                Err(error) => return Err(component_error(error)),
            }
        }
        Err(Error::unavailable("redis forgets the functions that pynenc loads"))
    }

    /// Loads the functions, if the server has room for them.
    async fn load_functions(&self, established: &Established) -> Result<bool> {
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg(&library().code);
        match self.reply(&Request::Command(&load)).await? {
            Ok(_) => Ok(true),
            Err(error) if is_forbidden(&error) => {
                established.has_functions.store(false, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) if error.to_string().contains("already exists") => Ok(true),
            Err(error) => match component_error(error) {
                // A full server still accepts scripts, and with them work can finish.
                error if error.kind() == ErrorKind::StoreFull => Ok(false),
                error => Err(error),
            },
        }
    }

    /// The reply to a request, or the error of the last try.
    async fn reply(&self, request: &Request<'_>) -> Result<RedisResult<Value>> {
        let established = self.established().await?;
        match established.ask(request).await {
            Err(error) if self.is_worth_a_retry(&established, &error) => {
                let established = self.established().await?;
                let reply = established.ask(request).await;
                Ok(reply.inspect_err(|error| self.drop_if_unusable(&established, error)))
            }
            reply => Ok(reply.inspect_err(|error| self.drop_if_unusable(&established, error))),
        }
    }

    fn is_worth_a_retry(&self, established: &Established, error: &RedisError) -> bool {
        let is_elsewhere = self.server.follow(error);
        let is_lost = error.is_connection_dropped() && !error.is_timeout();
        if is_elsewhere || is_lost {
            self.drop_connection(established.number);
        }
        is_elsewhere || is_lost
    }

    fn drop_if_unusable(&self, established: &Established, error: &RedisError) {
        if needs_new_connection(error) {
            self.drop_connection(established.number);
        }
    }

    async fn established(&self) -> Result<Established> {
        if let Some(established) = self.current() {
            return Ok(established);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(established) = self.current() {
            return Ok(established);
        }
        let connection = self.server.connect().await?;
        let has_functions =
            Arc::new(AtomicBool::new(has_functions(connection.clone()).await.map_err(component_error)?));
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        if number > 0 {
            RECONNECTS.fetch_add(1, Ordering::Relaxed);
        }
        let established = Established { number, connection, has_functions, unanswered: Arc::default() };
        *self.lock() = Some(established.clone());
        Ok(established)
    }

    /// The current connection, unless its requests have been unanswered for too long.
    fn current(&self) -> Option<Established> {
        let mut current = self.lock();
        current.take_if(|established| established.unanswered.is_longer_than(self.server.response_timeout()));
        current.clone()
    }

    /// Makes the next call open a new connection.
    pub(super) fn replace(&self) {
        *self.lock() = None;
    }

    fn drop_connection(&self, number: u64) {
        self.lock().take_if(|established| established.number == number);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Established>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the server knows `FCALL`. The error for an unknown command can't tell: before version 7 a server repeats the
/// arguments in it, and the client can't read an error whose bytes aren't UTF-8 (redis 1.8.1).
async fn has_functions(mut connection: MultiplexedConnection) -> RedisResult<bool> {
    match redis::cmd("COMMAND").arg("INFO").arg("FCALL").query_async(&mut connection).await {
        Ok(Value::Array(found)) => Ok(found.first().is_some_and(|command| *command != Value::Nil)),
        Ok(_) => Ok(false),
        Err(error) if is_forbidden(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the user lacks the right to a command.
fn is_forbidden(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
}
