//! The slots of schedules.

use std::time::Duration;

use pynenc_core::Timestamp;
use pynenc_core::trigger_store::{RunOutcome, Slot, TriggerRun};
use pynenc_engine::{Engine, Result};

use crate::extension::TriggerExtension;
use crate::happening::Happening;
use crate::judge::{Verdict, judge};
use crate::live::{Roster, Scheduled};
use crate::react::Told;
use crate::runs::{failed_run, new_run, simple_run};
use crate::schedule::{Plan, shown};

/// A schedule is looked at at least so often, because clocks differ in their pace.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl TriggerExtension {
    /// Fires the slots that have come by the store's clock, and tells when the next one comes by this process's.
    pub(crate) async fn react_to_time(&self, engine: &Engine) -> Result<Option<Timestamp>> {
        let roster = self.roster();
        if roster.schedules.is_empty() {
            return Ok(None);
        }
        loop {
            let read_at = engine.parts().clock.now();
            let names: Vec<_> = roster.schedules.iter().map(|scheduled| scheduled.name.clone()).collect();
            let watermarks = engine.parts().triggers.watermarks(&names).await?;
            let mut has_fired = false;
            for (scheduled, mark) in roster.schedules.iter().zip(&watermarks.marks) {
                has_fired |= self.look_at(engine, scheduled, *mark, watermarks.now).await?;
            }
            if !has_fired {
                return Ok(Some(read_at + until_next(&roster, watermarks.now)));
            }
        }
    }

    /// Does what a schedule's plan says; whether there was something to do.
    async fn look_at(&self, engine: &Engine, scheduled: &Scheduled, mark: Timestamp, now: Timestamp) -> Result<bool> {
        let slot = |from, to| Slot { schedule: scheduled.name.clone(), from, to };
        match scheduled.schedule.plan(scheduled.misfire, mark, now) {
            Plan::Wait => return Ok(false),
            Plan::Pass { to, .. } if scheduled.of.trigger.is_paused => {
                engine.parts().triggers.move_watermark(&slot(mark, to)).await?;
            }
            Plan::Pass { to, missed } => {
                let run = TriggerRun { slot: Some(slot(mark, to)), ..missed_run(scheduled, missed, mark, to) };
                self.fire(engine, vec![run]).await?;
            }
            Plan::Fire { slots, .. } if scheduled.of.trigger.is_paused => {
                if let Some(last) = slots.last() {
                    engine.parts().triggers.move_watermark(&slot(mark, *last)).await?;
                }
            }
            Plan::Fire { slots, missed } => {
                let froms = std::iter::once(mark).chain(slots.iter().copied());
                let claimed: Vec<_> = froms.zip(&slots).map(|(from, to)| slot(from, *to)).collect();
                self.come(engine, scheduled, claimed, missed).await?;
            }
        }
        Ok(true)
    }

    /// Has slots come true, in their order.
    async fn come(&self, engine: &Engine, scheduled: &Scheduled, slots: Vec<Slot>, missed: usize) -> Result<()> {
        let mut runs = Vec::with_capacity(slots.len());
        for slot in slots {
            let (to, happening) = (&scheduled.of, Happening::Slot(slot.to));
            let run = match judge(engine, to, &happening).await? {
                Verdict::Failed(why) => failed_run(to, &happening, why),
                Verdict::True if to.trigger.spec.is_simple() => simple_run(engine, to, happening).await?,
                verdict => {
                    // What is fired so far has to be claimed first: the watermark moves from slot to slot.
                    self.fire(engine, std::mem::take(&mut runs)).await?;
                    if verdict == Verdict::True {
                        self.combine(engine, vec![Told { to: to.clone(), happening }]).await?;
                    }
                    engine.parts().triggers.move_watermark(&slot).await?;
                    continue;
                }
            };
            runs.push(TriggerRun { slot: Some(slot), ..run });
        }
        let slots: Vec<_> = runs.iter().filter_map(|run| run.slot.clone()).collect();
        let first = slots.first().cloned();
        let fired = self.fire(engine, runs).await?;
        for (slot, _) in slots.iter().zip(&fired).filter(|(_, fired)| !**fired) {
            // Another runner has it, or it was fired under the trigger's former schedule.
            engine.parts().triggers.move_watermark(slot).await?;
        }
        match (first, fired.first()) {
            (Some(slot), Some(true)) if missed > 0 => {
                self.fire(engine, vec![missed_run(scheduled, missed, slot.from, slot.to)]).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// The record of slots that were passed over.
fn missed_run(scheduled: &Scheduled, missed: usize, from: Timestamp, to: Timestamp) -> TriggerRun {
    let trigger = &scheduled.of.trigger;
    let slots = if missed == 1 { "1 slot".to_owned() } else { format!("{missed} slots") };
    let text = format!("{slots} between {} and {}", shown(from), shown(to));
    tracing::warn!(trigger = %trigger.id, missed, "slots were missed: {text}");
    let id = format!("{}/{}/m{}", trigger.id, scheduled.of.leaf, to.as_millis());
    new_run(trigger, id.into(), scheduled.name.to_string(), RunOutcome::Missed(text.into()))
}

fn until_next(roster: &Roster, now: Timestamp) -> Duration {
    let next = roster.schedules.iter().filter_map(|scheduled| scheduled.schedule.next_after(now)).min();
    next.map_or(LONGEST_SLEEP, |next| next.since(now).min(LONGEST_SLEEP))
}
