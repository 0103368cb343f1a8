//! Management of an app's triggers while it runs: list, pause, add, remove, run now.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use pynenc_core::trigger_store::{FiredRun, RunOutcome, StoredTrigger, TriggerId, TriggerRuns, TriggerUpdate};
use pynenc_core::{InvocationId, Timestamp};
use pynenc_engine::{Engine, Error, Result};

use crate::active::{ActiveCondition, ActiveTriggers};
use crate::candidate::Candidate;
use crate::extension::TriggerExtension;
use crate::observation::Observation;
use crate::runs::simple_run;
use crate::schedule::Schedule;
use crate::spec::{ConditionSpec, TriggerSpec};
use crate::trigger::{CodedTrigger, Trigger, assign_ids};

/// A trigger of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerInfo {
    /// The trigger's id.
    pub id: TriggerId,
    /// The conditions and the call.
    pub spec: TriggerSpec,
    /// Whether the trigger is paused.
    pub paused: bool,
    /// Whether the trigger was added at run time, and stays until it is removed. Otherwise it belongs to the program's
    /// code.
    pub added: bool,
    /// The schedules of the trigger, each with its next five times.
    pub schedules: Vec<ScheduleInfo>,
}

/// A schedule of a trigger, in words and with its next times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleInfo {
    /// The cron text.
    pub cron: String,
    /// The time zone's name in the tz database.
    pub timezone: String,
    /// The text in words, such as `at 02:30 on Monday to Friday`. If this program can't read the text, the error.
    pub description: String,
    /// The warnings about other systems that read the text differently. There are none once the trigger chooses a
    /// meaning.
    pub warnings: Vec<String>,
    /// The next times.
    pub next: Vec<NextSlot>,
}

/// A time at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextSlot {
    /// The time.
    pub at: Timestamp,
    /// The time in the schedule's zone, such as `2026-03-29T03:00:00+02:00[Europe/Madrid]`.
    pub local: String,
}

/// The number of next times of each schedule in a list.
const LISTED_SLOTS: usize = 5;

/// Manages the triggers of an app; made by [`TriggersExt::triggers`].
///
/// A trigger is *active* while a runner has its code, and [`definition_life`](crate::TriggersConfig::definition_life)
/// longer. A trigger that was added at run time is active until it is removed.
///
/// # Errors
///
/// Beside the errors of each method, [`Error::Unavailable`] if a store can't be reached.
///
/// # Cancel safety
///
/// A dropped change (`pause`, `resume`, `add`, `remove`) may or may not have taken effect, and can be repeated. A
/// dropped [`run_now`](Self::run_now) may have fired; a repetition fires again.
#[derive(Debug, Clone, Copy)]
pub struct Triggers<'a> {
    engine: &'a Engine,
}

/// Adds [`triggers`](Self::triggers) to an app.
pub trait TriggersExt {
    /// Returns the manager of the app's triggers.
    ///
    /// ```
    /// # use pynenc_engine::{Engine, Result};
    /// use pynenc_triggers::TriggersExt;
    ///
    /// # async fn pause_all(app: &Engine) -> Result<()> {
    /// for trigger in app.triggers().list().await? {
    ///     println!("{}: {}", trigger.id, trigger.spec);
    ///     app.triggers().pause(&trigger.id).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn triggers(&self) -> Triggers<'_>;
}

impl TriggersExt for Engine {
    fn triggers(&self) -> Triggers<'_> {
        Triggers { engine: self }
    }
}

