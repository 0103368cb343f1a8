//! Tests of the promises over a SQLite file that several processes share, with real workers that are killed.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fleet;
mod kills;
mod own_transaction;
mod path;
