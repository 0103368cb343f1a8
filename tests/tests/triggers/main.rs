//! What triggers promise, over the stores in memory and under virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod combining;
mod crashes;
mod failing;
mod reacting;
mod runtime;
mod setup;
mod stores;
mod time;
