//! A trigger: conditions that end in a call.

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::trigger_store::{TriggerDefinition, TriggerId};
use pynenc_core::{Digest, TaskId};
use pynenc_engine::task::{Attachments, TaskRegistry};
use pynenc_engine::{Call, EncodedCall, Engine, Error, Result, Task};

use crate::condition::{Condition, Happenings, IntoTriggers, Part};
use crate::happening::Happening;
use crate::schedule::Schedule;
use crate::spec::{Leaf, Node, Spec, Target};

/// A longer id is refused.
const MAX_ID: usize = 200;

/// Conditions that end in a call; made by a condition's `call`, `try_call` or `then`.
#[must_use = "a trigger does nothing until an app has it"]
pub struct Trigger {
    id: Option<String>,
    parts: Vec<Part>,
    shape: Node,
    aim: Result<Aim>,
}

/// What makes the call.
#[derive(Clone)]
enum Aim {
    Fixed(EncodedCall),
    Made(TaskId, Make),
}

/// Makes a call of what happened of each condition.
pub(crate) type Make =
    Arc<dyn Fn(Engine, Vec<Option<Happening>>) -> BoxFuture<'static, Result<EncodedCall>> + Send + Sync>;

impl fmt::Debug for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trigger").field("id", &self.id).field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Trigger {
    /// Its identity, which firing once hangs on. Without one it is derived from the conditions, the task that is called and
    /// the place among equal triggers.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    pub(crate) fn made<C: Condition, T: Task>(
        condition: C,
        provider: impl Fn(C::Context) -> Result<Call<T>> + Send + Sync + 'static,
    ) -> Self {
        let mut parts = Vec::new();
        let shape = condition.outline(&mut parts);
        let shared = Arc::new((condition, provider));
        let make: Make = Arc::new(move |engine, happenings| {
            let shared = shared.clone();
            async move {
                let (condition, provider) = &*shared;
                let context = condition.read(&mut Happenings::new(engine.clone(), happenings)).await?;
                let call = provider(context.ok_or_else(incomplete)?)?;
                engine.encode(call).await
            }
            .boxed()
        });
        Self { id: None, parts, shape, aim: Ok(Aim::Made(T::definition().name.into(), make)) }
    }

    pub(crate) fn fixed<T: Task>(condition: &impl Condition, call: Call<T>) -> Self {
        let mut parts = Vec::new();
        let shape = condition.outline(&mut parts);
        Self { id: None, parts, shape, aim: call.encode().map(Aim::Fixed) }
    }

    /// Checks it against the tasks of an app.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]: a cron text or time zone isn't understood, a status isn't final, or the app doesn't know the
    /// task that is called.
    pub(crate) fn check(self, tasks: &TaskRegistry) -> Result<Checked> {
        let Self { id, parts, shape, aim } = self;
        let aim = aim?;
        let target = match &aim {
            Aim::Fixed(call) => Target::Fixed(Box::new(call.clone())),
            Aim::Made(task, _) => Target::Made(task.clone()),
        };
        let task = target.task().clone();
        if tasks.find(task.as_str()).is_none() {
            return Err(tasks.unknown(task.as_str()));
        }
        let spec = Spec { conditions: parts.iter().map(|part| part.leaf.clone()).collect(), shape, target };
        let name = id.clone().unwrap_or_else(|| task.to_string());
        check_id(id.as_deref())?;
        for leaf in &spec.conditions {
            check_leaf(leaf).map_err(|error| Error::Config(error.with("trigger", &name)))?;
        }
        let make = if let Aim::Made(_, make) = aim { Some(make) } else { None };
        Ok(Checked { id, spec, code: Code { parts, make } })
    }
}

