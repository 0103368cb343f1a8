//! The decisions of the stores, over collections of any kind.

pub mod contents;
pub mod orchestrator;
pub mod queues;
pub mod records;
pub mod triggers;
