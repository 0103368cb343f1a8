//! `workflows`

use std::fmt::Write;

use comfy_table::Cell;
use pynenc_builder::backends::pynenc_workflow::{RunFilter, Step, Tree, WorkflowRun, WorkflowsExt};
use pynenc_engine::{Engine, Error, Result};
use serde_json::{Value, json};

use crate::arguments::{WorkflowAction, WorkflowFilter};
use crate::bulk;
use crate::exit::Exit;
use crate::screen::{Screen, cell, status_cell};

pub(super) async fn perform(app: &Engine, action: WorkflowAction, screen: &mut Screen) -> Result<Exit> {
    let workflows = app.workflows();
    match action {
        WorkflowAction::Runs(wanted) => {
            let runs = workflows.runs(&filter(app, &wanted), wanted.limit).await?.runs;
            let shown = &runs[..runs.len().min(wanted.limit)];
            screen.list(shown, as_json, (&["id", "type", "status", "at", "workflow"], row), "no such runs")?;
        }
        WorkflowAction::Tree { id } => {
            let tree = workflows.tree(bulk::named(app, &id).await?).await?;
            let told = || {
                let mut text = String::new();
                branch(&tree, 0, &mut text);
                text
            };
            screen.answer(|| tree_as_json(&tree), told)?;
        }
        WorkflowAction::Journal { id } => {
            let steps = workflows.journal(bulk::named(app, &id).await?).await?;
            let head = ["position", "kind", "name", "at", "value"];
            screen.list(&steps, step_as_json, (&head, step_row), "nothing is recorded")?;
        }
        WorkflowAction::Export { id } => {
            let history = workflows.export(bulk::named(app, &id).await?).await?;
            let history = serde_json::to_value(&history).map_err(Error::other)?;
            let text = serde_json::to_string_pretty(&history).unwrap_or_default();
            screen.answer(|| history, || text)?;
        }
    }
    Ok(Exit::Done)
}

fn filter(app: &Engine, wanted: &WorkflowFilter) -> RunFilter {
    let named = |name: &String| app.tasks().named(name).map_or_else(|_| name.as_str().into(), |task| task.id().clone());
    RunFilter { task: wanted.r#type.as_ref().map(named), statuses: wanted.status.clone(), after: None }
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

/// A line for each node, its children under it.
fn branch(tree: &Tree, depth: usize, text: &mut String) {
    let status = tree.status.map_or("no longer kept", pynenc_core::Status::as_str);
    // Writing to a string can't fail.
    let _ = writeln!(text, "{}{} {} ({status})", "  ".repeat(depth), tree.id, tree.task);
    tree.children.iter().for_each(|child| branch(child, depth + 1, text));
}

fn tree_as_json(tree: &Tree) -> Value {
    let children: Vec<_> = tree.children.iter().map(tree_as_json).collect();
    json!({"id": tree.id, "task": tree.task, "status": tree.status, "workflow": tree.workflow, "children": children})
}

fn step_row(step: &Step) -> Vec<Cell> {
    let value = if step.failed { format!("failed: {}", step.value) } else { step.value.to_string() };
    vec![cell(&step.position), cell(&step.kind), cell(&step.name), cell(step.at), cell(value)]
}

fn step_as_json(step: &Step) -> Value {
    let Step { position, kind, name, at, failed, value } = step;
    json!({"position": position, "kind": kind, "name": name, "at": at, "failed": failed, "value": value})
}
