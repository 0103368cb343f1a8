//! One connection that many callers use at once, and that is made again when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pynenc_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};

use super::server::Server;
use crate::error::{Fate, classified, fate};
use crate::script::{Script, library};

/// How often functions are given to a server that has forgotten them at once.
const FUNCTION_TRIES: usize = 4;

/// A connection, made at its first use.
pub(super) struct Link {
    server: Arc<Server>,
    present: Mutex<Option<Numbered>>,
    connecting: tokio::sync::Mutex<()>,
    last: AtomicU64,
}

#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
    /// Whether functions can be called over this connection: some servers are too old, some users lack the right.
    has_functions: Arc<AtomicBool>,
    silence: Arc<Silence>,
}

/// Since when requests have been sent over a connection and nothing has come back. It counts what callers have given up on
/// too: one that never waits long enough for a timeout would otherwise use a dead connection for ever.
#[derive(Default)]
struct Silence(Mutex<Option<Instant>>);

impl Silence {
    fn since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
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

/// Something that is asked of the server.
pub(super) enum Request<'a> {
    /// A command that calls this script.
    Script(&'static Script, &'a Cmd),
    Command(&'a Cmd),
}

impl Request<'_> {
    async fn send(&self, mut connection: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Script(script, command) => match command.query_async(&mut connection).await {
                Err(error) if error.code() == Some("NOSCRIPT") => {
                    // The reply isn't looked at: the client's own way panics in a debug build if it isn't the hash.
                    let mut load = redis::cmd("SCRIPT");
                    load.arg("LOAD").arg(&script.code).query_async::<Value>(&mut connection).await?;
                    command.query_async(&mut connection).await
                }
                answer => answer,
            },
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }
}

impl Numbered {
    async fn ask(&self, request: &Request<'_>) -> RedisResult<Value> {
        self.silence.sent();
        let answer = request.send(self.connection.clone()).await;
        if !answer.as_ref().is_err_and(RedisError::is_timeout) {
            self.silence.answered();
        }
        answer
    }
}

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, present: Mutex::default(), connecting: tokio::sync::Mutex::default(), last: AtomicU64::new(0) }
    }

    /// Makes a call, and makes it again over a new connection if the present one turns out to be lost or to lead to
    /// another node than the keys'. Every call may be repeated: scripts recognize a repeat, and a hint may get lost.
    pub(super) async fn call(&self, request: &Request<'_>) -> Result<Value> {
        self.answer(request).await?.map_err(classified)
    }

    /// Calls a function, and loads the library if the server lacks it. Returns `None` where a script has to do.
    pub(super) async fn call_function(&self, command: &Cmd) -> Result<Option<Value>> {
        for _ in 0..FUNCTION_TRIES {
            let link = self.connection().await?;
            if !link.has_functions.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match self.answer(&Request::Command(command)).await? {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) if error.to_string().contains("Function not found") => {
                    if !self.load_functions(&link).await? {
                        return Ok(None);
                    }
                }
                Err(error) if is_forbidden(&error) => link.has_functions.store(false, Ordering::Relaxed),
                Err(error) => return Err(classified(error)),
            }
        }
        Err(Error::unavailable("redis forgets the functions that it is given"))
    }

    /// Gives the server the functions, if it has room for them.
    async fn load_functions(&self, link: &Numbered) -> Result<bool> {
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg(&library().code);
        match self.answer(&Request::Command(&load)).await? {
            Ok(_) => Ok(true),
            Err(error) if is_forbidden(&error) => {
                link.has_functions.store(false, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) if error.to_string().contains("already exists") => Ok(true),
            Err(error) => match classified(error) {
                // A full server takes scripts, by which work can end.
                error if error.kind() == ErrorKind::StoreFull => Ok(false),
                error => Err(error),
            },
        }
    }

    /// The answer to a request, or the fault of the last try.
    async fn answer(&self, request: &Request<'_>) -> Result<RedisResult<Value>> {
        let link = self.connection().await?;
        match link.ask(request).await {
            Err(error) if self.is_worth_another(&link, &error) => {
                let link = self.connection().await?;
                let answer = link.ask(request).await;
                Ok(answer.inspect_err(|error| self.note(&link, error)))
            }
            answer => Ok(answer.inspect_err(|error| self.note(&link, error))),
        }
    }

    fn is_worth_another(&self, link: &Numbered, error: &RedisError) -> bool {
        let is_elsewhere = self.server.follow(error);
        let is_lost = error.is_connection_dropped() && !error.is_timeout();
        if is_elsewhere || is_lost {
            self.forget(link.number);
        }
        is_elsewhere || is_lost
    }

    fn note(&self, link: &Numbered, error: &RedisError) {
        if fate(error) == Fate::Replace {
            self.forget(link.number);
        }
    }

    async fn connection(&self) -> Result<Numbered> {
        if let Some(link) = self.present() {
            return Ok(link);
        }
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(link) = self.present() {
            return Ok(link);
        }
        let connection = self.server.connect().await?;
        let has_functions = Arc::new(AtomicBool::new(has_functions(connection.clone()).await.map_err(classified)?));
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let link = Numbered { number, connection, has_functions, silence: Arc::default() };
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }

    /// The connection in use, unless nothing has come back on it for too long.
    fn present(&self) -> Option<Numbered> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.take_if(|link| link.silence.is_longer_than(self.server.response_timeout()));
        present.clone()
    }

    /// Has the next call make a new connection.
    pub(super) fn replace(&self) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn forget(&self, number: u64) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.as_ref().is_some_and(|link| link.number == number) {
            *present = None;
        }
    }
}

/// Whether the server knows `FCALL`. The error for an unknown command can't tell: before version 7 a server repeats the
/// arguments in it, and the client reads no error whose bytes aren't UTF-8 (redis 1.8.1).
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