impl Triggers<'_> {
    /// Lists the active triggers, in the order of their ids.
    pub async fn list(&self) -> Result<Vec<TriggerInfo>> {
        let now = self.now().await?;
        self.engine.parts().triggers.definitions().await?.into_iter().map(|stored| info(stored, now)).collect()
    }

    /// Returns the schedules of a trigger, each with its next `count` times. The list is empty for a trigger without a
    /// schedule.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no active trigger has.
    pub async fn schedules(&self, id: &str, count: usize) -> Result<Vec<ScheduleInfo>> {
        let spec = TriggerSpec::decode(&self.find(id).await?.definition.spec)?;
        Ok(schedules(&spec, self.now().await?, count))
    }

    /// Returns the warnings about cron texts that other systems read differently, each with the id of its trigger. They
    /// cover the triggers of this program's code and the active triggers.
    pub async fn warnings(&self) -> Result<Vec<(TriggerId, String)>> {
        let coded = self.extension()?.coded.iter().map(|coded| (coded.id.clone(), coded.spec.clone()));
        let mut specs: BTreeMap<TriggerId, TriggerSpec> = coded.collect();
        for stored in self.engine.parts().triggers.definitions().await? {
            let definition = stored.definition;
            if let Entry::Vacant(entry) = specs.entry(definition.id.clone()) {
                entry.insert(decode(&definition.spec, &definition.id)?);
            }
        }
        let warnings = specs.iter().flat_map(|(id, spec)| spec.warnings().into_iter().map(|text| (id.clone(), text)));
        Ok(warnings.collect())
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.engine.parts().triggers.watermarks(&[]).await?.now)
    }

    /// Pauses a trigger. Events, completions and slots don't fire it until it is resumed, also after restarts, and
    /// aren't made up for later.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no active trigger has.
    pub async fn pause(&self, id: &str) -> Result<()> {
        self.find(id).await?;
        self.update(TriggerUpdate::Pause(id.into())).await
    }

    /// Resumes a paused trigger: it reacts from now on.
    ///
    /// # Errors
    ///
    /// As [`Triggers::pause`].
    pub async fn resume(&self, id: &str) -> Result<()> {
        self.find(id).await?;
        self.update(TriggerUpdate::Resume(id.into())).await
    }

    /// Makes a trigger's call now, even if the trigger is paused, and returns the invocation. The state of the
    /// conditions and schedules doesn't change.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no active trigger has, for a trigger that makes its call from the context of
    /// an event or a completion, and for a trigger whose task this program doesn't have.
    pub async fn run_now(&self, id: &str) -> Result<InvocationId> {
        let (stored, extension) = (self.find(id).await?, self.extension()?);
        let active = ActiveTriggers::new(&extension.coded, &[stored], self.engine.tasks());
        let Some(trigger) = active.triggers.iter().find(|trigger| &*trigger.id == id) else {
            return Err(invalid("this program doesn't have the task that the trigger calls", id));
        };
        let cron = || trigger.spec.conditions.iter().position(|spec| matches!(spec, ConditionSpec::Cron { .. }));
        let makes_call = trigger.code.as_ref().is_some_and(|code| code.make_call.is_some());
        let index = match (makes_call, cron()) {
            (false, _) => 0,
            (true, Some(index)) if trigger.spec.is_simple() => index as u32,
            (true, _) => {
                return Err(invalid(
                    "the trigger makes its call from an event or a completion, which has to happen first",
                    id,
                ));
            }
        };
        let condition = ActiveCondition { trigger: trigger.clone(), index };
        let candidate = Candidate { condition, observation: Observation::Slot(self.now().await?) };
        let mut new = simple_run(self.engine, candidate).await?;
        let RunOutcome::Call { invocation, .. } = &mut new.run.outcome else {
            return Err(invalid("the trigger's code failed to make the call", id));
        };
        // A new id for each request, so that each fires.
        *invocation = InvocationId::new();
        let invocation = *invocation;
        (new.run.id, new.run.cause) = (format!("{id}/now/{invocation}").into(), "run now".into());
        extension.fire(self.engine, vec![new]).await?;
        Ok(invocation)
    }

    /// Returns the next `count` times of a trigger's schedules, oldest first. The list is empty for a trigger without a
    /// schedule.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no active trigger has.
    pub async fn next(&self, id: &str, count: usize) -> Result<Vec<Timestamp>> {
        let schedules = self.schedules(id, count).await?;
        let mut times: Vec<_> = schedules.iter().flat_map(|schedule| &schedule.next).map(|slot| slot.at).collect();
        times.sort_unstable();
        times.dedup();
        times.truncate(count);
        Ok(times)
    }

    /// Returns the last `limit` runs of a trigger, newest first. They are kept for
    /// [`retention`](crate::TriggersConfig::retention), also when the trigger is no longer active.
    pub async fn runs(&self, id: &str, limit: usize) -> Result<Vec<FiredRun>> {
        Ok(self.engine.parts().triggers.runs(&TriggerRuns::Of(id.into()), limit).await?)
    }

    /// Adds a trigger while the app runs, or changes the added trigger of the same id. Returns the trigger's id.
    ///
    /// The store keeps the trigger through restarts until it is removed. Every runner that has the task evaluates it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an invalid trigger, and for a trigger with closures: a store keeps data alone.
    /// [`Error::UnknownTask`] for a task that this program doesn't have. [`Error::Invalid`] if the program's code has a
    /// trigger of the same id.
    pub async fn add(&self, trigger: Trigger) -> Result<TriggerId> {
        let checked = trigger.check(self.engine.tasks())?;
        if !checked.code.is_data() {
            let message = "a trigger that is added at run time can't have closures: \
                           use `then` for the call and `matching` for filters, or give it to the builder";
            return Err(Error::Config(pynenc_core::Error::config(message)));
        }
        let coded = assign_ids(vec![checked])?;
        let Some(added) = coded.first() else { return Err(unknown_id("", &[])) };
        self.extension()?.config.check(&added.spec)?;
        let stored = self.engine.parts().triggers.definitions().await?;
        let before = stored.into_iter().find(|other| other.definition.id == added.id);
        if before.is_some_and(|before| !before.stays) {
            return Err(invalid("the program's code has a trigger of this id; choose another id", &added.id));
        }
        self.update(TriggerUpdate::Define { definition: added.definition(), length: None }).await?;
        added.log_warnings();
        self.subscribe(&coded).await?;
        Ok(added.id.clone())
    }

    /// Removes a trigger that was added at run time.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no active trigger has, and for a trigger of the program's code, which you can
    /// pause.
    pub async fn remove(&self, id: &str) -> Result<()> {
        if !self.find(id).await?.stays {
            let message = "the trigger belongs to the program's code: pause it, or remove it from the code";
            return Err(invalid(message, id));
        }
        self.update(TriggerUpdate::Remove(id.into())).await
    }

    async fn update(&self, update: TriggerUpdate) -> Result<()> {
        Ok(self.engine.parts().triggers.update_definitions(&[update]).await?)
    }

    /// Subscribes an added trigger to completions at once. Otherwise completions would be lost until a runner's next
    /// renewal.
    async fn subscribe(&self, added: &[CodedTrigger]) -> Result<()> {
        let active = ActiveTriggers::new(added, &[], self.engine.tasks());
        if active.interests.is_empty() {
            return Ok(());
        }
        let life = self.extension()?.config.definition_life;
        Ok(self.engine.parts().orchestrator.subscribe(&active.interests, life).await?)
    }

    fn extension(&self) -> Result<&TriggerExtension> {
        self.engine.extension().ok_or_else(|| {
            Error::Config(pynenc_core::Error::config("this app has no triggers; turn on the feature `triggers`"))
        })
    }

    async fn find(&self, id: &str) -> Result<StoredTrigger> {
        let mut stored = self.engine.parts().triggers.definitions().await?;
        match stored.iter().position(|trigger| &*trigger.definition.id == id) {
            Some(index) => Ok(stored.swap_remove(index)),
            None => Err(unknown_id(id, &stored)),
        }
    }
}

