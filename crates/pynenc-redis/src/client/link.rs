//! One connection that many callers use at once, and that is made again when it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use pynenc_core::{Error, ErrorKind, Result};
use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, ScriptInvocation, Value};

use super::server::Server;
use crate::error::{Fate, classified, fate};
use crate::script::library;

/// How often functions are given to a server that has forgotten them at once.
const FUNCTION_TRIES: usize = 4;

/// A connection, made at its first use.
pub(super) struct Link {
    server: Arc<Server>,
    present: Mutex<Option<Numbered>>,
    connecting: tokio::sync::Mutex<()>,
    last: AtomicU64,
    /// Whether the server keeps functions for this client: some are too old, some don't let it.
    has_functions: AtomicBool,
}

#[derive(Clone)]
struct Numbered {
    number: u64,
    connection: MultiplexedConnection,
}

/// Something that is asked of the server.
pub(super) enum Request<'a> {
    Script(ScriptInvocation<'static>),
    Command(&'a Cmd),
}

impl Request<'_> {
    async fn send(&self, mut connection: MultiplexedConnection) -> RedisResult<Value> {
        match self {
            Self::Script(script) => script.invoke_async(&mut connection).await,
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }
}

impl Link {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            present: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            last: AtomicU64::new(0),
            has_functions: AtomicBool::new(true),
        }
    }

    /// Makes a call, and makes it again over a new connection if the present one turns out to be lost or to lead to
    /// another node than the keys'. Every call may be repeated: scripts recognize a repeat, and a hint may get lost.
    pub(super) async fn call(&self, request: &Request<'_>) -> Result<Value> {
        self.answer(request).await?.map_err(classified)
    }

    /// Calls a function, which the server is given if it hasn't got it; `None` where a script has to do.
    pub(super) async fn call_function(&self, command: &Cmd) -> Result<Option<Value>> {
        for _ in 0..FUNCTION_TRIES {
            if !self.has_functions.load(Ordering::Relaxed) {
                return Ok(None);
            }
            match self.answer(&Request::Command(command)).await? {
                Ok(answer) => return Ok(Some(answer)),
                Err(error) if error.to_string().contains("Function not found") => {
                    if !self.load_functions().await? {
                        return Ok(None);
                    }
                }
                Err(error) if keeps_none(&error) => self.has_functions.store(false, Ordering::Relaxed),
                Err(error) => return Err(classified(error)),
            }
        }
        Err(Error::unavailable("redis forgets the functions that it is given"))
    }

    /// Gives the server the functions, if it has room for them.
    async fn load_functions(&self) -> Result<bool> {
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg(&library().code);
        match self.answer(&Request::Command(&load)).await?.map_err(|error| (keeps_none(&error), classified(error))) {
            Ok(_) => Ok(true),
            Err((true, _)) => {
                self.has_functions.store(false, Ordering::Relaxed);
                Ok(false)
            }
            // A full server takes scripts, by which work can end.
            Err((_, error)) if error.kind() == ErrorKind::StoreFull => Ok(false),
            Err((_, error)) if error.to_string().contains("already exists") => Ok(true),
            Err((_, error)) => Err(error),
        }
    }

    /// The answer to a request, or the fault of the last try.
    async fn answer(&self, request: &Request<'_>) -> Result<RedisResult<Value>> {
        let link = self.connection().await?;
        match request.send(link.connection.clone()).await {
            Err(error) if self.is_worth_another(&link, &error) => {
                let link = self.connection().await?;
                let answer = request.send(link.connection.clone()).await;
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
        let link = Numbered { number: self.last.fetch_add(1, Ordering::Relaxed), connection };
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        Ok(link)
    }

    fn present(&self) -> Option<Numbered> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn forget(&self, number: u64) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.as_ref().is_some_and(|link| link.number == number) {
            *present = None;
        }
    }
}

/// Whether a server is too old for functions, or lets this client have none.
fn keeps_none(error: &RedisError) -> bool {
    let text = error.to_string();
    error.code() == Some("NOPERM") || ["unknown command", "Unknown command"].iter().any(|known| text.contains(known))
}
