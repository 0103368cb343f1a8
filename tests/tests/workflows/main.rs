//! What workflows promise, over the stores in memory and under virtual time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crashes;
mod keeping;
mod replaying;
mod seeds;
mod sleepers;
#[path = "../triggers/stores.rs"]
mod stores;
