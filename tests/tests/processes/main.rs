//! What users are promised when processes, links and servers fail, over Redis: real workers, killed and stopped.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocked;
mod fleet;
mod herds;
mod kills;
mod links;
mod services;
mod signals;
mod stops;
mod stores;
mod supervisor;
mod workflows;
