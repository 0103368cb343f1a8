//! Workflow runs and their journals.

use pynenc_core::{InvocationId, Status, Timestamp};
use pynenc_workflow::{RunFilter, WorkflowRun as Run, WorkflowsExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::parse::{cursor_text, parse_cursor};
use crate::problem::Problem;
use crate::state::WebState;

/// The number of runs of a page, unless the request says another one.
const DEFAULT_LIMIT: usize = 50;
/// The maximum number of runs that a request may ask for.
const MAX_LIMIT: usize = 500;

/// The position in the list of workflow runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WorkflowsQuery {
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// The number of runs, from 1 to 500; 50 by default.
    pub(crate) limit: Option<usize>,
}

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WorkflowRun {
    /// The invocation.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: InvocationId,
    /// The first run of the workflow, of which this one may be a retry.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) workflow: InvocationId,
    /// The workflow that this workflow was called from.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) parent: Option<InvocationId>,
    pub(crate) task: String,
    #[schema(value_type = String)]
    pub(crate) status: Status,
    /// When the invocation entered the status.
    pub(crate) at: u64,
    /// When the run is resumed.
    pub(crate) due: Option<u64>,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) retry_of: Option<InvocationId>,
}

/// A page of workflow runs, in the order in which they started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WorkflowRunPage {
    pub(crate) items: Vec<WorkflowRun>,
    /// The cursor of the next page; missing on the last page.
    pub(crate) next: Option<String>,
}

/// A recorded operation of a workflow run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct JournalStep {
    /// The position: a path of branch names and a number.
    pub(crate) position: String,
    /// The kind of the operation, such as `step` or `execute`.
    pub(crate) kind: String,
    /// The name of the step, task, event or key.
    pub(crate) name: String,
    pub(crate) at: u64,
    /// Whether the operation failed; the value is the error.
    pub(crate) failed: bool,
    /// The value, as `web.arguments` says.
    pub(crate) value: Option<Value>,
}

impl WorkflowRun {
    fn new(run: Run) -> Self {
        let Run { id, workflow, task, record, retry_of } = run;
        Self {
            id,
            workflow: workflow.id,
            parent: workflow.parent,
            task: task.to_string(),
            status: record.status,
            at: record.at.as_millis(),
            due: record.due.map(Timestamp::as_millis),
            retry_of,
        }
    }
}

/// Lists workflow runs.
pub(crate) async fn workflow_runs(state: &WebState, query: &WorkflowsQuery) -> Result<WorkflowRunPage, Problem> {
    let cursor = query.cursor.as_deref().filter(|cursor| !cursor.is_empty());
    let filter = RunFilter { after: cursor.map(parse_cursor).transpose()?, ..RunFilter::default() };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let page = state.app.workflows().runs(&filter, limit).await?;
    Ok(WorkflowRunPage {
        items: page.runs.into_iter().map(WorkflowRun::new).collect(),
        next: page.next.map(cursor_text),
    })
}

/// Lists the recorded operations of a workflow run.
pub(crate) async fn journal(state: &WebState, id: InvocationId) -> Result<Vec<JournalStep>, Problem> {
    let steps = state.app.workflows().journal(id).await?.into_iter();
    let step = |step: pynenc_workflow::JournalStep| JournalStep {
        position: step.position,
        kind: step.kind,
        name: step.name,
        at: step.at.as_millis(),
        failed: step.failed,
        value: state.value(step.value),
    };
    Ok(steps.map(step).collect())
}
