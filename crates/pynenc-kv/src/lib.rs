//! Backends over an ordered key-value store with transactions.
//!
//! A backend implements two traits about bytes: [`KeyValue`] runs steps in transactions, and [`Transaction`] reads and
//! writes the tables. This crate makes all decisions: the lifecycle, concurrency slots, deadlock detection, the outbox
//! and retention.
//!
//! | file | holds |
//! |---|---|
//! | `key_value.rs` | the store as a whole: write and read transactions, and notifications between processes |
//! | `transaction.rs` | the operations of a transaction |
//! | `table.rs` | the names of the tables |
//! | `group.rs` | several steps in one transaction |
//! | `writer.rs` | a thread that performs all writes |

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
pub use state_backend::KvStateBackend;
pub use store::{KvStore, WeakKvStore};
pub use submit::Announcement;
pub use table::Table;
pub use transaction::{KeyRange, Order, Transaction};
pub use trigger_store::KvTriggerStore;
pub use writer::Writer;
