//! Tests of the promises under failing processes, links and stores, with real workers that are killed and paused. Tests
//! in `on_each_store!` run over Redis and over a SQLite file.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocked_threads;
mod bursts;
mod commits;
mod connections;
mod file_faults;
mod fleet;
mod kills;
mod own_transaction;
mod path;
mod pauses;
mod recovery;
mod server_faults;
mod signals;
mod supervisor;
mod workflows;
