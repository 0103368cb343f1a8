//! Connections for blocking commands: one for each blocked caller, because a blocked connection serves nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::{Connection, Pool, PoolError};
use pynenc_core::{Error, Result};

use super::server::Server;
use crate::error::component_error;

/// How late the reply to a wait may be, if the response timeout isn't shorter.
const GRACE: Duration = Duration::from_secs(2);

/// The connections of blocked callers, from a pool that is created at its first use.
pub(super) struct Blocking {
    server: Arc<Server>,
    pool: Mutex<Option<Pool>>,
    /// Connections whose last wait is over. Unlike those in the pool, they need no test before their next use.
    idle: Mutex<Vec<Connection>>,
    /// The lists that callers have waited for. A test that moves the clock pushes tokens to them.
    #[cfg(feature = "test-clock")]
    waited_for: Mutex<std::collections::BTreeSet<Vec<u8>>>,
}

impl Blocking {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            pool: Mutex::default(),
            idle: Mutex::default(),
            #[cfg(feature = "test-clock")]
            waited_for: Mutex::default(),
        }
    }

    #[cfg(feature = "test-clock")]
    pub(super) fn waited_for(&self) -> Vec<Vec<u8>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    async fn connection(&self) -> Result<Connection> {
        if let Some(connection) = self.idle().pop() {
            return Ok(connection);
        }
        let pool = self.pool()?;
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => self.server.connection_error(error),
            other => Error::unavailable("no redis connection is free for a blocking wait").caused_by(other),
        })
    }

    fn pool(&self) -> Result<Pool> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*pool {
            return Ok(pool.clone());
        }
        Ok(pool.insert(self.server.pool()?).clone())
    }

    /// Drops the pool, so the next connection leads to where the server is now.
    fn drop_connections(&self) {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a wake token in one of the lists, at most as long as `wait`. Returns whether there may be something to
    /// do: a token came, or one may have been lost.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait closes its connection, so the server gives no token to a caller that is gone.
    pub(super) async fn wait_for_token(&self, lists: &[Vec<u8>], wait: Duration) -> Result<bool> {
        #[cfg(feature = "test-clock")]
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).extend(lists.iter().cloned());
        let mut connection = CloseOnDrop(Some(self.connection().await?));
        let mut command = redis::cmd("BLPOP");
        // Zero would wait for ever.
        command.arg(lists).arg(wait.max(Duration::from_millis(1)).as_secs_f64());
        let reply = command.query_async::<redis::Value>(connection.get());
        let grace = GRACE.min(self.server.response_timeout());
        match tokio::time::timeout(wait + grace, reply).await {
            Ok(Ok(reply)) => {
                self.idle().extend(connection.keep());
                return Ok(reply != redis::Value::Nil);
            }
            Ok(Err(error)) if self.server.follow(&error) => self.drop_connections(),
            Ok(Err(error)) if error.is_connection_dropped() => {}
            Ok(Err(error)) => return Err(component_error(error)),
            Err(_) => {
                // The idle connections are probably dead too.
                self.drop_connections();
                return Err(Error::unavailable("redis didn't answer in time"));
            }
        }
        Ok(true)
    }
}

/// A connection that may still get a reply. Unless it is kept, it is closed, so the next caller can't read that reply.
struct CloseOnDrop(Option<Connection>);

impl CloseOnDrop {
    fn get(&mut self) -> &mut Connection {
        self.0.as_mut().expect("a connection is kept only at the end")
    }

    fn keep(mut self) -> Option<Connection> {
        self.0.take()
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.take().map(Connection::take);
    }
}
