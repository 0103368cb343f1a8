//! A trigger: conditions and the call that they cause.

use std::fmt;
use std::sync::Arc;

use pynenc_core::trigger_store::{TriggerDefinition, TriggerId};
use pynenc_core::{Digest, TaskId};
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_engine::{EncodedCall, Error, Result};

use crate::code::{CompiledCondition, MakeCall, TriggerCode};
use crate::schedule::Schedule;
use crate::spec::{ConditionSpec, ConditionTree, Target, TriggerSpec};

/// The longest id of a trigger, in bytes.
const MAX_ID: usize = 200;

/// Conditions and the call that they cause.
///
/// [`Condition::then`](crate::Condition::then), [`Condition::call`](crate::Condition::call) and
/// [`Condition::try_call`](crate::Condition::try_call) make a trigger. Give it to the app's builder, or to
/// [`Triggers::add`](crate::Triggers::add) while the app runs. Both report the errors in the trigger, such as a cron
/// text that can't be read.
#[must_use = "a trigger does nothing until an app has it"]
pub struct Trigger {
    id: Option<String>,
    conditions: Vec<CompiledCondition>,
    shape: ConditionTree,
    call: Result<CallSource>,
}

/// The source of a trigger's calls.
#[derive(Clone)]
pub(crate) enum CallSource {
    /// The same call each time.
    Fixed(EncodedCall),
    /// Code that makes a call of this task.
    Made(TaskId, MakeCall),
}

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger").field("id", &self.id).field("conditions", &self.conditions).finish_non_exhaustive()
    }
}

impl Trigger {
    /// Sets the trigger's id: 1 to 200 bytes without control characters, unique in the app.
    ///
    /// A trigger fires once per occurrence under its id. Without this call, the id is derived from the conditions, the
    /// task and the position among equal triggers, so that a changed condition makes a new trigger.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    pub(crate) fn new(conditions: Vec<CompiledCondition>, shape: ConditionTree, call: Result<CallSource>) -> Self {
        Self { id: None, conditions, shape, call }
    }

    /// Checks the trigger against the tasks of an app.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a cron text or time zone that can't be read, a status that isn't final, and an invalid id;
    /// [`Error::UnknownTask`] if the app doesn't have the task that is called.
    pub(crate) fn check(self, tasks: &TaskRegistry) -> Result<CheckedTrigger> {
        let Self { id, conditions, shape, call } = self;
        let (target, make_call) = match call? {
            CallSource::Fixed(call) => (Target::Fixed(Box::new(call)), None),
            CallSource::Made(task, make_call) => (Target::Made(task), Some(make_call)),
        };
        let task = target.task().clone();
        if tasks.find(task.as_str()).is_none() {
            return Err(tasks.unknown(task.as_str()));
        }
        let specs = conditions.iter().map(|condition| condition.spec.clone()).collect();
        let spec = TriggerSpec { conditions: specs, shape, target };
        check_id(id.as_deref())?;
        let name = id.as_deref().unwrap_or(task.as_str());
        for condition in &spec.conditions {
            check_condition(condition).map_err(|error| Error::Config(error.with("trigger", name)))?;
        }
        Ok(CheckedTrigger { id, spec, code: TriggerCode { conditions, make_call } })
    }
}

fn check_id(id: Option<&str>) -> Result<()> {
    match id {
        Some(id) if id.is_empty() || id.len() > MAX_ID || id.contains(char::is_control) => {
            let error = pynenc_core::Error::config("a trigger's id is 1 to 200 bytes without control characters");
            Err(Error::Config(error.with("id", id.escape_debug().take(MAX_ID).collect::<String>())))
        }
        _ => Ok(()),
    }
}

fn check_condition(condition: &ConditionSpec) -> pynenc_core::Result<()> {
    match condition {
        ConditionSpec::Cron { expression, timezone, dialect, .. } => {
            Schedule::parse(expression, timezone, *dialect).map(drop)
        }
        ConditionSpec::Event { name, .. } if name.is_empty() => {
            Err(pynenc_core::Error::config("`on_event` needs a name that isn't empty"))
        }
        ConditionSpec::Completion { task, statuses, .. } => {
            if !statuses.is_empty() && statuses.iter().all(|status| status.is_final()) {
                return Ok(());
            }
            let message = "a trigger reacts to final statuses alone: success, failed, cancelled or \
                           concurrency_controlled_final";
            Err(pynenc_core::Error::config(message).with("task", task))
        }
        ConditionSpec::Event { .. } => Ok(()),
    }
}

/// A trigger that has passed its checks.
#[derive(Debug)]
pub(crate) struct CheckedTrigger {
    pub(crate) id: Option<String>,
    pub(crate) spec: TriggerSpec,
    pub(crate) code: TriggerCode,
}

/// A trigger of this program's code, with its id.
#[derive(Debug)]
pub(crate) struct CodedTrigger {
    pub(crate) id: TriggerId,
    pub(crate) spec: TriggerSpec,
    pub(crate) code: Arc<TriggerCode>,
}

impl CodedTrigger {
    /// Logs the warnings about the cron texts, one line for each schedule.
    pub(crate) fn log_warnings(&self) {
        let warnings = self.spec.conditions.iter().map(ConditionSpec::warnings);
        for warnings in warnings.filter(|warnings| !warnings.is_empty()) {
            tracing::warn!(trigger = %self.id, "{}", warnings.join(". "));
        }
    }

    pub(crate) fn definition(&self) -> TriggerDefinition {
        TriggerDefinition { id: self.id.clone(), spec: self.spec.encode().into() }
    }
}

/// Gives each trigger its id.
///
/// # Errors
///
/// [`Error::Config`] if two triggers have the same id.
pub(crate) fn assign_ids(triggers: Vec<CheckedTrigger>) -> Result<Vec<CodedTrigger>> {
    let mut coded: Vec<CodedTrigger> = Vec::with_capacity(triggers.len());
    for CheckedTrigger { id, spec, code } in triggers {
        let is_taken = |id: &str| coded.iter().any(|other| &*other.id == id);
        let id = match id {
            Some(id) if is_taken(&id) => {
                let error = pynenc_core::Error::config("two triggers have the same id; give one of them another id");
                return Err(Error::Config(error.with("id", id)));
            }
            Some(id) => id,
            None => derived_id(&spec, is_taken),
        };
        coded.push(CodedTrigger { id: id.into(), spec, code: Arc::new(code) });
    }
    Ok(coded)
}

fn derived_id(spec: &TriggerSpec, is_taken: impl Fn(&str) -> bool) -> String {
    let target = Target::Made(spec.target.task().clone());
    let spec_of_task = TriggerSpec { target, ..spec.clone() }.without_default_options();
    let digest = Digest::of(&spec_of_task.encode()).to_string();
    let base = format!("{}@{}", spec.target.task(), &digest[..12]);
    let numbered = (2..).map(|number| format!("{base}.{number}"));
    let mut ids = std::iter::once(base.clone()).chain(numbered);
    ids.find(|id| !is_taken(id)).unwrap_or(base)
}

/// The triggers that a task's attribute names.
#[derive(Debug)]
pub(crate) struct TaskTriggers(pub(crate) fn() -> Vec<Trigger>);

/// Attaches the triggers of a task's attribute to its definition, where the extension finds them.
#[doc(hidden)]
pub fn attach(attachments: &mut Attachments, triggers: fn() -> Vec<Trigger>) {
    attachments.attach(TaskTriggers(triggers));
}
