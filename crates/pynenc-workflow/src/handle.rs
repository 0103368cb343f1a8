//! What people ask of workflows.

use pynenc_core::orchestrator::{Cursor, Tracked};
use pynenc_core::record::{InvocationRecord, Payload, WorkflowIdentity};
use pynenc_core::state_backend::Recorded;
use pynenc_core::{InvocationId, Serializer, SerializerExt, Status, StatusRecord, TaskId, Timestamp};
use pynenc_engine::{Engine, Error, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::history::History;
use crate::kind;

/// At most so many runs are read at once.
const BATCH: usize = 500;

/// A run of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowRun {
    /// The invocation.
    pub id: InvocationId,
    /// The workflow: of a run that is a retry, the one of the first run.
    pub workflow: WorkflowIdentity,
    /// Its type: the task.
    pub task: TaskId,
    /// Where it stands.
    pub record: StatusRecord,
    /// The run that it is a retry of.
    pub retry_of: Option<InvocationId>,
}

/// A filter for runs; what is empty matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Runs of this task.
    pub task: Option<TaskId>,
    /// Runs in one of these statuses.
    pub statuses: Vec<Status>,
    /// Go on behind this place.
    pub after: Option<Cursor>,
}

/// A page of runs, in the order of their beginnings.
#[derive(Debug, Clone, PartialEq)]
pub struct Runs {
    /// The runs.
    pub runs: Vec<WorkflowRun>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// An invocation with all that it has called.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The invocation.
    pub id: InvocationId,
    /// Its task.
    pub task: TaskId,
    /// The workflow that it takes part in.
    pub workflow: Option<WorkflowIdentity>,
    /// Where it stands; `None` where that is no longer kept.
    pub status: Option<Status>,
    /// What its body called, in the order of their ids.
    pub children: Vec<Tree>,
}

/// An operation, as a journal has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its position.
    pub position: String,
    /// What kind of operation.
    pub kind: String,
    /// Which one of its kind: a task, a step, an event.
    pub name: String,
    /// When it was recorded.
    pub at: Timestamp,
    /// Whether its value is an error.
    pub failed: bool,
    /// Its value, as far as it has a readable form; else its length.
    pub value: Value,
}

/// The workflows of an app, for whoever operates it.
#[derive(Debug, Clone, Copy)]
pub struct Workflows<'a> {
    engine: &'a Engine,
}

/// The way to an app's workflows.
pub trait WorkflowsExt {
    /// The workflows that have begun. What still waits for its first turn is among the invocations.
    fn workflows(&self) -> Workflows<'_>;
}

impl WorkflowsExt for Engine {
    fn workflows(&self) -> Workflows<'_> {
        Workflows { engine: self }
    }
}

impl Workflows<'_> {
    /// The runs that a filter lets through: at least `limit` of them, if there are as many, and those of their page.
    pub async fn runs(&self, filter: &RunFilter, limit: usize) -> Result<Runs> {
        let mut found = Runs { runs: Vec::new(), next: filter.after };
        loop {
            let page = self.engine.parts().state.workflow_runs(found.next, limit.clamp(1, BATCH)).await?;
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

    /// An invocation with all that it and they have called.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`].
    pub async fn tree(&self, id: InvocationId) -> Result<Tree> {
        let (root, children) = self.nodes(&[id]).await?.pop().ok_or(Error::InvocationNotFound(id))?;
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
        Ok(grown(levels))
    }

    /// Invocations without their children, and the ids of those.
    async fn nodes(&self, ids: &[InvocationId]) -> Result<Vec<(Tree, Vec<InvocationId>)>> {
        let state = &self.engine.parts().state;
        let records = state.invocations(ids).await?;
        let tracked = self.engine.parts().orchestrator.records(ids).await?;
        let mut nodes = Vec::with_capacity(ids.len());
        for (record, tracked) in records.into_iter().zip(tracked) {
            let Some(record) = record else { continue };
            let status = tracked.map(|tracked| tracked.record.status);
            let (id, task, workflow) = (record.id, record.task.clone(), record.workflow);
            nodes.push((Tree { id, task, workflow, status, children: Vec::new() }, state.children(id).await?));
        }
        Ok(nodes)
    }

    /// What a run has recorded, in its order, with readable values.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`] for one that has recorded nothing.
    pub async fn journal(&self, id: InvocationId) -> Result<Vec<Step>> {
        let state = &self.engine.parts().state;
        let journal = state.journal(id).await?.ok_or(Error::InvocationNotFound(id))?;
        let record = state.invocations(&[id]).await?.pop().flatten().ok_or(Error::InvocationNotFound(id))?;
        let serializer = self.engine.reader(&record.serializer)?;
        Ok(journal.entries.into_iter().map(|recorded| step(&*serializer, recorded)).collect())
    }

    /// A value that a workflow has kept with `set_data`.
    pub async fn data<T: DeserializeOwned>(&self, workflow: InvocationId, key: &str) -> Result<Option<T>> {
        let state = &self.engine.parts().state;
        let (value, record) = (state.workflow_data(workflow, key).await?, state.invocations(&[workflow]).await?.pop());
        let (Some(value), Some(record)) = (value, record.flatten()) else { return Ok(None) };
        Ok(Some(self.engine.value(&value, &record.serializer).await?))
    }

    /// A run as it can be kept in a file, and replayed against later code by `pynenc::testing::replay`.
    ///
    /// # Errors
    ///
    /// [`Error::InvocationNotFound`] for one that has recorded nothing.
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

/// Puts the nodes of each level under those of the one above.
fn grown(mut levels: Vec<Vec<(Tree, usize)>>) -> Tree {
    while levels.len() > 1 {
        let Some(level) = levels.pop() else { break };
        if let Some(above) = levels.last_mut() {
            for (node, parent) in level {
                above[parent].0.children.push(node);
            }
        }
    }
    levels.pop().and_then(|mut level| level.pop()).map(|(root, _)| root).expect("a tree begins with its root")
}

fn step(serializer: &dyn Serializer, recorded: Recorded) -> Step {
    let Recorded { entry, at } = recorded;
    let value = match &entry.value {
        Payload::Inline(bytes) => serializer.decode_as(bytes).unwrap_or_else(|_| shown_length(&entry.value)),
        Payload::External { .. } => shown_length(&entry.value),
    };
    Step {
        position: entry.position.to_string(),
        kind: kind::of(&entry).to_owned(),
        name: entry.name.to_string(),
        at,
        failed: kind::has_failed(&entry),
        value,
    }
}

fn shown_length(value: &Payload) -> Value {
    format!("{} bytes", value.size()).into()
}
