//! A simulation of crashing workers, drawn from a seed, over the real engine and stores in memory.
//!
//! Workers die between any two steps and pause past their leases. Store calls are refused, or take effect and lose
//! their reply. Hints are lost and repeated. Clients submit tasks that wait, fail, are limited, or wait for themselves.
//! When the faults stop, everything has to finish. Then the oracles check the remaining state.

mod faults;
mod mutation;
mod oracles;
mod process;
mod scheduler;
mod tasks;
mod world;

pub use mutation::Mutation;
pub use oracles::Violation;
pub use scheduler::simulate;
pub use world::{Report, Stores};
