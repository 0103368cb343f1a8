//! Occurrences of several conditions, brought together in the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pynenc_core::trigger_store::{Lookup, Occurrence, RunOutcome, TriggerRun};
use pynenc_core::{Digest, Timestamp};
use pynenc_engine::{Engine, Result};

use crate::combine::{Waiting, earliest, groups};
use crate::extension::TriggerExtension;
use crate::happening::Happening;
use crate::live::Live;
use crate::react::{BATCH, Told};
use crate::runs::{new_run, outcome, run_id};
use crate::spec::Node;

impl TriggerExtension {
    /// Keeps what came true, and fires what goes together by it.
    pub(crate) async fn combine(&self, engine: &Engine, told: Vec<Told>) -> Result<()> {
        if told.is_empty() {
            return Ok(());
        }
        let kept_for = self.config.retention;
        let occurrences = told.iter().map(|told| occurrence(told, kept_for)).collect::<Result<Vec<_>>>()?;
        engine.parts().triggers.put_occurrences(&occurrences).await?;
        let triggers: BTreeMap<_, _> =
            told.into_iter().map(|told| (told.to.trigger.id.clone(), told.to.trigger)).collect();
        for trigger in triggers.values() {
            for node in alternatives(&trigger.spec.shape) {
                self.pair(engine, trigger, node).await?;
            }
        }
        Ok(())
    }

    /// Fires what goes together, until nothing does. Another runner that took part of it has got further meanwhile.
    async fn pair(&self, engine: &Engine, trigger: &Arc<Live>, node: &Node) -> Result<()> {
        loop {
            let pool = Pool::read(engine, trigger, node).await?;
            let mut runs = Vec::new();
            for group in groups(node, &pool.waiting) {
                let occurrences = group.iter().map(|(leaf, place)| &pool.occurrences[leaf][*place]).collect();
                runs.push(run(engine, trigger, occurrences).await?);
            }
            if runs.is_empty() {
                return Ok(());
            }
            let fired = self.fire(engine, runs).await?;
            if !pool.is_cut && fired.into_iter().all(|fired| fired) {
                return Ok(());
            }
        }
    }
}

/// The parts any of which fires by itself.
fn alternatives(node: &Node) -> Vec<&Node> {
    match node {
        Node::Any(of) => of.iter().flat_map(alternatives).collect(),
        Node::Leaf(_) | Node::All { .. } => vec![node],
    }
}

/// What waits of each condition, as far as it can go together with the others.
struct Pool {
    occurrences: BTreeMap<u32, Vec<Occurrence>>,
    waiting: Waiting,
    /// Whether more waits than was read.
    is_cut: bool,
}

impl Pool {
    /// Reads the oldest ones, and from later on where those are too old for what they have to go together with.
    async fn read(engine: &Engine, trigger: &Live, node: &Node) -> Result<Self> {
        let (leaves, window) = (node.leaves(), node.window());
        let mut since = Timestamp::default();
        loop {
            let pool = Self::read_since(engine, trigger, &leaves, since).await?;
            match earliest(node, &pool.waiting).map(|start| start - window) {
                Some(start) if pool.is_cut && start > since => since = start,
                _ => return Ok(pool),
            }
        }
    }

    async fn read_since(engine: &Engine, trigger: &Live, leaves: &[u32], since: Timestamp) -> Result<Self> {
        let lookups: Vec<_> =
            leaves.iter().map(|leaf| Lookup { trigger: trigger.id.clone(), condition: *leaf, since }).collect();
        let found = engine.parts().triggers.occurrences(&lookups, BATCH).await?;
        let is_cut = found.iter().any(|found| found.len() >= BATCH);
        let occurrences: BTreeMap<u32, Vec<Occurrence>> = leaves.iter().copied().zip(found).collect();
        let times = |found: &Vec<Occurrence>| found.iter().map(|occurrence| occurrence.at).collect();
        let waiting = occurrences.iter().map(|(leaf, found)| (*leaf, times(found))).collect();
        Ok(Self { occurrences, waiting, is_cut })
    }
}

async fn run(engine: &Engine, trigger: &Live, group: Vec<&Occurrence>) -> Result<TriggerRun> {
    let mut ids: Vec<Box<str>> = group.iter().map(|occurrence| occurrence.id.clone()).collect();
    ids.sort_unstable();
    let id: Box<str> = format!("{}/{}", trigger.id, Digest::of(ids.join("\n").as_bytes())).into();
    let decoded = group.iter().map(|occurrence| Ok((occurrence.condition, Happening::decode(&occurrence.context)?)));
    let (cause, outcome) = match decoded.collect::<pynenc_core::Result<BTreeMap<_, _>>>() {
        Ok(happenings) => {
            let causes: Vec<_> = happenings.values().map(Happening::cause).collect();
            (causes.join(", "), outcome(engine, trigger, &id, happenings).await?)
        }
        Err(error) => ("what is kept can't be read".to_owned(), RunOutcome::Failed(error.to_string().into())),
    };
    Ok(TriggerRun { consumes: ids, ..new_run(trigger, id, cause, outcome) })
}

/// What waits for the other conditions of its trigger.
fn occurrence(told: &Told, kept_for: Duration) -> Result<Occurrence> {
    let Told { to, happening } = told;
    Ok(Occurrence {
        id: run_id(to, happening),
        trigger: to.trigger.id.clone(),
        condition: to.leaf,
        context: happening.encode()?.into(),
        at: happening.at(),
        until: happening.at() + to.trigger.spec.shape.window() + kept_for,
    })
}
