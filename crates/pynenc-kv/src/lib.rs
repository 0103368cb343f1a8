//! Backends over an ordered key-value store with transactions.
//!
//! A backend implements two traits about bytes: [`KeyValue`] runs steps in transactions, and [`Transaction`] reads and
//! writes the tables. This crate makes all decisions: the lifecycle, concurrency slots, deadlock detection, the outbox
//! and retention.
//!
//! | file | holds |
//! |---|---|
//! | `key_value.rs`, `transaction.rs`, `table.rs` | the interface of a store |
//! | `group.rs`, `writer.rs` | several steps in one transaction, and a thread that performs them |
//! | `storage.rs` | the collections that decisions stand on; `native.rs` and `bytes/` implement them |
//! | `decisions/` | the decisions of the five stores |
//! | `local/`, `process.rs`, `committed.rs` | those who wait in this process, and what they are notified of after a commit |
//! | `store.rs`, `step.rs` | a store, and its steps |
//! | `broker.rs`, `orchestrator.rs`, .., `lane.rs`, `work.rs` | the components over a store, and their lane |
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

mod arg_cache;
mod broker;
mod bytes;
mod committed;
mod consumer;
pub mod decisions;
mod group;
mod key;
mod key_value;
mod lane;
pub mod local;
pub mod native;
mod orchestrator;
mod ordered;
mod plugin;
mod process;
mod state_backend;
mod step;
pub mod storage;
mod store;
mod submit;
mod table;
mod transaction;
mod trigger_store;
mod work;
mod writer;

pub use arg_cache::KvArgCache;
pub use broker::KvBroker;
pub use group::Group;
pub use key::Key;
pub use key_value::{Durability, KeyValue, Listener, Notice, Step, Topic};
pub use orchestrator::KvOrchestrator;
pub use plugin::KvPlugin;
pub use state_backend::KvStateBackend;
pub use store::{KvStore, WeakKvStore};
pub use submit::Announcement;
pub use table::Table;
pub use transaction::{KeyRange, Order, Transaction};
pub use trigger_store::KvTriggerStore;
pub use writer::Writer;
