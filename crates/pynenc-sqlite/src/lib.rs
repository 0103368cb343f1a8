//! The five stores in one SQLite file: durable work on one machine, without a server.
//!
//! The decisions are those of [`pynenc_kv`]; this crate keeps keys and values. Several processes can share the file, and
//! so can several apps. A program may have tables of its own in the file: the tables of pynenc begin with `pynenc_`.
//!
//! [`plugin`] registers the stores, so a configuration can name them. To create them by hand:
//!
//! ```no_run
//! # async fn made() -> pynenc_core::Result<()> {
//! use std::sync::Arc;
//! use pynenc_core::clock::SystemClock;
//! use pynenc_sqlite::{SqliteBroker, SqliteConfig, SqliteOrchestrator};
//!
//! let store = pynenc_sqlite::open(&SqliteConfig::with_path("jobs.db"), "shop", Arc::new(SystemClock)).await?;
//! let (broker, orchestrator) = (SqliteBroker::new(store.clone()), SqliteOrchestrator::new(store));
//! # let _ = (broker, orchestrator);
//! # Ok(())
//! # }
//! ```

mod checkpoint;
mod clock;
mod config;
mod connection;
mod error;
#[cfg(feature = "failpoints")]
mod failpoints;
mod file;
mod identity;
mod location;
mod maintenance;
mod readers;
mod schema;
mod session;
mod sockets;
mod sql;
mod store;
mod submit;
mod turns;
mod worker;
mod write_connection;
mod writer;

use std::sync::Arc;

use pynenc_core::{Clock, ComponentContext, Components, Plugin, Result};
use pynenc_kv::KvStore;

pub use config::{Checkpoint, SqliteConfig, Synchronous};
pub use maintenance::Maintenance;
pub use pynenc_kv::Announcement;
/// The argument cache in a SQLite file of its own.
pub use pynenc_kv::KvArgCache as SqliteArgCache;
/// The broker in a SQLite file.
pub use pynenc_kv::KvBroker as SqliteBroker;
/// The orchestrator in a SQLite file.
pub use pynenc_kv::KvOrchestrator as SqliteOrchestrator;
/// The state backend in a SQLite file.
pub use pynenc_kv::KvStateBackend as SqliteStateBackend;
/// The trigger store in a SQLite file.
pub use pynenc_kv::KvTriggerStore as SqliteTriggerStore;
pub use rusqlite;
pub use submit::SqliteSubmitter;
pub use submit::transaction::{AsyncSqlTransaction, SqlResult, SqlRow, SqlTransaction, SqlValue};

use schema::Kind;

/// Opens the store of an app for all components but the argument cache. Components of this process share it.
///
/// # Errors
///
/// The file can't be used: the error says why, and what to do.
pub async fn open(config: &SqliteConfig, app_id: &str, clock: Arc<dyn Clock>) -> Result<KvStore> {
    store::open(config, Kind::Main, app_id, clock).await
}

/// Opens the store of an app's argument cache, which is a file beside the other one. Its name ends in `-content`.
///
/// # Errors
///
/// As [`open`].
pub async fn open_content(config: &SqliteConfig, app_id: &str, clock: Arc<dyn Clock>) -> Result<KvStore> {
    store::open(config, Kind::Content, app_id, clock).await
}

/// Creates the plugin that registers the stores of this crate.
pub fn plugin() -> SqlitePlugin {
    SqlitePlugin
}

/// Registers the stores of this crate, each under `pynenc_sqlite::` and its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct SqlitePlugin;

impl Plugin for SqlitePlugin {
    fn register(&self, components: &mut Components) {
        components.broker("pynenc_sqlite::SqliteBroker", async |context| Ok(SqliteBroker::new(main(context).await?)));
        components.orchestrator("pynenc_sqlite::SqliteOrchestrator", async |context| {
            Ok(SqliteOrchestrator::new(main(context).await?))
        });
        components.state_backend("pynenc_sqlite::SqliteStateBackend", async |context| {
            Ok(SqliteStateBackend::new(main(context).await?))
        });
        components.trigger_store("pynenc_sqlite::SqliteTriggerStore", async |context| {
            Ok(SqliteTriggerStore::new(main(context).await?))
        });
        components.arg_cache("pynenc_sqlite::SqliteArgCache", async |context: ComponentContext| {
            let config = context.config.section()?;
            Ok(SqliteArgCache::new(open_content(&config, &context.app_id, context.clock).await?))
        });
    }
}

async fn main(context: ComponentContext) -> Result<KvStore> {
    open(&context.config.section()?, &context.app_id, context.clock).await
}
