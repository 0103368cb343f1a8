//! What a pynenc component must know, and nothing else: identities, the life cycle, records, the component traits, the
//! registry, configuration and errors.
//!
//! A crate that brings a component of its own depends on this one alone. The [`Broker`] is a hint, the
//! [`Orchestrator`]'s record is the only commit point: see [`status::advance`] for the life cycle.

pub mod arg_cache;
pub mod broker;
pub mod cached;
pub mod clock;
pub mod components;
pub mod config;
pub mod error;
pub mod id;
pub mod lane;
pub mod names;
pub mod orchestrator;
pub mod record;
pub mod serializer;
pub mod state_backend;
pub mod status;
pub mod task_options;
pub mod trigger_store;

pub use arg_cache::ArgCache;
pub use async_trait::async_trait;
pub use broker::Broker;
pub use clock::{Clock, Timestamp};
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
