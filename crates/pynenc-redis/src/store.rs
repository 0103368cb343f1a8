//! The Redis store of one app, which all components of the app in this process share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use pynenc_core::Result;
use tokio::sync::OnceCell;

use crate::client::Client;
use crate::config::RedisConfig;
use crate::pubsub::PubSub;
use crate::start_check;

/// The Redis store of one app. Clones are cheap and share their connections.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    client: Arc<Client>,
    pubsub: PubSub,
    checked: OnceCell<()>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.0.client).finish()
    }
}

type Registry = Mutex<HashMap<(String, String), Weak<Shared>>>;

/// The stores in use, by address and app. The components of an app find each other's connections here.
static IN_USE: LazyLock<Registry> = LazyLock::new(Mutex::default);

impl RedisStore {
    /// Opens the store of an app, over the connections that this process has already, or new ones.
    ///
    /// # Errors
    ///
    /// The address is invalid, the server can't be reached or refuses the credentials, or `redis.start_check` refuses
    /// the server.
    pub async fn connect(config: &RedisConfig, app_id: &str) -> Result<Self> {
        let store = Self::shared(config, app_id)?;
        store.0.checked.get_or_try_init(|| start_check::check(store.client())).await?;
        Ok(store)
    }

    fn shared(config: &RedisConfig, app_id: &str) -> Result<Self> {
        let info = config.info()?;
        // `Debug` shows no password. Stores with different passwords or certificates are different.
        let credentials = (info.redis_settings().password(), &config.redis_tls_ca);
        let key = (format!("{info:?} {credentials:?}"), app_id.to_owned());
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = in_use.get(&key).and_then(Weak::upgrade) {
            return Ok(Self(shared));
        }
        in_use.retain(|_, shared| shared.strong_count() > 0);
        let client = Arc::new(Client::new(config, app_id)?);
        let shared = Arc::new(Shared { pubsub: PubSub::new(client.clone()), client, checked: OnceCell::new() });
        in_use.insert(key, Arc::downgrade(&shared));
        Ok(Self(shared))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn pubsub(&self) -> &PubSub {
        &self.0.pubsub
    }
}

#[cfg(feature = "test-clock")]
impl RedisStore {
    /// The present time of the app's stores.
    pub async fn present(&self) -> Result<pynenc_core::Timestamp> {
        self.client().now().await
    }

    /// Moves the clock of the app's stores ahead.
    pub async fn advance(&self, by: std::time::Duration) -> Result<()> {
        self.client().advance_clock(by).await
    }
}
