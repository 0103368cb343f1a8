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
//! # let _ = components::<Closed>;
//! # #[derive(Debug)] struct Closed;
//! # impl KeyValue for Closed {
//! #     fn store_id(&self) -> pynenc_core::component::StoreId { pynenc_core::component::StoreId("closed".into()) }
//! #     fn write(&self, step: Box<dyn pynenc_kv::Step>) { drop(step) }
//! #     fn read(&self, step: Box<dyn pynenc_kv::Step>) { drop(step) }
//! # }
//! ```

#[cfg(feature = "stores")]
mod arg_cache;
#[cfg(feature = "stores")]
mod broker;
#[cfg(feature = "stores")]
mod bytes;
#[cfg(feature = "stores")]
mod committed;
#[cfg(feature = "stores")]
mod consumer;
pub mod decisions;
#[cfg(feature = "stores")]
mod group;
mod key;
#[cfg(feature = "stores")]
mod key_value;
#[cfg(feature = "stores")]
mod lane;
pub mod local;
pub mod native;
#[cfg(feature = "stores")]
mod orchestrator;
mod ordered;
#[cfg(feature = "stores")]
mod plugin;
#[cfg(feature = "stores")]
mod process;
#[cfg(feature = "stores")]
mod state_backend;
#[cfg(feature = "stores")]
mod step;
pub mod storage;
#[cfg(feature = "stores")]
mod store;
#[cfg(feature = "stores")]
mod submit;
mod table;
#[cfg(feature = "stores")]
mod transaction;
#[cfg(feature = "stores")]
mod trigger_store;
#[cfg(feature = "stores")]
mod work;
#[cfg(feature = "stores")]
mod writer;

#[cfg(feature = "stores")]
pub use arg_cache::KvArgCache;
#[cfg(feature = "stores")]
pub use broker::KvBroker;
#[cfg(feature = "stores")]
pub use group::Group;
pub use key::Key;
#[cfg(feature = "stores")]
pub use key_value::{Durability, KeyValue, Listener, Notice, Step, Topic};
#[cfg(feature = "stores")]
pub use orchestrator::KvOrchestrator;
#[cfg(feature = "stores")]
pub use plugin::KvPlugin;
#[cfg(feature = "stores")]
pub use state_backend::KvStateBackend;
#[cfg(feature = "stores")]
pub use store::{KvStore, WeakKvStore};
#[cfg(feature = "stores")]
pub use submit::Announcement;
pub use table::Table;
#[cfg(feature = "stores")]
pub use transaction::{KeyRange, Order, Transaction};
#[cfg(feature = "stores")]
pub use trigger_store::KvTriggerStore;
#[cfg(feature = "stores")]
pub use writer::Writer;
