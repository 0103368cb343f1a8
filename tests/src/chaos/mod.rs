//! Chaos tests: real workers and clients over a real server or file. They are killed, paused, cut off, locked out and
//! restarted at random. Then the oracles check every promise.

mod client;
mod deployment;
mod fault;
mod fault_injector;
mod load;
mod measure;
mod plan;
mod run;
mod soak;
mod sqlite_file;
mod store;

pub use client::run as run_client;
pub use deployment::ROLE;
pub use load::run_worker;
pub use plan::{Plan, StoreKind};
pub use run::{Report, run};
pub use soak::{SoakReport, Trend, run as soak};
