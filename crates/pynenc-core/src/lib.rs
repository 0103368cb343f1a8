//! The core of pynenc: ids, the invocation lifecycle, records, component traits, the component registry, configuration
//! and errors.
//!
//! A crate with a component of its own (a broker, an orchestrator, a serializer) depends only on this crate.
//!
//! Two rules hold for every component:
//!
//! - A message of the [`Broker`] is only a hint: it may be lost or repeated.
//! - The [`Orchestrator`]'s [`StatusRecord`] is the only commit point. [`status::advance`] defines its legal
//!   transitions.

pub mod arg_cache;
pub mod broker;
pub mod cached;
pub mod clock;
pub mod component;
pub mod components;
pub mod config;
pub mod error;
pub mod id;
pub mod lane;
pub mod orchestrator;
pub mod packed;
pub mod page;
pub mod reads;
pub mod record;
pub mod serializer;
pub mod state_backend;
pub mod status;
pub mod suggestions;
pub mod task_options;
mod text_enum;
pub mod trigger_store;

pub use arg_cache::ArgCache;
pub use async_trait::async_trait;
pub use broker::Broker;
pub use clock::{Clock, Timestamp};
pub use component::Component;
pub use components::{ComponentContext, Components, Plugin};
pub use erased_serde;
pub use error::{Error, ErrorKind, Result};
pub use id::{ClaimToken, Digest, InvocationId, QueueName, RunnerId, TaskId};
pub use lane::Lane;
pub use orchestrator::Orchestrator;
pub use serializer::{Serializer, SerializerExt};
pub use state_backend::StateBackend;
pub use status::{Reason, Status, StatusRecord};
pub use trigger_store::TriggerStore;
