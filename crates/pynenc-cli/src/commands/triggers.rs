//! `triggers`: lists triggers, their runs and their next times; pauses, resumes and fires them.

use comfy_table::Cell;
use pynenc_builder::backends::pynenc_triggers::{NextSlot, ScheduleInfo, TriggerInfo, TriggersExt};
use pynenc_core::trigger_store::{Delivery, FiredRun, RunOutcome};
use pynenc_engine::{Engine, Result};
use serde_json::{Value, json};

use crate::arguments::TriggerAction;
use crate::exit::Exit;
use crate::output::{Output, cell};

/// The maximum number of next times of a trigger in the list.
const LISTED_SLOTS: usize = 5;

pub(super) async fn run(app: &Engine, action: Option<TriggerAction>, output: &mut Output) -> Result<Exit> {
    let triggers = app.triggers();
    match action {
        None => {
            let head = ["id", "when", "calls", "state", "in words", "next times"];
            let none = "no live triggers; start a `worker` of the program that defines them";
            output.list(&triggers.list().await?, as_json, (&head, row), none)?;
        }
        Some(TriggerAction::Runs { id, limit }) => {
            let runs = triggers.runs(&id, limit).await?;
            output.list(
                &runs,
                run_as_json,
                (&["at", "cause", "comes to", "delivery"], run_row),
                "the trigger has no recorded run",
            )?;
        }
        Some(TriggerAction::Next { id, count }) => {
            let schedules = triggers.schedules(&id, count).await?;
            let head = ["next", "local time", "in words", "cron"];
            output.list(&slots(&schedules, count), slot_as_json, (&head, slot_row), "the trigger has no schedule")?;
        }
        Some(TriggerAction::Pause { id }) => {
            triggers.pause(&id).await?;
            output.value(|| json!({"trigger": id, "paused": true}), || format!("trigger {id} is paused"))?;
        }
        Some(TriggerAction::Resume { id }) => {
            triggers.resume(&id).await?;
            output.value(|| json!({"trigger": id, "paused": false}), || format!("trigger {id} is active again"))?;
        }
        Some(TriggerAction::Fire { id }) => {
            let invocation = triggers.run_now(&id).await?;
            output.value(|| json!({"trigger": id, "invocation": invocation}), || invocation.to_string())?;
        }
    }
    Ok(Exit::Done)
}

fn row(trigger: &TriggerInfo) -> Vec<Cell> {
    let state = match (trigger.paused, trigger.added) {
        (true, _) => "paused",
        (false, true) => "added",
        (false, false) => "in code",
    };
    let words: Vec<_> = trigger.schedules.iter().map(|schedule| schedule.description.as_str()).collect();
    let slots = slots(&trigger.schedules, LISTED_SLOTS);
    let next: Vec<_> = slots.iter().map(|(_, slot)| slot.local.as_str()).collect();
    let (words, next) = (words.join("; "), next.join(", "));
    vec![cell(&trigger.id), cell(&trigger.spec), cell(trigger.spec.target.task()), cell(state), cell(words), cell(next)]
}

/// Merges the next times of several schedules, earliest first.
fn slots(schedules: &[ScheduleInfo], count: usize) -> Vec<(&ScheduleInfo, &NextSlot)> {
    let slots = schedules.iter().flat_map(|schedule| schedule.next.iter().map(move |slot| (schedule, slot)));
    let mut slots: Vec<_> = slots.collect();
    slots.sort_by_key(|(_, slot)| slot.at);
    slots.truncate(count);
    slots
}

fn slot_row((schedule, slot): &(&ScheduleInfo, &NextSlot)) -> Vec<Cell> {
    vec![cell(slot.at), cell(&slot.local), cell(&schedule.description), cell(&schedule.cron)]
}

fn slot_as_json((schedule, slot): &(&ScheduleInfo, &NextSlot)) -> Value {
    json!({
        "at": slot.at,
        "local": slot.local,
        "words": schedule.description,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
    })
}

fn schedule_as_json(schedule: &ScheduleInfo) -> Value {
    let next: Vec<_> = schedule.next.iter().map(|slot| json!({"at": slot.at, "local": slot.local})).collect();
    json!({
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "words": schedule.description,
        "warnings": schedule.warnings,
        "next": next,
    })
}

fn as_json(trigger: &TriggerInfo) -> Value {
    json!({
        "id": trigger.id,
        "when": trigger.spec.to_string(),
        "spec": trigger.spec,
        "calls": trigger.spec.target.task(),
        "paused": trigger.paused,
        "added": trigger.added,
        "schedules": trigger.schedules.iter().map(schedule_as_json).collect::<Vec<_>>(),
    })
}

fn run_row(fired: &FiredRun) -> Vec<Cell> {
    vec![cell(fired.at), cell(&fired.run.cause), cell(outcome(fired)), cell(delivery(fired))]
}

fn outcome(fired: &FiredRun) -> String {
    match &fired.run.outcome {
        RunOutcome::Call { invocation, .. } => invocation.to_string(),
        RunOutcome::Failed(why) => format!("failed: {why}"),
        RunOutcome::Missed(what) => format!("missed: {what}"),
    }
}

fn delivery(fired: &FiredRun) -> String {
    match &fired.delivery {
        Delivery::Open => "open".to_owned(),
        Delivery::Submitted => "submitted".to_owned(),
        Delivery::Refused(why) => format!("refused: {why}"),
    }
}

fn run_as_json(fired: &FiredRun) -> Value {
    json!({
        "id": fired.run.id,
        "at": fired.at,
        "cause": fired.run.cause,
        "comes_to": outcome(fired),
        "delivery": delivery(fired),
    })
}
