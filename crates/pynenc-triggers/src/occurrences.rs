//! Stored occurrences: conditions of `all` that were met and wait for the trigger's other conditions.

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::packed::{pack, unpack};
use pynenc_core::trigger_store::{Lookup, Occurrence, RunOutcome};
use pynenc_core::{Digest, Timestamp};
use pynenc_engine::{Engine, Result};

use crate::active::ActiveTrigger;
use crate::candidate::Candidate;
use crate::combine::{Position, Waiting, earliest, groups};
use crate::extension::TriggerExtension;
use crate::observation::Observation;
use crate::pipeline::BATCH;
use crate::runs::{NewRun, new_run, outcome};
use crate::spec::ConditionTree;

impl TriggerExtension {
    /// Stores candidates that met their conditions, and fires the runs that they complete.
    pub(crate) async fn combine(&self, engine: &Engine, met: Vec<Candidate>) -> Result<()> {
        if met.is_empty() {
            return Ok(());
        }
        let kept_for = self.config.retention;
        let mut new: Vec<_> = met.iter().map(|candidate| occurrence(candidate, kept_for)).collect();
        let mut triggers: Vec<Arc<ActiveTrigger>> = Vec::new();
        for Candidate { condition, .. } in met {
            if !triggers.iter().any(|trigger| trigger.id == condition.trigger.id) {
                triggers.push(condition.trigger);
            }
        }
        for trigger in &triggers {
            for tree in alternatives(&trigger.spec.shape) {
                self.fire_groups(engine, trigger, tree, &mut new).await?;
            }
        }
        Ok(())
    }

    /// Fires groups of occurrences until there are no more. The first read stores the new occurrences.
    async fn fire_groups(
        &self,
        engine: &Engine,
        trigger: &Arc<ActiveTrigger>,
        tree: &ConditionTree,
        new: &mut Vec<Occurrence>,
    ) -> Result<()> {
        loop {
            let pool = Pool::read(engine, trigger, tree, new).await?;
            let mut runs = Vec::new();
            for group in groups(tree, &pool.waiting) {
                let occurrences = group.iter().filter_map(|position| pool.occurrence(*position)).collect();
                runs.push(run(engine, trigger, occurrences).await?);
            }
            if runs.is_empty() {
                return Ok(());
            }
            let fired = self.fire(engine, runs).await?;
            // A run doesn't fire if another runner used one of its occurrences. The others may be in a new group.
            if !pool.is_truncated && fired.into_iter().all(|fired| fired) {
                return Ok(());
            }
        }
    }
}

/// Returns the parts of a tree each of which fires the trigger by itself.
fn alternatives(tree: &ConditionTree) -> Vec<&ConditionTree> {
    match tree {
        ConditionTree::Any(of) => of.iter().flat_map(alternatives).collect(),
        ConditionTree::Leaf(_) | ConditionTree::All { .. } => vec![tree],
    }
}

/// The waiting occurrences of each condition.
struct Pool {
    occurrences: Vec<(u32, Vec<Occurrence>)>,
    waiting: Waiting,
    /// Whether more occurrences wait than were read.
    is_truncated: bool,
}

impl Pool {
    /// Stores the new occurrences, and reads the oldest occurrences that can fire. If too many wait, occurrences that are
    /// too old for the window are skipped.
    async fn read(
        engine: &Engine,
        trigger: &ActiveTrigger,
        tree: &ConditionTree,
        new: &mut Vec<Occurrence>,
    ) -> Result<Self> {
        let (conditions, window) = (tree.leaves(), tree.window());
        let mut since = Timestamp::default();
        loop {
            let lookup = |condition: &u32| Lookup { trigger: trigger.id.clone(), condition: *condition, since };
            let lookups: Vec<_> = conditions.iter().map(lookup).collect();
            let found = engine.parts().triggers.put_occurrences(new, &lookups, BATCH).await?;
            new.clear();
            let pool = Self::new(&conditions, found);
            match earliest(tree, &pool.waiting).map(|start| start - window) {
                Some(start) if pool.is_truncated && start > since => since = start,
                _ => return Ok(pool),
            }
        }
    }

    fn new(conditions: &[u32], found: Vec<Vec<Occurrence>>) -> Self {
        let is_truncated = found.iter().any(|found| found.len() >= BATCH);
        let occurrences: Vec<_> = conditions.iter().copied().zip(found).collect();
        let times = |found: &Vec<Occurrence>| found.iter().map(|occurrence| occurrence.at).collect();
        let waiting = occurrences.iter().map(|(condition, found)| (*condition, times(found))).collect();
        Self { occurrences, waiting, is_truncated }
    }

    fn occurrence(&self, (condition, index): Position) -> Option<&Occurrence> {
        self.occurrences.iter().find(|(other, _)| *other == condition)?.1.get(index)
    }
}

/// Makes the run of a group of occurrences.
async fn run(engine: &Engine, trigger: &ActiveTrigger, group: Vec<&Occurrence>) -> Result<NewRun> {
    let mut ids: Vec<Box<str>> = group.iter().map(|occurrence| occurrence.id.clone()).collect();
    ids.sort_unstable();
    let id: Box<str> = format!("{}/{}", trigger.id, Digest::of(ids.join("\n").as_bytes())).into();
    let (cause, outcome) = match observations(trigger, &group) {
        Ok(observations) => {
            let causes: Vec<_> = observations.iter().flatten().map(Observation::cause).collect();
            (causes.join(", "), outcome(engine, trigger, &id, observations).await?)
        }
        Err(error) => ("a stored occurrence can't be read".to_owned(), RunOutcome::Failed(error.to_string().into())),
    };
    let observed_at = group.iter().map(|occurrence| occurrence.at).max().unwrap_or_default();
    let mut new = new_run(trigger, id, (cause, observed_at), outcome);
    new.run.consumes = ids;
    Ok(new)
}

/// Decodes the observation of each condition of a trigger.
fn observations(trigger: &ActiveTrigger, group: &[&Occurrence]) -> pynenc_core::Result<Vec<Option<Observation>>> {
    let mut observations: Vec<_> = trigger.spec.conditions.iter().map(|_| None).collect();
    for occurrence in group {
        if let Some(observation) = observations.get_mut(occurrence.condition as usize) {
            *observation = Some(unpack(&occurrence.context)?);
        }
    }
    Ok(observations)
}

/// Makes the occurrence of a candidate that met its condition.
fn occurrence(candidate: &Candidate, kept_for: Duration) -> Occurrence {
    let Candidate { condition, observation } = candidate;
    Occurrence {
        id: candidate.id(),
        trigger: condition.trigger.id.clone(),
        condition: condition.index,
        context: pack(observation).into(),
        at: observation.at(),
        until: observation.at() + condition.trigger.spec.shape.window() + kept_for,
    }
}
