//! Chaos tests: real workers and clients over a real server. They are killed, paused, cut off and restarted at random.
//! Then the oracles check every promise.

mod client;
mod deployment;
mod fault_injector;
mod load;
mod measure;
mod plan;
mod run;
mod soak;

pub use client::run as run_client;
pub use deployment::ROLE;
pub use load::run_worker;
pub use plan::Plan;
pub use run::{Report, run};
pub use soak::{SoakReport, Trend, run as soak};
