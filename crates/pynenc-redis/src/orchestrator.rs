//! The orchestrator on Redis. Each method is one script, and so one atomic step.

mod lifecycle;
mod listing;
mod outbox;
mod retention;
mod runners;
mod store;
mod waiting;

pub use store::RedisOrchestrator;
