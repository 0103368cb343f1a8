//! Tests of the promises under failing processes, links and servers, over Redis, with real workers that are killed and
//! paused.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocked_threads;
mod bursts;
mod connections;
mod fleet;
mod kills;
mod pauses;
mod recovery;
mod server_faults;
mod signals;
mod supervisor;
mod workflows;
