//! One server for all tests of a binary.

use std::sync::LazyLock;
use std::time::Duration;

use pynenc_core::{InvocationId, Timestamp, async_trait};
use pynenc_redis::{RedisConfig, RedisStore, StartCheck};
use pynenc_testkit::{RedisServer, Time};

static SERVER: LazyLock<RedisServer> = LazyLock::new(RedisServer::start);

/// The address of the shared server.
pub(crate) fn url() -> String {
    SERVER.url()
}

/// The settings for a server that tests started.
pub(crate) fn settings(url: String) -> RedisConfig {
    RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(url) }
}

/// The shared server for an app that nobody else has.
pub(crate) async fn store() -> RedisStore {
    let app_id = InvocationId::new().to_string();
    RedisStore::connect(&settings(url()), &app_id).await.expect("the server runs")
}

/// A server's clock that is moved ahead by an offset.
#[derive(Debug)]
pub(crate) struct Ahead(pub(crate) RedisStore);

#[async_trait]
impl Time for Ahead {
    async fn now(&self) -> Timestamp {
        self.0.present().await.expect("the server runs")
    }

    async fn advance(&self, by: Duration) {
        self.0.advance(by).await.expect("the server runs");
    }
}
