//! Triggers and their runs.

use pynenc_core::InvocationId;
use pynenc_core::trigger_store::{Delivery, FiredRun, RunOutcome};
use pynenc_triggers::{ConditionSpec, ScheduleInfo, TriggerInfo, TriggersExt};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::state::WebState;

/// A trigger.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Trigger {
    pub(crate) id: String,
    /// The conditions in words.
    pub(crate) when: String,
    /// The task that the trigger calls.
    pub(crate) calls: String,
    pub(crate) paused: bool,
    /// Whether the trigger was added at run time, and doesn't belong to the program's code.
    pub(crate) added: bool,
    pub(crate) schedules: Vec<Schedule>,
    /// The conditions and the call as data; missing if arguments aren't shown in full.
    pub(crate) spec: Option<Value>,
}

/// A schedule of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Schedule {
    #[schema(example = "30 2 * * 1-5")]
    pub(crate) cron: String,
    #[schema(example = "Europe/Madrid")]
    pub(crate) timezone: String,
    #[schema(example = "at 02:30 on Monday to Friday")]
    pub(crate) words: String,
    /// Warnings about other systems that read the text differently.
    pub(crate) warnings: Vec<String>,
    /// The next times.
    pub(crate) next: Vec<Slot>,
}

/// A time at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Slot {
    pub(crate) at: u64,
    /// The time in the schedule's zone.
    #[schema(example = "2026-03-29T03:00:00+02:00[Europe/Madrid]")]
    pub(crate) local: String,
}

/// A run of a trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TriggerRun {
    pub(crate) id: String,
    pub(crate) at: u64,
    /// The reason why the trigger fired.
    pub(crate) cause: String,
    /// The invocation of the call, if the run made one.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub(crate) invocation: Option<InvocationId>,
    /// Why the run made no call, or why its call was refused, as `web.arguments` says.
    pub(crate) problem: Option<String>,
    /// `open`, `submitted` or `refused`.
    #[schema(example = "submitted")]
    pub(crate) delivery: &'static str,
}

impl Trigger {
    fn new(info: &TriggerInfo, state: &WebState) -> Self {
        Self {
            id: info.id.to_string(),
            when: info.spec.to_string(),
            calls: info.spec.target.task().to_string(),
            paused: info.paused,
            added: info.added,
            schedules: info.schedules.iter().map(Schedule::new).collect(),
            spec: serde_json::to_value(&info.spec).ok().and_then(|spec| state.value(spec)),
        }
    }
}

impl Schedule {
    fn new(info: &ScheduleInfo) -> Self {
        let slot = |slot: &pynenc_triggers::NextSlot| Slot { at: slot.at.as_millis(), local: slot.local.clone() };
        Self {
            cron: info.cron.clone(),
            timezone: info.timezone.clone(),
            words: info.description.clone(),
            warnings: info.warnings.clone(),
            next: info.next.iter().map(slot).collect(),
        }
    }
}

impl TriggerRun {
    fn new(fired: &FiredRun, state: &WebState) -> Self {
        let (invocation, failure) = match &fired.run.outcome {
            RunOutcome::Call { invocation, .. } => (Some(*invocation), None),
            RunOutcome::Failed(why) => (None, Some(format!("failed: {why}"))),
            RunOutcome::Missed(what) => (None, Some(format!("missed: {what}"))),
        };
        let (delivery, refusal) = match &fired.delivery {
            Delivery::Open => ("open", None),
            Delivery::Submitted => ("submitted", None),
            Delivery::Refused(why) => ("refused", Some(why.to_string())),
        };
        Self {
            id: fired.run.id.to_string(),
            at: fired.at.as_millis(),
            cause: fired.run.cause.to_string(),
            invocation,
            problem: failure.or(refusal).and_then(|problem| state.text(&problem)),
            delivery,
        }
    }
}

/// Lists the triggers.
pub(crate) async fn triggers(state: &WebState) -> Result<Vec<Trigger>, Problem> {
    Ok(state.app.triggers().list().await?.iter().map(|info| Trigger::new(info, state)).collect())
}

/// Reads a trigger.
pub(crate) async fn trigger(state: &WebState, id: &str) -> Result<Trigger, Problem> {
    let known = triggers(state).await?.into_iter().find(|trigger| trigger.id == id);
    known.ok_or_else(|| Problem::not_found(format!("there is no trigger `{id}`")))
}

/// Lists the last runs of a trigger, newest first.
pub(crate) async fn trigger_runs(state: &WebState, id: &str, limit: usize) -> Result<Vec<TriggerRun>, Problem> {
    Ok(state.app.triggers().runs(id, limit).await?.iter().map(|run| TriggerRun::new(run, state)).collect())
}

/// The events that triggers wait for, each with the id of a trigger.
pub(crate) async fn event_triggers(state: &WebState) -> Result<Vec<(String, String)>, Problem> {
    let triggers = state.app.triggers().list().await?;
    let of_trigger = |info: &TriggerInfo| {
        let id = info.id.to_string();
        let event = |condition: &ConditionSpec| match condition {
            ConditionSpec::Event { name, .. } => Some((name.clone(), id.clone())),
            _ => None,
        };
        info.spec.conditions.iter().filter_map(event).collect::<Vec<_>>()
    };
    let mut events: Vec<_> = triggers.iter().flat_map(of_trigger).collect();
    events.sort_unstable();
    Ok(events)
}
