//! Connections for those who block: one each, for a blocked connection answers nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_redis::{Connection, Pool, PoolError};
use pynenc_core::{Error, Result};

use super::server::Server;
use crate::error::classified;

/// How much later than it should the answer to a wait may come, if the response timeout isn't shorter.
const GRACE: Duration = Duration::from_secs(2);

/// The pool that connections for blocking come from, made at its first use.
pub(super) struct Blocking {
    server: Arc<Server>,
    pool: Mutex<Option<Pool>>,
    /// Connections whose last wait is over: they needn't be tried, as those that the pool has back are.
    idle: Mutex<Vec<Connection>>,
    /// The lists that somebody has waited for: who moves the clock wakes them, as real time would.
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
            PoolError::Backend(error) => self.server.explained(error),
            other => Error::unavailable("no connection to wait on").caused_by(other),
        })
    }

    fn pool(&self) -> Result<Pool> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*pool {
            return Ok(pool.clone());
        }
        Ok(pool.insert(self.server.pool()?).clone())
    }

    /// The next connection is a new one, to where the server is now.
    fn forget(&self) {
        *self.pool.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a token of one of the lists, or for the end of `wait`.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait closes its connection, so that no token is handed to nobody.
    pub(super) async fn wait_for_token(&self, lists: &[Vec<u8>], wait: Duration) -> Result<()> {
        #[cfg(feature = "test-clock")]
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).extend(lists.iter().cloned());
        let mut connection = Unreturned(Some(self.connection().await?));
        let mut command = redis::cmd("BLPOP");
        // Zero would be for ever.
        command.arg(lists).arg(wait.max(Duration::from_millis(1)).as_secs_f64());
        let asked = command.query_async::<redis::Value>(connection.get());
        let grace = GRACE.min(self.server.response_timeout());
        match tokio::time::timeout(wait + grace, asked).await {
            Ok(Ok(_)) => self.idle().extend(connection.returned()),
            Ok(Err(error)) if self.server.follow(&error) => self.forget(),
            Ok(Err(error)) if error.is_connection_dropped() => {}
            Ok(Err(error)) => return Err(classified(error)),
            Err(_) => {
                // The idle ones are likely to be as dead.
                self.forget();
                return Err(Error::unavailable("redis didn't answer in time"));
            }
        }
        Ok(())
    }
}

/// A connection on which an answer may still come: unless it is returned, it is closed and not given to the next.
struct Unreturned(Option<Connection>);

impl Unreturned {
    fn get(&mut self) -> &mut Connection {
        self.0.as_mut().expect("it is there until it is returned")
    }

    fn returned(mut self) -> Option<Connection> {
        self.0.take()
    }
}

impl Drop for Unreturned {
    fn drop(&mut self) {
        self.0.take().map(Connection::take);
    }
}
