//! The active triggers: the triggers that this process evaluates.

use std::collections::HashMap;
use std::sync::Arc;

use pynenc_core::orchestrator::OutboxInterest;
use pynenc_core::trigger_store::{EventListener, StoredTrigger, TriggerId};
use pynenc_engine::task::TaskRegistry;

use crate::code::{CompiledCondition, TriggerCode};
use crate::schedule::{Misfire, Schedule};
use crate::spec::{ConditionSpec, TriggerSpec};
use crate::trigger::CodedTrigger;

/// A trigger that this process evaluates.
#[derive(Debug)]
pub(crate) struct ActiveTrigger {
    pub(crate) id: TriggerId,
    pub(crate) spec: TriggerSpec,
    pub(crate) is_paused: bool,
    /// `None` for a trigger that was added at run time.
    pub(crate) code: Option<Arc<TriggerCode>>,
}

impl ActiveTrigger {
    /// Returns the name of a condition in the stores: of its listener and of its schedule.
    pub(crate) fn condition_name(&self, index: u32) -> Box<str> {
        match &self.spec.conditions[index as usize] {
            // A changed cron text is a new schedule, which waits for its next slot.
            ConditionSpec::Cron { expression, timezone, dialect, .. } => {
                format!("{}/{index} {expression} {timezone}{dialect}", self.id).into()
            }
            ConditionSpec::Event { .. } | ConditionSpec::Completion { .. } => format!("{}/{index}", self.id).into(),
        }
    }

    fn conditions(&self) -> impl Iterator<Item = (u32, &ConditionSpec)> {
        (0..).zip(&self.spec.conditions)
    }

    fn interests(&self) -> impl Iterator<Item = OutboxInterest> {
        self.conditions().filter_map(|(index, condition)| match condition {
            ConditionSpec::Completion { task, statuses, .. } => {
                let (task, statuses) = (task.clone(), statuses.clone());
                Some(OutboxInterest { listener: self.condition_name(index), task, statuses })
            }
            ConditionSpec::Cron { .. } | ConditionSpec::Event { .. } => None,
        })
    }
}

/// A single condition of an active trigger.
#[derive(Debug, Clone)]
pub(crate) struct ActiveCondition {
    pub(crate) trigger: Arc<ActiveTrigger>,
    pub(crate) index: u32,
}

impl ActiveCondition {
    pub(crate) fn spec(&self) -> &ConditionSpec {
        &self.trigger.spec.conditions[self.index as usize]
    }

    /// Returns the condition's code; `None` for a trigger that was added at run time.
    pub(crate) fn code(&self) -> Option<&CompiledCondition> {
        self.trigger.code.as_ref().map(|code| &code.conditions[self.index as usize])
    }

    pub(crate) fn name(&self) -> Box<str> {
        self.trigger.condition_name(self.index)
    }
}

/// A schedule of an active trigger.
#[derive(Debug)]
pub(crate) struct ActiveSchedule {
    pub(crate) condition: ActiveCondition,
    pub(crate) name: Box<str>,
    pub(crate) schedule: Schedule,
    pub(crate) misfire: Misfire,
}

/// All active triggers, with indexes for the listeners of the stores.
#[derive(Debug, Default)]
pub(crate) struct ActiveTriggers {
    pub(crate) triggers: Vec<Arc<ActiveTrigger>>,
    pub(crate) listeners: Vec<EventListener>,
    pub(crate) interests: Vec<OutboxInterest>,
    pub(crate) schedules: Vec<ActiveSchedule>,
    by_name: HashMap<Box<str>, ActiveCondition>,
}

