//! Fires the slots of schedules.

use std::time::Duration;

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{Firing, RunOutcome, ScheduleSlot};
use pynenc_engine::{Engine, Result};

use crate::active::{ActiveSchedule, ActiveTriggers};
use crate::candidate::Candidate;
use crate::evaluate::{Evaluation, evaluate};
use crate::extension::TriggerExtension;
use crate::observation::Observation;
use crate::runs::{NewRun, failed_run, new_run, simple_run};
use crate::schedule::{Plan, rfc3339};

/// The longest pause between two checks of a schedule. It bounds the drift between the clocks of the store and the
/// process.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl TriggerExtension {
    /// Fires the slots that are due by the store's clock. Returns the time of the next check, by the process's clock;
    /// `None` without a schedule.
    pub(crate) async fn fire_due_slots(&self, engine: &Engine) -> Result<Option<Timestamp>> {
        let active = self.active();
        if active.schedules.is_empty() {
            return Ok(None);
        }
        loop {
            let read_at = engine.parts().clock.now();
            let names: Vec<_> = active.schedules.iter().map(|schedule| schedule.name.clone()).collect();
            let watermarks = engine.parts().triggers.watermarks(&names).await?;
            let mut has_fired = false;
            for (schedule, mark) in active.schedules.iter().zip(&watermarks.marks) {
                has_fired |= self.carry_out_plan(engine, schedule, *mark, watermarks.now).await?;
            }
            if !has_fired {
                return Ok(Some(read_at + until_next(&active, watermarks.now)));
            }
        }
    }

    /// Carries out the plan for a schedule, and returns whether a slot was due.
    async fn carry_out_plan(
        &self,
        engine: &Engine,
        schedule: &ActiveSchedule,
        mark: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let slot = |from, to| ScheduleSlot { schedule: schedule.name.clone(), from, to };
        match schedule.schedule.plan(schedule.misfire, mark, now) {
            Plan::Wait => return Ok(false),
            Plan::Skip { to, .. } if schedule.condition.trigger.is_paused => {
                skip(engine, slot(mark, to)).await?;
            }
            Plan::Skip { to, missed } => {
                let mut new = missed_run(schedule, missed, mark, to);
                new.run.slot = Some(slot(mark, to));
                self.fire(engine, vec![new]).await?;
            }
            Plan::Fire { slots, .. } if schedule.condition.trigger.is_paused => {
                if let Some(last) = slots.last() {
                    skip(engine, slot(mark, *last)).await?;
                }
            }
            Plan::Fire { slots, missed } => {
                let froms = std::iter::once(mark).chain(slots.iter().copied());
                let slots: Vec<_> = froms.zip(&slots).map(|(from, to)| slot(from, *to)).collect();
                self.fire_slots(engine, schedule, slots, missed).await?;
            }
        }
        Ok(true)
    }

    /// Evaluates the condition for each slot, in their order, and fires its runs. The watermark moves from slot to
    /// slot, so the earlier runs have to fire before a watermark moves without a run.
    async fn fire_slots(
        &self,
        engine: &Engine,
        schedule: &ActiveSchedule,
        slots: Vec<ScheduleSlot>,
        missed: usize,
    ) -> Result<()> {
        let mut runs = Vec::with_capacity(slots.len());
        for slot in slots {
            let observation = Observation::Slot(slot.to);
            let candidate = Candidate { condition: schedule.condition.clone(), observation };
            let mut new = match evaluate(engine, &candidate).await? {
                Evaluation::Failed(error) => failed_run(&candidate, error),
                Evaluation::Met if candidate.condition.trigger.spec.is_simple() => {
                    simple_run(engine, candidate).await?
                }
                evaluation => {
                    self.fire(engine, std::mem::take(&mut runs)).await?;
                    if evaluation == Evaluation::Met {
                        self.combine(engine, vec![candidate]).await?;
                    }
                    skip(engine, slot).await?;
                    continue;
                }
            };
            new.run.slot = Some(slot);
            runs.push(new);
        }
        let slots: Vec<_> = runs.iter().filter_map(|new| new.run.slot.clone()).collect();
        let first = slots.first().cloned();
        let fired = self.fire(engine, runs).await?;
        for (slot, _) in slots.iter().zip(&fired).filter(|(_, fired)| !**fired) {
            // Another runner fired the slot, or it fired under the trigger's former schedule.
            skip(engine, slot.clone()).await?;
        }
        match (first, fired.first()) {
            (Some(slot), Some(true)) if missed > 0 => {
                self.fire(engine, vec![missed_run(schedule, missed, slot.from, slot.to)]).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// Moves a schedule's watermark over a slot without a run, unless another runner has moved it.
async fn skip(engine: &Engine, slot: ScheduleSlot) -> Result<()> {
    Ok(engine.parts().triggers.fire(&[Firing::Skip(slot)]).await.map(drop)?)
}

/// Makes the run that records missed slots, and logs it.
fn missed_run(schedule: &ActiveSchedule, missed: usize, from: Timestamp, to: Timestamp) -> NewRun {
    let trigger = &schedule.condition.trigger;
    let slots = if missed == 1 { "1 slot".to_owned() } else { format!("{missed} slots") };
    let text = format!("{slots} between {} and {}", rfc3339(from), rfc3339(to));
    tracing::warn!(trigger = %trigger.id, missed, "slots were missed: {text}");
    let id = format!("{}/{}/m{}", trigger.id, schedule.condition.index, to.as_millis());
    let cause = (schedule.name.to_string(), to);
    NewRun { missed, ..new_run(trigger, id.into(), cause, RunOutcome::Missed(text.into())) }
}

fn until_next(active: &ActiveTriggers, now: Timestamp) -> Duration {
    let next = active.schedules.iter().filter_map(|schedule| schedule.schedule.next_after(now)).min();
    next.map_or(LONGEST_PAUSE, |next| next.since(now).min(LONGEST_PAUSE))
}
