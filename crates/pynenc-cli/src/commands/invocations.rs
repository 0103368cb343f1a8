//! `invocations`

use comfy_table::Cell;
use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::arguments::Invocations;
use crate::bulk;
use crate::exit::Exit;
use crate::screen::{Screen, cell, complain, status_cell};

pub(super) async fn list(app: &Engine, wanted: &Invocations, screen: &mut Screen) -> Result<Exit> {
    // This filter reads calls, so that most of a page may not match.
    let limit = if wanted.filter.reads_calls() { bulk::PAGE } else { wanted.limit.min(bulk::PAGE) };
    let find = Find { newest_first: !wanted.oldest_first, ..bulk::find(app, &wanted.filter, limit) };
    let found = bulk::found(app, find, &wanted.filter, wanted.limit, bulk::PAGES).await?;
    let head = ["id", "task", "status", "at", "queue", "attempt"];
    screen.list(&found.items, as_json, (&head, row), "no such invocations")?;
    if let Some(place) = found.looked_up_to {
        let option = if wanted.oldest_first { "since" } else { "until" };
        complain("note", &format!("there is more to look at; go on with --{option} {}", place.at));
    }
    Ok(Exit::Done)
}

fn row(tracked: &Tracked) -> Vec<Cell> {
    let Tracked { id, task, queue, record, .. } = tracked;
    vec![cell(id), cell(task), status_cell(record.status), cell(record.at), cell(queue), cell(record.retries + 1)]
}

/// An invocation as every command gives it to programs.
pub(super) fn as_json(tracked: &Tracked) -> Value {
    let Tracked { id, task, queue, priority, record, .. } = tracked;
    json!({
        "id": id,
        "task": task,
        "queue": queue,
        "priority": priority.level(),
        "status": record.status,
        "reason": record.reason,
        "at": record.at,
        "due": record.due,
        "runner": record.owner,
        "attempt": record.retries + 1,
        "cancel_requested": record.cancel_requested,
    })
}