fn decode(spec: &[u8], id: &str) -> Result<TriggerSpec> {
    Ok(TriggerSpec::decode(spec).map_err(|error| error.with("trigger", id))?)
}

fn info(stored: StoredTrigger, now: Timestamp) -> Result<TriggerInfo> {
    let StoredTrigger { definition, paused, stays } = stored;
    let spec = decode(&definition.spec, &definition.id)?;
    let schedules = schedules(&spec, now, LISTED_SLOTS);
    Ok(TriggerInfo { id: definition.id, spec, paused, added: stays, schedules })
}

fn schedules(spec: &TriggerSpec, now: Timestamp, count: usize) -> Vec<ScheduleInfo> {
    spec.conditions.iter().filter_map(|condition| schedule(condition, now, count)).collect()
}

fn schedule(condition: &ConditionSpec, now: Timestamp, count: usize) -> Option<ScheduleInfo> {
    let ConditionSpec::Cron { expression, timezone, dialect, .. } = condition else { return None };
    let schedule = Schedule::parse(expression, timezone, *dialect);
    let next = |schedule: &Schedule| {
        schedule.after(now).take(count).map(|at| NextSlot { at, local: schedule.local_time(at) }).collect()
    };
    Some(ScheduleInfo {
        cron: expression.clone(),
        timezone: timezone.clone(),
        description: schedule.as_ref().map_or_else(ToString::to_string, Schedule::description),
        warnings: schedule.as_ref().map_or_else(|_| Vec::new(), Schedule::warnings),
        next: schedule.as_ref().map_or_else(|_| Vec::new(), next),
    })
}

fn invalid(message: &'static str, id: &str) -> Error {
    Error::Invalid(pynenc_core::Error::invalid(message).with("trigger", id))
}

fn unknown_id(id: &str, known: &[StoredTrigger]) -> Error {
    let known: Vec<_> = known.iter().map(|trigger| &*trigger.definition.id).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::Invalid(pynenc_core::Error::invalid("no such trigger").with("trigger", id).with("known", known))
}
