//! The promises that must hold when a scenario is finished, whatever failed during it.
//!
//! [`Evidence`] is collected from the stores, the ledger and the logs. [`Evidence::breaches`] lists the broken
//! promises:
//!
//! | | promise |
//! |---|---|
//! | I1 | every acknowledged invocation has finished |
//! | I2 | a history has one final line, and an outcome never changes |
//! | I3 | the history explains each run of a task function |
//! | I4 | the runner that committed had the last claim, and ran the task function under it |
//! | I5 | a running key never has more holders than its limit |
//! | I6 | one invocation at a time waits with a registration key |
//! | I7 | a finished invocation leaves nothing but its record |
//! | I8 | after its retention nothing is left |
//! | I9 | a slot of a trigger has one invocation |
//! | I10 | an operation of a workflow has one value |
//! | I11 | work resumes soon after a store is back |
//! | I12 | nothing panics, and no error floods the log |

mod attempts;
mod breach;
mod check;
mod collect;
mod completions;
mod evidence;
mod leftovers;
mod logs;
mod single_effects;
mod slots;
#[cfg(test)]
mod tests;

pub use breach::Breach;
pub use evidence::{Evidence, InvocationEvidence, Leftover, Log, Recovery};
