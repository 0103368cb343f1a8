//! Workflows of pynenc: task functions whose operations are recorded in a journal, so that they survive crashes and
//! long waits.
//!
//! A task function gets a [`Workflow`] by injection. Each operation of the `Workflow` is recorded once in the journal
//! of the run. When the function runs again (after a retry, a crash, or a suspension), it gets the recorded values and
//! continues from there.
//!
//! [`WorkflowsExt::workflows`] lists runs and reads their journals. The [`WorkflowExtension`] resumes suspended runs
//! and cancels the children of cancelled workflows.

mod cancel;
mod children;
mod config;
mod data;
mod deterministic;
mod event;
mod extension;
mod history;
mod injection;
mod operation;
mod operation_kind;
mod queries;
mod replay;
mod retention;
mod run;
mod shared;
mod step;
mod timer;
mod workflow;

pub use config::WorkflowConfig;
pub use event::{WaitForEvent, WaitWithin};
pub use extension::WorkflowExtension;
pub use history::{History, HistoryArgument, HistoryStep, HistoryValue};
pub use queries::{CallTree, JournalStep, RunFilter, RunPage, WorkflowRun, Workflows, WorkflowsExt};
pub use workflow::Workflow;