fn incomplete() -> pynenc_core::Error {
    pynenc_core::Error::corrupt("less has happened than the trigger waits for")
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

fn check_leaf(leaf: &Leaf) -> pynenc_core::Result<()> {
    match leaf {
        Leaf::Cron { expression, timezone, dialect, .. } => Schedule::parse(expression, timezone, *dialect).map(drop),
        Leaf::Event { name, .. } if name.is_empty() => Err(pynenc_core::Error::config("an event needs a name")),
        Leaf::Ended { task, statuses, .. } => {
            let ended = !statuses.is_empty() && statuses.iter().all(|status| status.is_final());
            let message = "a trigger reacts to final statuses alone: success, failed, cancelled or \
                           concurrency_controlled_final";
            if ended { Ok(()) } else { Err(pynenc_core::Error::config(message).with("task", task)) }
        }
        Leaf::Event { .. } => Ok(()),
    }
}

/// A trigger that an app can have.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) id: Option<String>,
    pub(crate) spec: Spec,
    pub(crate) code: Code,
}

/// What a program alone knows of a trigger.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) parts: Vec<Part>,
    pub(crate) make: Option<Make>,
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl Code {
    /// Whether a store can keep all of the trigger: no closure belongs to it.
    pub(crate) fn is_data(&self) -> bool {
        self.make.is_none() && self.parts.iter().all(|part| part.filter.is_none())
    }
}

/// A trigger of this program's code.
#[derive(Debug)]
pub(crate) struct Coded {
    pub(crate) id: TriggerId,
    pub(crate) spec: Spec,
    pub(crate) code: Arc<Code>,
}

impl Coded {
    /// Logs the warnings about its cron texts, one line for each schedule.
    pub(crate) fn warn(&self) {
        let warnings = self.spec.conditions.iter().map(Leaf::warnings);
        for warnings in warnings.filter(|warnings| !warnings.is_empty()) {
            tracing::warn!(trigger = %self.id, "{}", warnings.join(". "));
        }
    }

    pub(crate) fn definition(&self) -> Result<TriggerDefinition> {
        Ok(TriggerDefinition { id: self.id.clone(), spec: self.spec.encode()?.into() })
    }
}

/// Gives each trigger its identity.
///
/// # Errors
///
/// [`Error::Config`] where two have the same.
pub(crate) fn identified(triggers: Vec<Checked>) -> Result<Vec<Coded>> {
    let mut coded: Vec<Coded> = Vec::with_capacity(triggers.len());
    for Checked { id, spec, code } in triggers {
        let is_taken = |id: &str| coded.iter().any(|other| &*other.id == id);
        let id = match id {
            Some(id) if is_taken(&id) => {
                let error = pynenc_core::Error::config("two triggers have one id; give one of them another");
                return Err(Error::Config(error.with("id", id)));
            }
            Some(id) => id,
            None => derived(&spec, is_taken)?,
        };
        coded.push(Coded { id: id.into(), spec, code: Arc::new(code) });
    }
    Ok(coded)
}

fn derived(spec: &Spec, is_taken: impl Fn(&str) -> bool) -> Result<String> {
    let target = Target::Made(spec.target.task().clone());
    let digest = Digest::of(&Spec { target, ..spec.clone() }.bare().encode()?).to_string();
    let base = format!("{}@{}", spec.target.task(), &digest[..12]);
    let numbered = (2..).map(|number| format!("{base}.{number}"));
    let mut names = std::iter::once(base.clone()).chain(numbered);
    Ok(names.find(|name| !is_taken(name)).unwrap_or(base))
}

/// The triggers that a task's attribute names.
#[derive(Debug)]
pub(crate) struct TaskTriggers(pub(crate) fn() -> Vec<Trigger>);

/// Leaves the triggers of a task's attribute for the extension.
#[doc(hidden)]
pub fn attach(attachments: &mut Attachments, triggers: fn() -> Vec<Trigger>) {
    attachments.attach(TaskTriggers(triggers));
}

/// The triggers that `conditions` make of a task without arguments.
#[doc(hidden)]
pub fn of_task<T: Task>(conditions: impl IntoTriggers, call: fn() -> Call<T>) -> Vec<Trigger> {
    conditions.into_triggers(call)
}
