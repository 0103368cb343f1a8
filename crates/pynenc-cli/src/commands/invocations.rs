//! `invocations`: lists invocations, filtered.

use comfy_table::Cell;
use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::arguments::Invocations;
use crate::exit::Exit;
use crate::output::{Output, cell, status_cell};
use crate::search::{self, MAX_PAGES, PAGE_SIZE};
use crate::stderr;

pub(super) async fn list(app: &Engine, options: &Invocations, output: &mut Output) -> Result<Exit> {
    // If the store can't apply the whole filter, most of a page may not match, so that full pages save round trips.
    let page_size = if options.filter.needs_calls() { PAGE_SIZE } else { options.limit.min(PAGE_SIZE) };
    let query = Find { newest_first: !options.oldest_first, ..search::query(app, &options.filter, page_size) };
    let found = search::search(app, query, &options.filter, options.limit, MAX_PAGES).await?;
    let head = ["id", "task", "status", "at", "queue", "attempt"];
    output.list(&found.items, as_json, (&head, row), "no invocations found")?;
    if let Some(cursor) = found.stopped_at {
        let option = if options.oldest_first { "since" } else { "until" };
        let text = format!("the search stopped before the last invocation; continue with `--{option} {}`", cursor.at);
        stderr::print("note", &text);
    }
    Ok(Exit::Done)
}

fn row(tracked: &Tracked) -> Vec<Cell> {
    let Tracked { id, task, queue, record, .. } = tracked;
    vec![cell(id), cell(task), status_cell(record.status), cell(record.at), cell(queue), cell(record.retries + 1)]
}

/// The JSON form of an invocation, in every command that writes invocations.
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
