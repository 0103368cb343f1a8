//! The JSON values of the API, and how they are read from the app. The pages show the same values.
//!
//! Times are milliseconds since 1970 (UTC), and durations are milliseconds. A text that is hidden, because of the setting
//! `web.arguments`, is left out.

mod configuration;
mod invocation;
mod invocations;
mod limits;
mod parse;
mod runners;
mod tasks;
mod timeline;
mod tree;
#[cfg(feature = "triggers")]
mod triggers;
mod visibility;
#[cfg(feature = "workflow")]
mod workflows;

pub(crate) use configuration::{Setting, settings};
pub(crate) use invocation::{
    Attempt, Failure, HistoryLine, Invocation, Outcome, Span, Submission, invocation, outcome_within, wait_for, why,
};
pub(crate) use invocations::{InvocationPage, InvocationRow, InvocationsQuery, invocations};
pub(crate) use limits::{Limit, Limits, limits};
pub(crate) use parse::{parse_id, parse_wait};
pub(crate) use runners::{Runner, runner, runners};
pub(crate) use tasks::{Bucket, Task, TaskStatistics, statistics, task, tasks};
pub(crate) use timeline::{Bar, Timeline, TimelineQuery, timeline};
pub(crate) use tree::{Tree, TreeNode, tree};
#[cfg(feature = "triggers")]
pub(crate) use triggers::{Schedule, Slot, Trigger, TriggerRun, event_triggers, trigger, trigger_runs, triggers};
#[cfg(feature = "workflow")]
pub(crate) use workflows::{JournalStep, WorkflowRunPage, WorkflowsQuery, journal, workflow_runs};
