//! Queries about workflows: runs, call trees, journals and data.

use pynenc_core::orchestrator::Tracked;
use pynenc_core::page::Cursor;
use pynenc_core::record::{InvocationRecord, Payload, WorkflowIdentity};
use pynenc_core::state_backend::{JournalRecord, Listing};
use pynenc_core::{InvocationId, Serializer, SerializerExt, Status, StatusRecord, TaskId, Timestamp, reads};
use pynenc_engine::{Engine, Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::history::History;
use crate::operation_kind;

/// The largest number of runs that are read at once.
const BATCH: usize = 500;

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowRun {
    /// The id of the invocation.
    pub id: InvocationId,
    /// The workflow. A retry has the workflow of the first run.
    pub workflow: WorkflowIdentity,
    /// The task.
    pub task: TaskId,
    /// The status, with its time and reason.
    pub record: StatusRecord,
    /// The run that this run is a retry of.
    pub retry_of: Option<InvocationId>,
}

/// A filter for runs. The default matches all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only runs of this task.
    pub task: Option<TaskId>,
    /// Only runs in one of these statuses; an empty list means all.
    pub statuses: Vec<Status>,
    /// The cursor to continue from: [`RunPage::next`] of the page before.
    pub after: Option<Cursor>,
}

/// A page of runs, in the order in which they started.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// The runs of the page.
    pub runs: Vec<WorkflowRun>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<Cursor>,
}

/// An invocation and its descendants.
#[derive(Debug, Clone, PartialEq)]
pub struct CallTree {
    /// The id of the invocation.
    pub id: InvocationId,
    /// The task.
    pub task: TaskId,
    /// The workflow that the invocation takes part in.
    pub workflow: Option<WorkflowIdentity>,
    /// The status; `None` if it is no longer kept.
    pub status: Option<Status>,
    /// The children that the task function called, in the order of their ids.
    pub children: Vec<CallTree>,
}

/// A recorded operation of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalStep {
    /// The position in the journal: a path of branch names and a number.
    pub position: String,
    /// The kind of the operation, such as `step` or `execute`.
    pub kind: String,
    /// The name of the step, task, event or key.
    pub name: String,
    /// The time of the recording, by the store's clock.
    pub at: Timestamp,
    /// Whether the operation failed; the value is the error.
    pub failed: bool,
    /// The value. If it can't be shown as JSON, its length in bytes.
    pub value: Value,
}

/// Reads the workflows of an app; made by [`WorkflowsExt::workflows`].
///
/// # Errors
///
/// Beside the errors of each method, [`Error::Unavailable`] if a store can't be reached.
///
/// # Cancel safety
///
/// All methods only read.
#[derive(Debug, Clone, Copy)]
pub struct Workflows<'a> {
    engine: &'a Engine,
}

/// Adds [`workflows`](Self::workflows) to an app.
pub trait WorkflowsExt {
    /// Returns the reader of the app's workflows.
    ///
    /// ```
    /// # use pynenc_core::Status;
    /// # use pynenc_engine::{Engine, Result};
    /// use pynenc_workflow::{RunFilter, WorkflowsExt};
    ///
    /// # async fn list(app: &Engine) -> Result<()> {
    /// let failed = RunFilter { statuses: vec![Status::Failed], ..RunFilter::default() };
    /// for run in app.workflows().runs(&failed, 100).await?.runs {
    ///     println!("{} of {}", run.id, run.task);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn workflows(&self) -> Workflows<'_>;
}

impl WorkflowsExt for Engine {
    fn workflows(&self) -> Workflows<'_> {
        Workflows { engine: self }
    }
}

