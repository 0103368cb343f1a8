//! Three bare scripts for the lifecycle of an invocation: the least work for a server that keeps the main promises.
//!
//! An invocation is one key that holds its state, its history and its call. A sorted set is the queue and the only index
//! of what waits. A set holds what a runner owns, a list what is finished, a hash the counts. A claim checks the state,
//! and a settlement checks the token of the claim. There are no priorities, retries, concurrency limits or watchers.

use pynenc::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{Script, ScriptInvocation};

/// The prefix of all keys.
const PREFIX: &str = "{bare}";

/// The scripts, and a connection to their server.
pub(crate) struct BareMinimum {
    connection: MultiplexedConnection,
    submit: Script,
    take: Script,
    settle: Script,
}

/// The id of an invocation.
pub(crate) type Id = [u8; 16];

/// A claim: the runner and the token of the claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) runner: Id,
    pub(crate) token: [u8; 8],
}

impl BareMinimum {
    pub(crate) async fn on(server: &str) -> Result<Self> {
        let client = redis::Client::open(server).map_err(Error::other)?;
        Ok(Self {
            connection: client.get_multiplexed_async_connection().await.map_err(Error::other)?,
            submit: Script::new(include_str!("bare_minimum/submit.lua")),
            take: Script::new(include_str!("bare_minimum/take.lua")),
            settle: Script::new(include_str!("bare_minimum/settle.lua")),
        })
    }

    /// Stores and queues one invocation for each id. Returns false if one of them exists already.
    pub(crate) async fn submit(&mut self, ids: &[Id], call: &[u8]) -> Result<bool> {
        let mut script = self.submit.key(PREFIX);
        for id in ids {
            script.arg(id).arg(call);
        }
        run(&script, &mut self.connection).await
    }

    /// Claims up to `max` queued invocations. Returns their ids and calls.
    pub(crate) async fn take(&mut self, owner: Owner, max: usize) -> Result<Vec<(Id, Vec<u8>)>> {
        let mut script = self.take.key(PREFIX);
        script.arg(&owner.runner).arg(&owner.token).arg(max);
        run(&script, &mut self.connection).await
    }

    /// Completes invocations that this claim owns. Returns their number.
    pub(crate) async fn settle(&mut self, owner: Owner, ids: &[Id], outcome: &[u8]) -> Result<usize> {
        let mut script = self.settle.key(PREFIX);
        script.arg(&owner.runner).arg(&owner.token);
        for id in ids {
            script.arg(id).arg(outcome);
        }
        run(&script, &mut self.connection).await
    }
}

async fn run<T: redis::FromRedisValue>(
    script: &ScriptInvocation<'_>,
    connection: &mut MultiplexedConnection,
) -> Result<T> {
    script.invoke_async(connection).await.map_err(Error::other)
}

#[cfg(test)]
mod tests {
    use pynenc_testkit::RedisServer;

    use super::*;

    const OWNER: Owner = Owner { runner: [1; 16], token: [2; 8] };
    const IDS: [Id; 2] = [[7; 16], [8; 16]];

    #[tokio::test]
    async fn an_invocation_is_submitted_once_and_completed_once_by_its_owner() {
        let server = RedisServer::start();
        let mut bare = BareMinimum::on(&server.url()).await.unwrap();
        assert!(bare.submit(&IDS, b"call").await.unwrap());
        assert!(!bare.submit(&IDS, b"other").await.unwrap());
        let taken = bare.take(OWNER, 64).await.unwrap();
        assert_eq!(taken, IDS.map(|id| (id, b"call".to_vec())));
        assert_eq!(bare.take(OWNER, 64).await.unwrap(), []);
        let stale = Owner { token: [3; 8], ..OWNER };
        assert_eq!(bare.settle(stale, &IDS, b"outcome").await.unwrap(), 0);
        assert_eq!(bare.settle(OWNER, &IDS, b"outcome").await.unwrap(), 2);
        assert_eq!(bare.settle(OWNER, &IDS, b"outcome").await.unwrap(), 0);
        let counts = server.command(&["HMGET", "{bare}counts", "queued", "running", "success"]);
        assert_eq!(counts.split_whitespace().collect::<Vec<_>>(), ["0", "0", "2"]);
    }

    #[tokio::test]
    async fn a_hint_to_an_invocation_that_is_not_queued_is_dropped() {
        let server = RedisServer::start();
        let mut bare = BareMinimum::on(&server.url()).await.unwrap();
        bare.submit(&IDS, b"call").await.unwrap();
        bare.take(OWNER, 64).await.unwrap();
        let again = String::from_utf8(IDS[0].to_vec()).unwrap();
        server.command(&["ZADD", "{bare}queue", "1", &again]);
        assert_eq!(bare.take(OWNER, 64).await.unwrap(), []);
        assert_eq!(server.command(&["EXISTS", "{bare}queue"]), "0");
    }
}
