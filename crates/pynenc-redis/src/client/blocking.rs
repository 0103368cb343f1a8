//! Connections for those who block: one each, for a blocked connection answers nobody else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pynenc_core::{Error, Result};
use redis::aio::MultiplexedConnection;

use super::server::Server;
use crate::error::classified;

/// How much later than it should the answer to a wait may come.
const GRACE: Duration = Duration::from_secs(2);
/// So many connections are kept for the next who block.
const KEPT: usize = 1;

pub(super) struct Blocking {
    server: Arc<Server>,
    idle: Mutex<Vec<MultiplexedConnection>>,
    /// The lists that somebody has waited for: who moves the clock wakes them, as real time would.
    #[cfg(feature = "test-clock")]
    waited_for: Mutex<std::collections::BTreeSet<Vec<u8>>>,
}

impl Blocking {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            idle: Mutex::default(),
            #[cfg(feature = "test-clock")]
            waited_for: Mutex::default(),
        }
    }

    #[cfg(feature = "test-clock")]
    pub(super) fn waited_for(&self) -> Vec<Vec<u8>> {
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits for a token of one of the lists, or for the end of `wait`.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait drops its connection, so that no token is handed to nobody.
    pub(super) async fn wait_for_token(&self, lists: &[Vec<u8>], wait: Duration) -> Result<()> {
        #[cfg(feature = "test-clock")]
        self.waited_for.lock().unwrap_or_else(PoisonError::into_inner).extend(lists.iter().cloned());
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("BLPOP");
        // Zero would be for ever.
        command.arg(lists).arg(wait.max(Duration::from_millis(1)).as_secs_f64());
        let waited = tokio::time::timeout(wait + GRACE, command.query_async::<redis::Value>(&mut connection)).await;
        match waited {
            Ok(Ok(_)) => self.keep(connection),
            Ok(Err(error)) if self.server.follow(&error) || error.is_connection_dropped() => {}
            Ok(Err(error)) => return Err(classified(error)),
            Err(_) => return Err(Error::unavailable("redis didn't answer in time")),
        }
        Ok(())
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.server.connect(None).await,
        }
    }

    fn keep(&self, connection: MultiplexedConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(connection);
        }
    }
}
