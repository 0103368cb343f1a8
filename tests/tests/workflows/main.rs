//! Tests of workflows over the stores in memory, under virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crashes;
mod many_suspended;
mod random_programs;
mod replay;
mod retention;
#[path = "../triggers/stores.rs"]
mod stores;
