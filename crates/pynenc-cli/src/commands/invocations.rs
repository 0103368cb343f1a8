//! `invocations`: lists invocations, filtered.

use comfy_table::Cell;
use pynenc_core::orchestrator::Tracked;
use pynenc_engine::{Engine, Result, Search};
use serde_json::{Value, json};

use crate::arguments::Invocations;
use crate::exit::Exit;
use crate::output::{Output, cell, status_cell};
use crate::{search, stderr};

pub(super) async fn list(app: &Engine, options: &Invocations, output: &mut Output) -> Result<Exit> {
    let mut search = search::search(app, &options.filter);
    search.find.newest_first = !options.oldest_first;
    let mut found = app.search(&search, options.limit, Search::MAX_PAGES).await?;
    let stopped_at = found.next.filter(|_| found.items.len() < options.limit);
    found.items.truncate(options.limit);
    let head = ["id", "task", "status", "at", "queue", "attempt"];
    output.list(&found.items, as_json, (&head, row), "no invocations found")?;
    if let Some(cursor) = stopped_at {
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
