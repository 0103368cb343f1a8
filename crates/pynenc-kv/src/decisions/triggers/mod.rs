//! The decisions of the trigger store.

mod definitions;
mod event_log;
mod event_waits;
mod expiry;
mod occurrences;
mod runs;
mod state;

pub use state::State;
