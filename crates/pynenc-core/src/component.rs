//! The methods that all stores have in common.

use std::fmt;
use std::sync::atomic::AtomicU64;

use async_trait::async_trait;

use crate::error::Result;

/// The number of connections that the components of this process opened in place of lost ones, for metrics.
pub static RECONNECTS: AtomicU64 = AtomicU64::new(0);

/// Identifies the store that keeps a component's data. Components with equal ids can share a lane.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreId(pub Box<str>);

impl StoreId {
    /// The id of a store in the memory of this process.
    pub fn of_this_process() -> Self {
        Self(format!("process {}", std::process::id()).into())
    }
}

/// A component that keeps data: a broker, an orchestrator, a state backend, a trigger store or an argument cache.
#[async_trait]
pub trait Component: fmt::Debug + Send + Sync + 'static {
    /// Deletes all data of the component. The `# Behavior` list of its trait says what a purge leaves in place.
    async fn purge(&self) -> Result<()>;

    /// The store behind this component; `None` if the component shares its store with no other.
    fn store_id(&self) -> Option<StoreId> {
        None
    }

    /// Lists the store's own settings that may lose work. Each item is a sentence with advice.
    async fn weaknesses(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
