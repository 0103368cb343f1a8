//! Workflows: bodies that go by a journal, and survive whatever runs them.
//!
//! A body is given a [`Workflow`], and each of its operations is recorded once. When the body runs again (after a retry,
//! after its runner was lost, after it was put aside) it gets what is recorded, and goes on from there. The
//! [`WorkflowExtension`] sees to what happens beside the bodies.

mod cancel;
mod config;
mod data;
mod event;
mod execute;
mod extension;
mod handle;
mod history;
mod kind;
mod operation;
mod replay;
mod retention;
mod run;
mod step;
mod timer;
mod value;
mod workflow;

pub use config::WorkflowConfig;
pub use event::{WaitForEvent, WaitWithin};
pub use extension::WorkflowExtension;
pub use handle::{RunFilter, Runs, Step, Tree, WorkflowRun, Workflows, WorkflowsExt};
pub use history::{Held, History, HistoryArgument, HistoryStep};
pub use workflow::Workflow;
