//! `show`

use std::fmt::Write;
use std::sync::Arc;

use pynenc_core::config::ArgumentPrinting;
use pynenc_core::orchestrator::{HistoryEntry, Tracked};
use pynenc_core::record::InvocationRecord;
use pynenc_core::{InvocationId, Reason, Status};
use pynenc_engine::{Engine, Error, Result};
use serde_json::{Value, json};

use super::invocations;
use crate::arguments::Show;
use crate::bulk;
use crate::exit::Exit;
use crate::screen::{Screen, cell, status_cell};

/// What there is to say of an invocation.
struct Shown {
    tracked: Tracked,
    record: Option<Arc<InvocationRecord>>,
    arguments: Value,
    outcome: Option<std::result::Result<Value, String>>,
    history: Vec<HistoryEntry>,
    children: Vec<InvocationId>,
    why: String,
}

pub(super) async fn show(app: &Engine, wanted: &Show, screen: &mut Screen) -> Result<Exit> {
    let shown = shown(app, wanted).await?;
    if screen.is_json() {
        screen.answer(|| as_json(&shown), String::new)?;
        return Ok(Exit::Done);
    }
    screen.say(&told(&shown))?;
    let head = ["at", "status", "reason", "runner", "detail"];
    screen.table(&head, collapsed(&shown.history).into_iter().map(line).collect())?;
    Ok(Exit::Done)
}

async fn shown(app: &Engine, wanted: &Show) -> Result<Shown> {
    let (id, parts) = (bulk::named(app, &wanted.id).await?, app.parts());
    let tracked = parts.orchestrator.records(&[id]).await?.pop().flatten().ok_or(Error::InvocationNotFound(id))?;
    let record = parts.state.invocations(&[id]).await?.pop().flatten();
    Ok(Shown {
        arguments: match &record {
            Some(record) if wanted.full => {
                app.json_arguments(record).await.map_or_else(|error| unavailable(&error), Value::Object)
            }
            Some(record) => Value::from(app.print_arguments(record)),
            None => Value::Null,
        },
        outcome: outcome(app, wanted, &tracked).await?,
        history: parts.orchestrator.history(id).await?,
        children: parts.state.children(id).await?,
        why: app.why(id).await?.to_string(),
        tracked,
        record,
    })
}

fn unavailable(error: &pynenc_core::Error) -> Value {
    Value::from(format!("unavailable: {error}"))
}

/// What came of one that has ended, as far as it may be shown.
async fn outcome(app: &Engine, wanted: &Show, tracked: &Tracked) -> Result<Option<std::result::Result<Value, String>>> {
    if !tracked.record.status.is_final() {
        return Ok(None);
    }
    let logging = &app.settings().logging;
    Ok(Some(match app.result::<Value>(tracked.id).await {
        Ok(value) if wanted.full || logging.arguments == ArgumentPrinting::Full => Ok(value),
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

fn told(shown: &Shown) -> String {
    let Shown { tracked, record, arguments, outcome, children, why, .. } = shown;
    let mut text = format!("{}\n", tracked.id);
    let mut fact = |name: &str, value: String| {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {name:<12} {value}");
    };
    fact("task", tracked.task.to_string());
    match arguments {
        Value::String(printed) => fact("arguments", printed.clone()),
        other => fact("arguments", other.to_string()),
    }
    fact("status", tracked.record.status.to_string());
    if tracked.record.status != Status::Success {
        fact("why", why.clone());
    }
    match outcome {
        Some(Ok(value)) => fact("result", value.to_string()),
        Some(Err(error)) => fact("error", error.clone()),
        None => {}
    }
    fact("queue", format!("{} (priority {})", tracked.queue, tracked.priority.level()));
    if let Some(record) = record {
        fact("called", record.created_at.to_string());
        record.parent.into_iter().for_each(|parent| fact("parent", parent.to_string()));
        record.retry_of.into_iter().for_each(|of| fact("repeats", of.to_string()));
        record.workflow.into_iter().for_each(|workflow| fact("workflow", workflow.id.to_string()));
        record.trace.iter().for_each(|trace| fact("traceparent", trace.traceparent.to_string()));
    }
    children.iter().for_each(|child| fact("child", child.to_string()));
    text
}

/// The lines of a history, with how often what each says was repeated: a call that was given back for its task again and
/// again is told of by its last line.
fn collapsed(history: &[HistoryEntry]) -> Vec<(&HistoryEntry, usize)> {
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

fn line((entry, repeats): (&HistoryEntry, usize)) -> Vec<comfy_table::Cell> {
    let runner = entry.runner.map(|runner| runner.to_string()).unwrap_or_default();
    let mut detail = entry.detail.as_deref().unwrap_or_default().to_owned();
    if repeats > 0 {
        let _ = write!(detail, "repeated {repeats} times");
    }
    vec![cell(entry.at), status_cell(entry.status), cell(entry.reason), cell(runner), cell(detail)]
}

fn as_json(shown: &Shown) -> Value {
    let Shown { tracked, record, arguments, outcome, history, children, why } = shown;
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
    fn a_call_that_was_given_back_for_its_task_again_and_again_is_told_of_once() {
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
        let lines: Vec<_> = collapsed(&history).into_iter().map(|(entry, repeats)| (entry.version, repeats)).collect();
        assert_eq!(
            lines,
            [(1, 0), (2, 0), (11, 4), (12, 0), (13, 0)],
            "the first of the repeats, the last, and the end"
        );
    }
}
