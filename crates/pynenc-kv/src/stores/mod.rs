//! The components over a key-value store.
//!
//! | file | holds |
//! |---|---|
//! | `key_value.rs`, `transaction.rs` | the interface of a store |
//! | `group.rs`, `writer.rs` | several steps in one transaction, and a thread that performs them |
//! | `store.rs`, `step.rs` | a store, and its steps |
//! | `bytes/` | the collections of the decisions, in tables of bytes |
//! | `process.rs`, `committed.rs` | the notifications after a commit |
//! | `broker.rs`, `orchestrator.rs`, .. | the components |
//! | `lane.rs`, `work.rs`, `entry_hints.rs` | their lane |

mod arg_cache;
mod broker;
mod bytes;
mod committed;
mod consumer;
mod entry_hints;
mod group;
mod key_value;
mod lane;
mod orchestrator;
mod plugin;
mod process;
mod state_backend;
mod step;
mod store;
mod submit;
mod transaction;
mod trigger_store;
mod work;
mod writer;

pub use arg_cache::KvArgCache;
pub use broker::KvBroker;
pub use group::Group;
pub use key_value::{Durability, KeyValue, Listener, Notice, Step, Topic};
pub use orchestrator::KvOrchestrator;
pub use plugin::KvPlugin;
pub use state_backend::KvStateBackend;
pub use store::{KvStore, WeakKvStore};
pub use submit::Announcement;
pub use transaction::{KeyRange, Order, Transaction};
pub use trigger_store::KvTriggerStore;
pub use writer::Writer;
