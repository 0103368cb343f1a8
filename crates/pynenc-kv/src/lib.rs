//! Backends over an ordered key-value store with transactions.
//!
//! A backend implements two traits about bytes: [`KeyValue`] runs steps in transactions, and [`Transaction`] reads and
//! writes the tables. This crate makes all decisions: the lifecycle, concurrency slots, deadlock detection, the outbox
//! and retention.
//!
//! | file | holds |
//! |---|---|
//! | `decisions/` | the decisions of the five stores |
//! | `storage.rs` | the collections that decisions stand on; `native.rs` and `stores/bytes/` implement them |
//! | `local/` | those who wait in this process |
//! | `key.rs`, `table.rs` | the tables of a key-value store, and their keys |
//! | `stores/` | the components over a key-value store: the feature `stores` |
//!
//! To write a backend, implement [`KeyValue`] and [`Transaction`], and create the components over a [`KvStore`]:
//!
//! ```
//! use std::sync::Arc;
//! use pynenc_core::clock::SystemClock;
//! use pynenc_kv::{KeyValue, KvBroker, KvOrchestrator, KvStore};
//!
//! fn components(data: impl KeyValue) -> (KvBroker, KvOrchestrator) {
//!     let store = KvStore::new(Arc::new(data), Arc::new(SystemClock));
//!     (KvBroker::new(store.clone()), KvOrchestrator::new(store))
//! }
//! ```

pub mod decisions;
mod key;
pub mod local;
pub mod native;
mod ordered;
pub mod storage;
#[cfg(feature = "stores")]
mod stores;
mod table;

pub use key::Key;
#[cfg(feature = "stores")]
pub use stores::*;
pub use table::Table;
