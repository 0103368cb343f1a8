//! `workflows`: lists workflow runs, and shows the tree, the journal and the history of a run.

use std::fmt::Write;

use comfy_table::Cell;
use pynenc_builder::backends::pynenc_workflow::{CallTree, JournalStep, RunFilter, WorkflowRun, WorkflowsExt};
use pynenc_engine::{Engine, Error, Result};
use serde_json::{Value, json};

use crate::arguments::{WorkflowAction, WorkflowFilter};
use crate::exit::Exit;
use crate::output::{Output, cell, status_cell};
use crate::{partial_id, search};

pub(super) async fn run(app: &Engine, action: WorkflowAction, output: &mut Output) -> Result<Exit> {
    let workflows = app.workflows();
    match action {
        WorkflowAction::Runs(options) => {
            let runs = workflows.runs(&filter(app, &options), options.limit).await?.runs;
            let shown = &runs[..runs.len().min(options.limit)];
            output.list(
                shown,
                as_json,
                (&["id", "type", "status", "at", "workflow"], row),
                "no workflow runs found",
            )?;
        }
        WorkflowAction::Tree { id } => {
            let tree = workflows.tree(partial_id::complete(app, &id).await?).await?;
            let text = || {
                let mut text = String::new();
                write_tree(&tree, 0, &mut text);
                text
            };
            output.value(|| tree_as_json(&tree), text)?;
        }
        WorkflowAction::Journal { id } => {
            let steps = workflows.journal(partial_id::complete(app, &id).await?).await?;
            let head = ["position", "kind", "name", "at", "value"];
            output.list(&steps, step_as_json, (&head, step_row), "the journal is empty")?;
        }
        WorkflowAction::Export { id } => {
            let history = workflows.export(partial_id::complete(app, &id).await?).await?;
            let history = serde_json::to_value(&history).map_err(Error::other)?;
            let text = serde_json::to_string_pretty(&history).unwrap_or_default();
            output.value(|| history, || text)?;
        }
    }
    Ok(Exit::Done)
}

fn filter(app: &Engine, options: &WorkflowFilter) -> RunFilter {
    let task = options.r#type.as_ref().map(|name| search::task_id(app, name));
    RunFilter { task, statuses: options.status.clone(), after: None }
}

fn row(run: &WorkflowRun) -> Vec<Cell> {
    let WorkflowRun { id, workflow, task, record, .. } = run;
    vec![cell(id), cell(task), status_cell(record.status), cell(record.at), cell(workflow.id)]
}

fn as_json(run: &WorkflowRun) -> Value {
    let WorkflowRun { id, workflow, task, record, retry_of } = run;
    json!({
        "id": id,
        "type": task,
        "status": record.status,
        "at": record.at,
        "due": record.due,
        "workflow": workflow.id,
        "parent": workflow.parent,
        "retry_of": retry_of,
    })
}

/// Writes a line for a node, followed by its children, indented.
fn write_tree(tree: &CallTree, depth: usize, text: &mut String) {
    let status = tree.status.map_or("deleted", pynenc_core::Status::as_str);
    // Writing to a string can't fail.
    let _ = writeln!(text, "{}{} {} ({status})", "  ".repeat(depth), tree.id, tree.task);
    tree.children.iter().for_each(|child| write_tree(child, depth + 1, text));
}

fn tree_as_json(tree: &CallTree) -> Value {
    let children: Vec<_> = tree.children.iter().map(tree_as_json).collect();
    json!({"id": tree.id, "task": tree.task, "status": tree.status, "workflow": tree.workflow, "children": children})
}

fn step_row(step: &JournalStep) -> Vec<Cell> {
    let value = if step.failed { format!("failed: {}", step.value) } else { step.value.to_string() };
    vec![cell(&step.position), cell(&step.kind), cell(&step.name), cell(step.at), cell(value)]
}

fn step_as_json(step: &JournalStep) -> Value {
    let JournalStep { position, kind, name, at, failed, value } = step;
    json!({"position": position, "kind": kind, "name": name, "at": at, "failed": failed, "value": value})
}
