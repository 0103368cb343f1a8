//! What users are promised when processes, links and servers fail, over Redis: real workers, killed and stopped.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fleet;
mod kills;
mod links;
mod stops;
mod supervisor;
mod workflows;
