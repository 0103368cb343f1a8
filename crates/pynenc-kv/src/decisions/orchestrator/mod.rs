//! The decisions of the orchestrator.

mod block;
mod claim;
mod counts;
mod deadlock;
mod heartbeat;
mod inspect;
mod keys;
mod listing;
mod outbox;
mod register;
mod runners;
mod slots;
mod state;
mod subscribe;
mod transition;
mod unreadable;
mod waits;

pub use claim::retired;
pub use state::{Effects, State};