impl ActiveTriggers {
    /// Combines the triggers of the program's code with the stored triggers that were added at run time and call a task
    /// of this program.
    pub(crate) fn new(coded: &[CodedTrigger], stored: &[StoredTrigger], tasks: &TaskRegistry) -> Self {
        let is_paused = |id: &str| stored.iter().any(|other| other.paused && *other.definition.id == *id);
        let is_coded = |id: &str| coded.iter().any(|coded| *coded.id == *id);
        let of_code = coded.iter().map(|CodedTrigger { id, spec, code }| ActiveTrigger {
            id: id.clone(),
            spec: spec.clone(),
            is_paused: is_paused(id),
            code: Some(code.clone()),
        });
        let added = stored.iter().filter(|stored| stored.stays && !is_coded(&stored.definition.id));
        let added = added.filter_map(|added| decode(added, tasks));
        let mut active = Self::default();
        of_code.chain(added).for_each(|trigger| active.add(trigger));
        active
    }

    /// Returns the condition whose listener has this name.
    pub(crate) fn condition(&self, name: &str) -> Option<&ActiveCondition> {
        self.by_name.get(name)
    }

    /// Returns the names of the listeners for completions.
    pub(crate) fn outbox_listeners(&self) -> Vec<Box<str>> {
        self.interests.iter().map(|interest| interest.listener.clone()).collect()
    }

    fn add(&mut self, trigger: ActiveTrigger) {
        let trigger = Arc::new(trigger);
        self.interests.extend(trigger.interests());
        for (index, spec) in trigger.conditions() {
            let condition = ActiveCondition { trigger: trigger.clone(), index };
            self.by_name.insert(condition.name(), condition.clone());
            match spec {
                ConditionSpec::Event { name, .. } => {
                    self.listeners.push(EventListener { id: condition.name(), name: name.as_str().into() });
                }
                ConditionSpec::Cron { expression, timezone, misfire, dialect } => {
                    let schedule = Schedule::parse(expression, timezone, *dialect);
                    self.add_schedule(condition, schedule, *misfire);
                }
                ConditionSpec::Completion { .. } => {}
            }
        }
        self.triggers.push(trigger);
    }

    fn add_schedule(&mut self, condition: ActiveCondition, schedule: pynenc_core::Result<Schedule>, misfire: Misfire) {
        match schedule {
            Ok(schedule) => {
                self.schedules.push(ActiveSchedule { name: condition.name(), condition, schedule, misfire });
            }
            Err(error) => {
                tracing::error!(trigger = %condition.trigger.id, %error, "can't read a stored schedule; skipping it");
            }
        }
    }
}

/// Decodes a trigger that was added at run time; `None` if its task isn't in this program.
fn decode(stored: &StoredTrigger, tasks: &TaskRegistry) -> Option<ActiveTrigger> {
    let id = &stored.definition.id;
    match TriggerSpec::decode(&stored.definition.spec) {
        Ok(spec) if tasks.find(spec.target.task().as_str()).is_some() => {
            Some(ActiveTrigger { id: id.clone(), spec, is_paused: stored.paused, code: None })
        }
        // A runner of another program may have the task.
        Ok(_) => None,
        Err(error) => {
            tracing::error!(trigger = %id, %error, "can't read a stored trigger; skipping it");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{CronDialect, DayMatch};
    use crate::spec::{ConditionTree, Target};

    fn check(dialect: CronDialect, name: &str) {
        let (expression, timezone) = ("0 0 13 * FRI".to_owned(), "UTC".to_owned());
        let condition = ConditionSpec::Cron { expression, timezone, misfire: Misfire::One, dialect };
        let target = Target::Made("app::report".into());
        let spec = TriggerSpec { conditions: vec![condition], shape: ConditionTree::Leaf(0), target };
        let trigger = ActiveTrigger { id: "friday".into(), spec, is_paused: false, code: None };
        assert_eq!(&*trigger.condition_name(0), name);
    }

    #[test]
    fn an_option_that_changes_slots_makes_a_new_schedule() {
        let days = |days| CronDialect { days, quartz: false };
        check(days(None), "friday/0 0 0 13 * FRI UTC");
        check(days(Some(DayMatch::Either)), "friday/0 0 0 13 * FRI UTC");
        check(days(Some(DayMatch::Both)), "friday/0 0 0 13 * FRI UTC both_days");
        check(CronDialect { days: None, quartz: true }, "friday/0 0 0 13 * FRI UTC quartz");
    }
}
