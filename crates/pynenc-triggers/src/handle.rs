//! What people do with triggers while an app runs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use pynenc_core::trigger_store::{Defined, FiredRun, RunOutcome, TriggerId};
use pynenc_core::{InvocationId, Timestamp};
use pynenc_engine::{Engine, Error, Result};

use crate::extension::TriggerExtension;
use crate::happening::Happening;
use crate::live::{LiveLeaf, Roster};
use crate::runs::simple_run;
use crate::schedule::Schedule;
use crate::spec::{Leaf, Spec};
use crate::trigger::{Coded, Trigger, identified};

/// A trigger that an app has.
#[derive(Debug, Clone, PartialEq)]
pub struct TriggerInfo {
    /// Its identity.
    pub id: TriggerId,
    /// What it waits for, and what it calls.
    pub spec: Spec,
    /// Whether it passes over what happens.
    pub paused: bool,
    /// Whether it was added at run time, and stays until it is removed.
    pub added: bool,
    /// Its schedules, each with its next five times.
    pub schedules: Vec<ScheduleInfo>,
}

/// A schedule of a trigger, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleInfo {
    /// The cron text.
    pub cron: String,
    /// The name of its time zone.
    pub timezone: String,
    /// The text in words, such as `at 02:30 on Monday to Friday`; of a text that can't be read, the error.
    pub description: String,
    /// The warnings about other systems that read the text differently, while the trigger doesn't choose a meaning.
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

/// The triggers of an app, for whoever operates it.
#[derive(Debug, Clone, Copy)]
pub struct Triggers<'a> {
    engine: &'a Engine,
}

/// The way to an app's triggers.
pub trait TriggersExt {
    /// The triggers of all its runners and those that were added.
    fn triggers(&self) -> Triggers<'_>;
}

impl TriggersExt for Engine {
    fn triggers(&self) -> Triggers<'_> {
        Triggers { engine: self }
    }
}

