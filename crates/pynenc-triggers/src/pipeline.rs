//! The way from an observation to a submitted call. An observation is a completion or an event that a store offers to a
//! condition.
//!
//! A store offers an observation until it is acknowledged, which happens after the runs that it causes are stored. Storing
//! a run is one step, under an id that follows from its observations: a repetition stores nothing.
//! [`TriggerExtension::fire`] submits the run's call at once, and [`TriggerExtension::redeliver`] submits it later if the
//! runner died in between. The invocation's id follows from the run's id: a repetition submits nothing.

use pynenc_core::orchestrator::OutboxTake;
use pynenc_core::trigger_store::{EventsTake, HandledEvent, Offered};
use pynenc_engine::{Engine, Result};

use crate::candidate::Candidate;
use crate::evaluate::{Evaluation, evaluate};
use crate::extension::TriggerExtension;
use crate::load::load;
use crate::observation::Observation;
use crate::runs::{failed_run, simple_run};

/// The largest number of items that are taken at once for each listener.
pub(crate) const BATCH: usize = 500;

impl TriggerExtension {
    /// Processes a batch of completions from the outbox. Returns whether there were any: then more may be waiting.
    pub(crate) async fn process_completions(&self, engine: &Engine) -> Result<bool> {
        let (active, orchestrator) = (self.active(), &engine.parts().orchestrator);
        if active.interests.is_empty() {
            return Ok(false);
        }
        let (listeners, again_after) = (active.outbox_listeners(), self.config.offer_timeout);
        let take = OutboxTake { listeners, limit: BATCH, again_after, ..OutboxTake::default() };
        let entries = orchestrator.take_outbox(&take).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        let sequences: Vec<u64> = entries.iter().map(|entry| entry.sequence).collect();
        let offered = entries.into_iter().filter_map(|entry| Some((active.condition(&entry.listener)?.clone(), entry)));
        // Entries of paused and of removed triggers are acknowledged without a run.
        let offered = offered.filter(|(condition, _)| !condition.trigger.is_paused);
        let candidates = load(engine, offered.collect()).await?;
        self.process(engine, candidates).await?;
        orchestrator.take_outbox(&OutboxTake::done(sequences)).await?;
        Ok(true)
    }

    /// Processes a batch of events for each listener. Returns whether there were any: then more may be waiting.
    pub(crate) async fn process_events(&self, engine: &Engine) -> Result<bool> {
        let (active, store) = (self.active(), &engine.parts().triggers);
        if active.listeners.is_empty() {
            return Ok(false);
        }
        let (listeners, again_after) = (active.listeners.clone(), self.config.offer_timeout);
        let take = EventsTake { listeners, limit: BATCH, again_after, ..EventsTake::default() };
        let offered = store.take_events(&take).await?;
        if offered.is_empty() {
            return Ok(false);
        }
        let mut done = Vec::with_capacity(offered.len());
        let mut candidates = Vec::with_capacity(offered.len());
        for Offered { listener, event } in offered {
            let condition = active.condition(&listener).filter(|condition| !condition.trigger.is_paused).cloned();
            done.push(HandledEvent { listener, sequence: event.sequence });
            candidates
                .extend(condition.map(|condition| Candidate { condition, observation: Observation::Event(event) }));
        }
        self.process(engine, candidates).await?;
        store.take_events(&EventsTake::done(done)).await?;
        Ok(true)
    }

    async fn process(&self, engine: &Engine, candidates: Vec<Candidate>) -> Result<()> {
        let mut runs = Vec::with_capacity(candidates.len());
        let mut to_combine = Vec::new();
        for candidate in candidates {
            match evaluate(engine, &candidate).await? {
                Evaluation::Unmet => {}
                // Recorded as a run that failed, without a call.
                Evaluation::Failed(error) => runs.push(failed_run(&candidate, error)),
                Evaluation::Met if candidate.condition.trigger.spec.is_simple() => {
                    runs.push(simple_run(engine, candidate).await?);
                }
                Evaluation::Met => to_combine.push(candidate),
            }
        }
        self.fire(engine, runs).await?;
        self.combine(engine, to_combine).await
    }
}
