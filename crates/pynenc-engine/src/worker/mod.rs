//! The work of one runner: claim, execute and settle attempts, send heartbeats, and maintain the app.
//!
//! A [`Runner`](crate::runner::Runner) decides when and on which threads a [`Worker`]'s steps are done.

mod awaited_call;
mod claim;
mod execute;
mod health;
mod heartbeat;
mod inline_claim;
mod maintenance;
mod outcome;
mod progress;
mod recovery;
mod report_state;
mod resume_caller;
mod retention;
mod retry;
mod settle;
mod state;
mod sweep;
mod synchronous;
mod unknown_tasks;

pub(crate) use state::StartAttempt;
pub use state::Worker;
