//! The five stores on Redis, for work that outlives its processes and that many processes share.
//!
//! Nearly every method is one script, and so one atomic step in one round trip. All keys of an app have its name as
//! their hash tag, so an app lives in one slot of a cluster. Time is the server's. The server is Redis 6.2 or newer, or
//! Valkey.
//!
//! [`plugin`] registers the stores, so a configuration can name them. To create them by hand:
//!
//! ```no_run
//! # async fn made() -> pynenc_core::Result<()> {
//! use pynenc_redis::{RedisBroker, RedisConfig, RedisOrchestrator, RedisStore};
//!
//! let store = RedisStore::connect(&RedisConfig::with_url("redis://localhost/0"), "shop").await?;
//! let (broker, orchestrator) = (RedisBroker::new(store.clone()), RedisOrchestrator::new(store));
//! # let _ = (broker, orchestrator);
//! # Ok(())
//! # }
//! ```

mod arg_cache;
mod arguments;
mod broker;
mod client;
mod codec;
mod codes;
mod config;
mod decision;
mod entry;
mod error;
mod invocation_record;
mod keys;
mod lane;
mod layout;
mod log;
mod orchestrator;
mod pubsub;
mod records;
mod replies;
mod script;
mod start_check;
mod state_backend;
mod store;
mod trigger_store;
mod value;

use pynenc_core::{ComponentContext, Components, Plugin, Result};

pub use arg_cache::RedisArgCache;
pub use broker::RedisBroker;
pub use config::{RedisConfig, StartCheck};
pub use lane::RedisLane;
pub use orchestrator::RedisOrchestrator;
pub use state_backend::RedisStateBackend;
pub use store::RedisStore;
pub use trigger_store::RedisTriggerStore;

/// Creates the plugin that registers the stores of this crate.
pub fn plugin() -> RedisPlugin {
    RedisPlugin
}

/// Registers the stores of this crate, each under `pynenc_redis::` and its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct RedisPlugin;

impl Plugin for RedisPlugin {
    fn register(&self, components: &mut Components) {
        components.broker("pynenc_redis::RedisBroker", async |context| Ok(RedisBroker::new(store(&context).await?)));
        components.orchestrator("pynenc_redis::RedisOrchestrator", async |context| {
            Ok(RedisOrchestrator::new(store(&context).await?))
        });
        components.state_backend("pynenc_redis::RedisStateBackend", async |context| {
            Ok(RedisStateBackend::new(store(&context).await?))
        });
        components.trigger_store("pynenc_redis::RedisTriggerStore", async |context| {
            Ok(RedisTriggerStore::new(store(&context).await?))
        });
        components
            .arg_cache("pynenc_redis::RedisArgCache", async |context| Ok(RedisArgCache::new(store(&context).await?)));
    }
}

async fn store(context: &ComponentContext) -> Result<RedisStore> {
    RedisStore::connect(&RedisConfig::of(&context.config)?, &context.app_id).await
}
