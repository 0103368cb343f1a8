//! The five stores in memory: for tests, for development, and for applications of one process.
//!
//! Each store is plain data behind one mutex, so every method is one atomic step. The stores keep every promise of their
//! traits until the process ends.
//!
//! ```
//! use std::sync::Arc;
//! use pynenc_core::clock::SystemClock;
//! use pynenc_mem::MemBroker;
//!
//! let broker = MemBroker::new(Arc::new(SystemClock));
//! # let _ = broker;
//! ```

mod arg_cache;
mod broker;
mod orchestrator;
mod shared;
mod state_backend;
mod trigger_store;

use pynenc_core::{Components, Plugin};

pub use arg_cache::MemArgCache;
pub use broker::MemBroker;
pub use orchestrator::MemOrchestrator;
pub use state_backend::MemStateBackend;
pub use trigger_store::MemTriggerStore;

/// Returns the plugin that adds the stores of this crate to an app.
pub fn plugin() -> MemPlugin {
    MemPlugin
}

/// Registers the stores of this crate, each as `pynenc_mem::` and its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemPlugin;

impl Plugin for MemPlugin {
    fn register(&self, components: &mut Components) {
        components.broker("pynenc_mem::MemBroker", async |context| Ok(MemBroker::new(context.clock)));
        components.orchestrator("pynenc_mem::MemOrchestrator", async |context| Ok(MemOrchestrator::new(context.clock)));
        components
            .state_backend("pynenc_mem::MemStateBackend", async |context| Ok(MemStateBackend::new(context.clock)));
        components
            .trigger_store("pynenc_mem::MemTriggerStore", async |context| Ok(MemTriggerStore::new(context.clock)));
        components.arg_cache("pynenc_mem::MemArgCache", async |context| Ok(MemArgCache::new(context.clock)));
    }
}
