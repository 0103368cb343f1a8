//! `show`: an invocation with its call, its history, and its result or error.

use std::fmt::Write;
use std::sync::Arc;

use pynenc_core::config::ArgumentPrinting;
use pynenc_core::orchestrator::{HistoryEntry, Tracked};
use pynenc_core::reads;
use pynenc_core::record::InvocationRecord;
use pynenc_core::{InvocationId, Reason, Status};
use pynenc_engine::{Engine, Error, Result};
use serde_json::{Value, json};

use super::invocations;
use crate::arguments::Show;
use crate::exit::Exit;
use crate::output::{Output, cell, status_cell};
use crate::partial_id;

/// The shown parts of an invocation.
struct Details {
    tracked: Tracked,
    record: Option<Arc<InvocationRecord>>,
    arguments: Value,
    outcome: Option<std::result::Result<Value, String>>,
    history: Vec<HistoryEntry>,
    children: Vec<InvocationId>,
    why: String,
}

pub(super) async fn show(app: &Engine, options: &Show, output: &mut Output) -> Result<Exit> {
    let details = read(app, options).await?;
    if output.is_json() {
        output.value(|| as_json(&details), String::new)?;
        return Ok(Exit::Done);
    }
    output.text(&as_text(&details))?;
    let head = ["at", "status", "reason", "runner", "detail"];
    output.table(&head, collapse(&details.history).into_iter().map(row).collect())?;
    Ok(Exit::Done)
}

async fn read(app: &Engine, options: &Show) -> Result<Details> {
    let (id, parts) = (partial_id::complete(app, &options.id).await?, app.parts());
    let tracked = parts.orchestrator.records(&[id]).await?.pop().flatten().ok_or(Error::InvocationNotFound(id))?;
    let record = parts.state.invocations(&[id]).await?.pop().flatten();
    Ok(Details {
        arguments: match &record {
            Some(record) if options.full => {
                app.json_arguments(record).await.map_or_else(|error| unavailable(&error), Value::Object)
            }
            Some(record) => Value::from(app.print_arguments(record)),
            None => Value::Null,
        },
        outcome: outcome(app, options, &tracked).await?,
        history: reads::history(&*parts.orchestrator, id).await?,
        children: reads::children(&*parts.state, id).await?,
        why: app.why(id).await?.to_string(),
        tracked,
        record,
    })
}

fn unavailable(error: &pynenc_core::Error) -> Value {
    Value::from(format!("unavailable: {error}"))
}

/// The result or the error of a finished invocation. `logging.arguments` may shorten or hide the result.
async fn outcome(
    app: &Engine,
    options: &Show,
    tracked: &Tracked,
) -> Result<Option<std::result::Result<Value, String>>> {
    if !tracked.record.status.is_final() {
        return Ok(None);
    }
    let logging = &app.settings().logging;
    Ok(Some(match app.result::<Value>(tracked.id).await {
        Ok(value) if options.full || logging.arguments == ArgumentPrinting::Full => Ok(value),
        Ok(value) if logging.arguments == ArgumentPrinting::Truncated => {
            let text = value.to_string();
            let short: String = text.chars().take(logging.argument_length).collect();
            Ok(if short.len() < text.len() { Value::from(format!("{short}…")) } else { value })
        }
        Ok(_) => Ok(Value::from("hidden; use --full")),
        Err(error @ Error::Unavailable { .. }) => return Err(error),
        Err(error) => Err(error.to_string()),
    }))
}

