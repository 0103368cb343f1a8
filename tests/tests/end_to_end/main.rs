//! End-to-end tests through the public API, in memory and over Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod app_state;
mod awaited_calls;
mod backend;
mod blocking_tasks;
mod calling;
mod calls_by_name;
mod cancelling;
mod concurrency;
mod delays;
mod failing;
mod lifecycle;
mod popped_hints;
mod retry;
mod round_trips;
mod setup;
mod synchronous;
mod trace_propagation;
mod value_limits;
mod waiting;
mod why;
mod workflows;
