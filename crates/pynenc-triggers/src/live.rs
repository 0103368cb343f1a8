//! The triggers that this process reacts for.

use std::collections::HashMap;
use std::sync::Arc;

use pynenc_core::orchestrator::OutboxInterest;
use pynenc_core::trigger_store::{Defined, EventListener, TriggerId};
use pynenc_engine::task::TaskRegistry;

use crate::schedule::{Misfire, Schedule};
use crate::spec::{Leaf, Spec};
use crate::trigger::{Code, Coded};

/// A trigger that is evaluated here.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: TriggerId,
    pub(crate) spec: Spec,
    pub(crate) is_paused: bool,
    pub(crate) code: Option<Arc<Code>>,
}

impl Live {
    /// The name of one of its conditions, under which it is told and scheduled.
    pub(crate) fn name(&self, leaf: u32) -> Box<str> {
        match &self.spec.conditions[leaf as usize] {
            // A changed cron is a new one: it waits for its next slot.
            Leaf::Cron { expression, timezone, dialect, .. } => {
                format!("{}/{leaf} {expression} {timezone}{dialect}", self.id).into()
            }
            Leaf::Event { .. } | Leaf::Ended { .. } => format!("{}/{leaf}", self.id).into(),
        }
    }

    fn leaves(&self) -> impl Iterator<Item = (u32, &Leaf)> {
        (0..).zip(&self.spec.conditions)
    }

    fn interests(&self) -> impl Iterator<Item = OutboxInterest> {
        self.leaves().filter_map(|(number, leaf)| match leaf {
            Leaf::Ended { task, statuses, .. } => {
                Some(OutboxInterest { listener: self.name(number), task: task.clone(), statuses: statuses.clone() })
            }
            Leaf::Cron { .. } | Leaf::Event { .. } => None,
        })
    }
}

/// One condition of a trigger.
#[derive(Debug, Clone)]
pub(crate) struct LiveLeaf {
    pub(crate) trigger: Arc<Live>,
    pub(crate) leaf: u32,
}

impl LiveLeaf {
    pub(crate) fn spec(&self) -> &Leaf {
        &self.trigger.spec.conditions[self.leaf as usize]
    }

    pub(crate) fn name(&self) -> Box<str> {
        self.trigger.name(self.leaf)
    }
}

/// A schedule of a trigger.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) of: LiveLeaf,
    pub(crate) name: Box<str>,
    pub(crate) schedule: Schedule,
    pub(crate) misfire: Misfire,
}

/// All triggers that are evaluated here, by what they listen to.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    pub(crate) triggers: Vec<Arc<Live>>,
    pub(crate) listeners: Vec<EventListener>,
    pub(crate) interests: Vec<OutboxInterest>,
    pub(crate) schedules: Vec<Scheduled>,
    by_name: HashMap<Box<str>, LiveLeaf>,
}

impl Roster {
    /// Those of the code, and those that were added at run time and whose task is known here.
    pub(crate) fn new(coded: &[Coded], defined: &[Defined], tasks: &TaskRegistry) -> Self {
        let is_paused = |id: &str| defined.iter().any(|other| other.paused && *other.definition.id == *id);
        let coded = coded.iter().map(|Coded { id, spec, code }| Live {
            id: id.clone(),
            spec: spec.clone(),
            is_paused: is_paused(id),
            code: Some(code.clone()),
        });
        let coded: Vec<_> = coded.collect();
        let added = defined.iter().filter(|added| added.stays && coded.iter().all(|it| it.id != added.definition.id));
        let added: Vec<_> = added.filter_map(|added| live(added, tasks)).collect();
        let mut roster = Self::default();
        coded.into_iter().chain(added).for_each(|trigger| roster.add(trigger));
        roster
    }

    /// The condition that listens under a name.
    pub(crate) fn leaf(&self, name: &str) -> Option<&LiveLeaf> {
        self.by_name.get(name)
    }

    /// The names under which ends are told.
    pub(crate) fn outbox_listeners(&self) -> Vec<Box<str>> {
        self.interests.iter().map(|interest| interest.listener.clone()).collect()
    }

    fn add(&mut self, trigger: Live) {
        let trigger = Arc::new(trigger);
        self.interests.extend(trigger.interests());
        for (leaf, spec) in trigger.leaves() {
            let of = LiveLeaf { trigger: trigger.clone(), leaf };
            self.by_name.insert(of.name(), of.clone());
            match spec {
                Leaf::Event { name, .. } => {
                    self.listeners.push(EventListener { id: of.name(), name: name.as_str().into() });
                }
                Leaf::Cron { expression, timezone, misfire, dialect } => {
                    let schedule = Schedule::parse(expression, timezone, *dialect);
                    self.schedule(of, schedule, *misfire);
                }
                Leaf::Ended { .. } => {}
            }
        }
        self.triggers.push(trigger);
    }

    fn schedule(&mut self, of: LiveLeaf, schedule: pynenc_core::Result<Schedule>, misfire: Misfire) {
        match schedule {
            Ok(schedule) => self.schedules.push(Scheduled { name: of.name(), of, schedule, misfire }),
            Err(error) => tracing::error!(trigger = %of.trigger.id, %error, "a schedule can't be kept here"),
        }
    }
}

fn live(defined: &Defined, tasks: &TaskRegistry) -> Option<Live> {
    let id = &defined.definition.id;
    match Spec::decode(&defined.definition.spec) {
        Ok(spec) if tasks.find(spec.target.task().as_str()).is_some() => {
            Some(Live { id: id.clone(), spec, is_paused: defined.paused, code: None })
        }
        // Another runner may know the task.
        Ok(_) => None,
        Err(error) => {
            tracing::error!(trigger = %id, %error, "a trigger can't be read and is left out");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{CronDialect, DayMatch};
    use crate::spec::{Node, Target};

    fn check(dialect: CronDialect, name: &str) {
        let (expression, timezone) = ("0 0 13 * FRI".to_owned(), "UTC".to_owned());
        let leaf = Leaf::Cron { expression, timezone, misfire: Misfire::One, dialect };
        let target = Target::Made("app::report".into());
        let spec = Spec { conditions: vec![leaf], shape: Node::Leaf(0), target };
        let live = Live { id: "friday".into(), spec, is_paused: false, code: None };
        assert_eq!(&*live.name(0), name);
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