fn as_text(details: &Details) -> String {
    let Details { tracked, record, arguments, outcome, children, why, .. } = details;
    let mut text = format!("{}\n", tracked.id);
    let mut line = |name: &str, value: String| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    line("task", tracked.task.to_string());
    match arguments {
        Value::String(printed) => line("arguments", printed.clone()),
        other => line("arguments", other.to_string()),
    }
    line("status", tracked.record.status.to_string());
    if tracked.record.status != Status::Success {
        line("why", why.clone());
    }
    match outcome {
        Some(Ok(value)) => line("result", value.to_string()),
        Some(Err(error)) => line("error", error.clone()),
        None => {}
    }
    line("queue", format!("{} (priority {})", tracked.queue, tracked.priority.level()));
    if let Some(record) = record {
        line("created", record.created_at.to_string());
        record.parent.into_iter().for_each(|parent| line("parent", parent.to_string()));
        record.retry_of.into_iter().for_each(|of| line("retry of", of.to_string()));
        record.workflow.into_iter().for_each(|workflow| line("workflow", workflow.id.to_string()));
        record.trace.iter().for_each(|trace| line("traceparent", trace.traceparent.to_string()));
    }
    children.iter().for_each(|child| line("child", child.to_string()));
    text
}

/// Collapses repeats of a history, and returns each remaining entry with the number of its repeats.
///
/// Runners that don't know a task claim its invocation and return it to the queue, again and again. Only the first and
/// the last of these rounds remain.
fn collapse(history: &[HistoryEntry]) -> Vec<(&HistoryEntry, usize)> {
    let mut lines: Vec<(&HistoryEntry, usize)> = Vec::new();
    for round in history.split_inclusive(|entry| entry.reason == Reason::UnknownTask) {
        let is_repeat =
            |entry: &HistoryEntry| matches!(entry.reason, Reason::Claimed | Reason::Started | Reason::UnknownTask);
        match (lines.last_mut(), round.last()) {
            (Some((before, repeats)), Some(last))
                if before.reason == Reason::UnknownTask && !last.status.is_final() && round.iter().all(is_repeat) =>
            {
                *before = last;
                *repeats += 1;
            }
            _ => lines.extend(round.iter().map(|entry| (entry, 0))),
        }
    }
    lines
}

fn row((entry, repeats): (&HistoryEntry, usize)) -> Vec<comfy_table::Cell> {
    let runner = entry.runner.map(|runner| runner.to_string()).unwrap_or_default();
    let mut detail = entry.detail.as_deref().unwrap_or_default().to_owned();
    if repeats > 0 {
        let _ = write!(detail, "repeated {repeats} times");
    }
    vec![cell(entry.at), status_cell(entry.status), cell(entry.reason), cell(runner), cell(detail)]
}

fn as_json(details: &Details) -> Value {
    let Details { tracked, record, arguments, outcome, history, children, why } = details;
    let record = record.as_ref();
    json!({
        "invocation": invocations::as_json(tracked),
        "arguments": arguments,
        "result": outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()),
        "error": outcome.as_ref().and_then(|outcome| outcome.as_ref().err()),
        "why": why,
        "history": history,
        "children": children,
        "created_at": record.map(|record| record.created_at),
        "parent": record.and_then(|record| record.parent),
        "retry_of": record.and_then(|record| record.retry_of),
        "workflow": record.and_then(|record| record.workflow),
        "trace": record.and_then(|record| record.trace.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use pynenc_core::Timestamp;

    use super::*;

    #[test]
    fn repeated_rounds_of_an_unknown_task_are_collapsed() {
        let mut version = 0;
        let mut entry = |status, reason| {
            version += 1;
            let at = Timestamp::from_millis(version);
            HistoryEntry { at, status, version, epoch: 0, runner: None, reason, detail: None }
        };
        let mut history = vec![entry(Status::Registered, Reason::Submitted)];
        for _ in 0..5 {
            history.push(entry(Status::Pending, Reason::Claimed));
            history.push(entry(Status::Rerouted, Reason::UnknownTask));
        }
        history.push(entry(Status::Pending, Reason::Claimed));
        history.push(entry(Status::Failed, Reason::UnknownTask));
        let lines: Vec<_> = collapse(&history).into_iter().map(|(entry, repeats)| (entry.version, repeats)).collect();
        assert_eq!(
            lines,
            [(1, 0), (2, 0), (11, 4), (12, 0), (13, 0)],
            "the first round, the last entry of the repeats, and the last claim with the failure remain"
        );
    }
}
