//! From what happened to a call: told, judged, fired, submitted.
//!
//! Whatever is taken is offered again until it is done, and it is done when its runs are fired. A run is fired in one step,
//! under an id that follows from what happened, so that a repeat fires nothing. What was fired and not submitted is found
//! by [`TriggerExtension::rescue`]; the invocation's id follows from the run's, so that a repeat submits nothing.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use pynenc_core::trigger_store::Offered;
use pynenc_engine::{Engine, Result};

use crate::extension::TriggerExtension;
use crate::happening::Happening;
use crate::judge::{Verdict, judge};
use crate::live::LiveLeaf;
use crate::load::load;
use crate::runs::{failed_run, simple_run};

/// At most so many of each kind are taken at once.
pub(crate) const BATCH: usize = 500;

/// Something that happened, for the condition that it was told to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) to: LiveLeaf,
    pub(crate) happening: Happening,
}

impl TriggerExtension {
    /// Sees to the ends of invocations that wait in the outbox, a batch of them; whether more may wait.
    pub(crate) async fn react_to_ends(&self, engine: &Engine) -> Result<bool> {
        let (roster, orchestrator) = (self.roster(), &engine.parts().orchestrator);
        if roster.interests.is_empty() {
            return Ok(false);
        }
        let entries = orchestrator.outbox(&roster.outbox_listeners(), BATCH, self.config.offer_timeout).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
        let leaves = entries.into_iter().filter_map(|entry| Some((roster.leaf(&entry.listener)?.clone(), entry)));
        let told = load(engine, leaves.filter(|(leaf, _)| !leaf.trigger.is_paused).collect()).await?;
        self.react(engine, told).await?;
        orchestrator.outbox_done(&sequences).await?;
        Ok(true)
    }

    /// Sees to events that nobody was offered yet, a batch of each name; whether there may be more.
    pub(crate) async fn react_to_events(&self, engine: &Engine) -> Result<bool> {
        let (roster, store) = (self.roster(), &engine.parts().triggers);
        if roster.listeners.is_empty() {
            return Ok(false);
        }
        let offered = store.take_events(&roster.listeners, BATCH, self.config.offer_timeout).await?;
        if offered.is_empty() {
            return Ok(false);
        }
        let mut sequences: BTreeMap<Box<str>, Vec<u64>> = BTreeMap::new();
        let mut told = Vec::with_capacity(offered.len());
        for Offered { listener, event } in offered {
            sequences.entry(listener.clone()).or_default().push(event.sequence);
            let leaf = roster.leaf(&listener).filter(|leaf| !leaf.trigger.is_paused);
            told.extend(leaf.map(|to| Told { to: to.clone(), happening: Happening::Event(event) }));
        }
        self.react(engine, told).await?;
        try_join_all(sequences.iter().map(|(listener, done)| store.events_done(listener, done))).await?;
        Ok(true)
    }

    async fn react(&self, engine: &Engine, told: Vec<Told>) -> Result<()> {
        let mut runs = Vec::with_capacity(told.len());
        let mut occurred = Vec::new();
        for Told { to, happening } in told {
            match judge(engine, &to, &happening).await? {
                Verdict::False => {}
                Verdict::Failed(why) => runs.push(failed_run(&to, &happening, why)),
                Verdict::True if to.trigger.spec.is_simple() => runs.push(simple_run(engine, &to, happening).await?),
                Verdict::True => occurred.push(Told { to, happening }),
            }
        }
        self.fire(engine, runs).await?;
        self.combine(engine, occurred).await
    }
}