impl Triggers<'_> {
    /// The live triggers, by id: those whose code some runner has, and those that were added.
    pub async fn list(&self) -> Result<Vec<TriggerInfo>> {
        let now = self.now().await?;
        self.engine.parts().triggers.definitions().await?.into_iter().map(|defined| info(defined, now)).collect()
    }

    /// The schedules of a trigger, each with its next times. A trigger without a schedule has none.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no live trigger has.
    pub async fn schedules(&self, id: &str, count: usize) -> Result<Vec<ScheduleInfo>> {
        let spec = Spec::decode(&self.find(id).await?.definition.spec)?;
        Ok(schedules(&spec, self.now().await?, count))
    }

    /// The warnings about cron texts that other systems read differently, each with the id of its trigger: the triggers of
    /// this program's code, and the live ones.
    pub async fn warnings(&self) -> Result<Vec<(TriggerId, String)>> {
        let coded = self.extension()?.coded.iter().map(|coded| (coded.id.clone(), coded.spec.clone()));
        let mut specs: BTreeMap<TriggerId, Spec> = coded.collect();
        for defined in self.engine.parts().triggers.definitions().await? {
            let definition = defined.definition;
            if let Entry::Vacant(place) = specs.entry(definition.id.clone()) {
                place.insert(Spec::decode(&definition.spec).map_err(|error| error.with("trigger", &definition.id))?);
            }
        }
        let warnings = specs.iter().flat_map(|(id, spec)| spec.warnings().into_iter().map(|text| (id.clone(), text)));
        Ok(warnings.collect())
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.engine.parts().triggers.watermarks(&[]).await?.now)
    }

    /// Has a trigger pass over what happens, until it is resumed.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no live trigger has.
    pub async fn pause(&self, id: &str) -> Result<()> {
        self.find(id).await?;
        Ok(self.engine.parts().triggers.pause(id, true).await?)
    }

    /// Has a paused trigger react to what happens from now on.
    ///
    /// # Errors
    ///
    /// As [`Triggers::pause`].
    pub async fn resume(&self, id: &str) -> Result<()> {
        self.find(id).await?;
        Ok(self.engine.parts().triggers.pause(id, false).await?)
    }

    /// Makes a trigger's call now, whether it is paused or not, and changes nothing about its conditions.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no live trigger has, and for a trigger whose call is made of something that has
    /// to happen; [`Error::UnknownTask`].
    pub async fn run_now(&self, id: &str) -> Result<InvocationId> {
        let (defined, extension) = (self.find(id).await?, self.extension()?);
        let roster = Roster::new(&extension.coded, &[defined], self.engine.tasks());
        let Some(trigger) = roster.triggers.iter().find(|trigger| &*trigger.id == id) else {
            return Err(invalid("this program doesn't know the task that the trigger calls", id));
        };
        let crons = || trigger.spec.conditions.iter().position(|leaf| matches!(leaf, Leaf::Cron { .. }));
        let is_made = trigger.code.as_ref().is_some_and(|code| code.make.is_some());
        let leaf = match (is_made, crons()) {
            (false, _) => 0,
            (true, Some(leaf)) if trigger.spec.is_simple() => leaf as u32,
            (true, _) => return Err(invalid("the trigger's call is made of something that has to happen", id)),
        };
        let now = self.now().await?;
        let to = LiveLeaf { trigger: trigger.clone(), leaf };
        let mut run = simple_run(self.engine, &to, Happening::Slot(now)).await?;
        let RunOutcome::Call { invocation, .. } = &mut run.outcome else {
            return Err(invalid("the trigger's call can't be made", id));
        };
        // Each is a run of its own, however often it is asked for.
        *invocation = InvocationId::new();
        let invocation = *invocation;
        (run.id, run.cause) = (format!("{id}/now/{invocation}").into(), "run now".into());
        extension.fire(self.engine, vec![run]).await?;
        Ok(invocation)
    }

    /// When a trigger's schedules come next, as far as somebody is there.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no live trigger has. A trigger without a schedule has no next times.
    pub async fn next(&self, id: &str, count: usize) -> Result<Vec<Timestamp>> {
        let schedules = self.schedules(id, count).await?;
        let mut times: Vec<_> = schedules.iter().flat_map(|schedule| &schedule.next).map(|slot| slot.at).collect();
        times.sort_unstable();
        times.dedup();
        times.truncate(count);
        Ok(times)
    }

    /// The last runs of a trigger, newest first, as long as they are kept; also of one that is no longer live.
    pub async fn runs(&self, id: &str, limit: usize) -> Result<Vec<FiredRun>> {
        Ok(self.engine.parts().triggers.runs(id, limit).await?)
    }

    /// Adds a trigger while the app runs, or changes one that was added under the same id. It stays, through restarts of
    /// everything, until it is removed; every runner that knows the task reacts for it.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a trigger that can't be as it is, and for one whose call or filter is code: a store keeps data
    /// alone. [`Error::Invalid`] where the program's code has a trigger of that id.
    pub async fn add(&self, trigger: Trigger) -> Result<TriggerId> {
        let checked = trigger.check(self.engine.tasks())?;
        if !checked.code.is_data() {
            let message = "a trigger that is added at run time can't have closures: \
                           use `then` for the call and `matching` for filters, or give it to the builder";
            return Err(Error::Config(pynenc_core::Error::config(message)));
        }
        let coded = identified(vec![checked])?;
        let Some(added) = coded.first() else { return Err(no_such("", &[])) };
        self.extension()?.config.check(&added.spec)?;
        let store = &self.engine.parts().triggers;
        let before = store.definitions().await?.into_iter().find(|other| other.definition.id == added.id);
        if before.is_some_and(|before| !before.stays) {
            return Err(invalid("the program's code has a trigger of this id; give it another", &added.id));
        }
        store.define(&[added.definition()?], None).await?;
        added.warn();
        self.want(&coded).await?;
        Ok(added.id.clone())
    }

    /// Removes a trigger that was added.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an id that no live trigger has, and for a trigger of the program's code, which can be paused.
    pub async fn remove(&self, id: &str) -> Result<()> {
        if !self.find(id).await?.stays {
            return Err(invalid("the trigger belongs to the program's code: pause it, or take it out of the code", id));
        }
        Ok(self.engine.parts().triggers.undefine(&[id.into()]).await?)
    }

    /// Has ends told from now on, and not only once a runner has heard of the trigger.
    async fn want(&self, added: &[Coded]) -> Result<()> {
        let roster = Roster::new(added, &[], self.engine.tasks());
        if roster.interests.is_empty() {
            return Ok(());
        }
        let life = self.extension()?.config.definition_life;
        Ok(self.engine.parts().orchestrator.want(&roster.interests, life).await?)
    }

    fn extension(&self) -> Result<&TriggerExtension> {
        self.engine.extension().ok_or_else(|| {
            Error::Config(pynenc_core::Error::config("this app has no triggers; turn on the feature `triggers`"))
        })
    }

    async fn find(&self, id: &str) -> Result<Defined> {
        let defined = self.engine.parts().triggers.definitions().await?;
        let place = defined.iter().position(|trigger| &*trigger.definition.id == id);
        place.map(|place| defined[place].clone()).ok_or_else(|| no_such(id, &defined))
    }
}

fn info(defined: Defined, now: Timestamp) -> Result<TriggerInfo> {
    let Defined { definition, paused, stays } = defined;
    let spec = Spec::decode(&definition.spec).map_err(|error| error.with("trigger", &definition.id))?;
    let schedules = schedules(&spec, now, LISTED_SLOTS);
    Ok(TriggerInfo { id: definition.id, spec, paused, added: stays, schedules })
}

fn schedules(spec: &Spec, now: Timestamp, count: usize) -> Vec<ScheduleInfo> {
    spec.conditions.iter().filter_map(|leaf| schedule(leaf, now, count)).collect()
}

fn schedule(leaf: &Leaf, now: Timestamp, count: usize) -> Option<ScheduleInfo> {
    let Leaf::Cron { expression, timezone, dialect, .. } = leaf else { return None };
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

fn no_such(id: &str, known: &[Defined]) -> Error {
    let known: Vec<_> = known.iter().map(|trigger| &*trigger.definition.id).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::Invalid(pynenc_core::Error::invalid("no such trigger").with("trigger", id).with("known", known))
}