impl Workflows<'_> {
    /// Returns a page of the runs that match a filter. The page has at least `limit` runs, if there are as many, and
    /// may have more. A run is listed once it has opened its journal; a workflow that hasn't run yet is among the
    /// invocations.
    pub async fn runs(&self, filter: &RunFilter, limit: usize) -> Result<RunPage> {
        let mut found = RunPage { runs: Vec::new(), next: filter.after };
        loop {
            let state = &self.engine.parts().state;
            let page = state.list(&Listing::WorkflowRuns, found.next, limit.clamp(1, BATCH)).await?;
            let runs = self.read(&page.items).await?;
            found.runs.extend(runs.into_iter().filter(|run| matches(filter, run)));
            found.next = page.next;
            if found.next.is_none() || found.runs.len() >= limit {
                return Ok(found);
            }
        }
    }

    async fn read(&self, ids: &[InvocationId]) -> Result<Vec<WorkflowRun>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let records = self.engine.parts().state.invocations(ids).await?;
        let tracked = self.engine.parts().orchestrator.records(ids).await?;
        Ok(records.iter().zip(tracked).filter_map(|(record, tracked)| run(record.as_deref()?, tracked?)).collect())
    }

    /// Returns an invocation with its descendants.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`] for an invocation that isn't known.
    pub async fn tree(&self, id: InvocationId) -> Result<CallTree> {
        let (root, children) = self.nodes(&[id]).await?.pop().ok_or(Error::InvocationNotFound(id))?;
        // Each node has the index of its parent in the level above.
        let mut levels = vec![vec![(root, 0)]];
        let mut next: Vec<(usize, InvocationId)> = children.into_iter().map(|child| (0, child)).collect();
        while !next.is_empty() {
            let ids: Vec<_> = next.iter().map(|(_, id)| *id).collect();
            let (mut level, mut below) = (Vec::new(), Vec::new());
            for ((node, children), (parent, _)) in self.nodes(&ids).await?.into_iter().zip(&next) {
                below.extend(children.into_iter().map(|child| (level.len(), child)));
                level.push((node, *parent));
            }
            levels.push(level);
            next = below;
        }
        Ok(build_tree(levels))
    }

    /// Reads invocations as nodes without children, each with the ids of its children.
    async fn nodes(&self, ids: &[InvocationId]) -> Result<Vec<(CallTree, Vec<InvocationId>)>> {
        let state = &self.engine.parts().state;
        let records = state.invocations(ids).await?;
        let tracked = self.engine.parts().orchestrator.records(ids).await?;
        let mut nodes = Vec::with_capacity(ids.len());
        for (record, tracked) in records.into_iter().zip(tracked) {
            let Some(record) = record else { continue };
            let status = tracked.map(|tracked| tracked.record.status);
            let (id, task, workflow) = (record.id, record.task.clone(), record.workflow);
            let children = reads::children(&**state, id).await?;
            nodes.push((CallTree { id, task, workflow, status, children: Vec::new() }, children));
        }
        Ok(nodes)
    }

    /// Returns the recorded operations of a run, in their order.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`] for an invocation without a journal.
    pub async fn journal(&self, id: InvocationId) -> Result<Vec<JournalStep>> {
        let state = &self.engine.parts().state;
        let journal = state.journal(id).await?.ok_or(Error::InvocationNotFound(id))?;
        let record = state.invocations(&[id]).await?.pop().flatten().ok_or(Error::InvocationNotFound(id))?;
        let serializer = self.engine.reader(&record.serializer)?;
        Ok(journal.entries.into_iter().map(|recorded| step(&*serializer, recorded)).collect())
    }

    /// Returns a value that a workflow stored with [`Workflow::set_data`](crate::Workflow::set_data).
    pub async fn data<T: DeserializeOwned>(&self, workflow: InvocationId, key: &str) -> Result<Option<T>> {
        let state = &self.engine.parts().state;
        let (value, record) = (state.workflow_data(workflow, key).await?, state.invocations(&[workflow]).await?.pop());
        let (Some(value), Some(record)) = (value, record.flatten()) else { return Ok(None) };
        Ok(Some(self.engine.value(&value, &record.serializer).await?))
    }

    /// Exports a run, for a file. `pynenc::testing::replay` replays the file against later code.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`] for an invocation without a journal.
    pub async fn export(&self, id: InvocationId) -> Result<History> {
        History::of(self.engine, id).await
    }
}

fn matches(filter: &RunFilter, run: &WorkflowRun) -> bool {
    filter.task.as_ref().is_none_or(|task| *task == run.task)
        && (filter.statuses.is_empty() || filter.statuses.contains(&run.record.status))
}

fn run(record: &InvocationRecord, tracked: Tracked) -> Option<WorkflowRun> {
    let Tracked { id, task, record: status, .. } = tracked;
    let workflow = record.workflow.unwrap_or(WorkflowIdentity { id, parent: None });
    (record.id == id).then_some(WorkflowRun { id, workflow, task, record: status, retry_of: record.retry_of })
}

/// Builds the tree: moves the nodes of each level to their parents, from the lowest level up.
fn build_tree(mut levels: Vec<Vec<(CallTree, usize)>>) -> CallTree {
    while levels.len() > 1 {
        let Some(level) = levels.pop() else { break };
        if let Some(above) = levels.last_mut() {
            for (node, parent) in level {
                above[parent].0.children.push(node);
            }
        }
    }
    levels.pop().and_then(|mut level| level.pop()).map(|(root, _)| root).expect("the first level has the root")
}

fn step(serializer: &dyn Serializer, recorded: JournalRecord) -> JournalStep {
    let JournalRecord { entry, at } = recorded;
    let value = match &entry.value {
        Payload::Inline(bytes) => serializer.decode_as(bytes).unwrap_or_else(|_| length(&entry.value)),
        Payload::External { .. } => length(&entry.value),
    };
    JournalStep {
        position: entry.position.to_string(),
        kind: operation_kind::of_entry(&entry).to_owned(),
        name: entry.name.to_string(),
        at,
        failed: operation_kind::is_failure(&entry),
        value,
    }
}

fn length(value: &Payload) -> Value {
    format!("{} bytes", value.size()).into()
}
