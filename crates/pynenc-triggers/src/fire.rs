//! Fires runs, submits their calls, and drops old data.

use std::time::Duration;

use pynenc_core::packed::unpack;
use pynenc_core::trigger_store::{Delivered, FiredRun, Firing, RunOutcome, TriggerRun, TriggerRuns};
use pynenc_engine::metrics::{Metrics, list};
use pynenc_engine::{EncodedCall, Engine, Result};

use crate::extension::TriggerExtension;
use crate::failure::split_permanent;
use crate::pipeline::BATCH;
use crate::runs::NewRun;

impl TriggerExtension {
    /// Fires runs, and submits the calls of the runs that no other runner fired before. Returns for each run whether
    /// this call fired it.
    pub(crate) async fn fire(&self, engine: &Engine, runs: Vec<NewRun>) -> Result<Vec<bool>> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let firings: Vec<_> = runs.iter().map(|new| Firing::Run(new.run.clone())).collect();
        let fired = engine.parts().triggers.fire(&firings).await?;
        let mine: Vec<_> = runs.into_iter().zip(&fired).filter(|(_, fired)| **fired).map(|(run, _)| run).collect();
        measure(engine, &mine);
        deliver(engine, mine.into_iter().map(|new| new.run).collect()).await?;
        Ok(fired)
    }

    /// Submits the calls of runs that a crashed or disconnected runner fired and didn't submit.
    pub(crate) async fn redeliver(&self, engine: &Engine) -> Result<()> {
        deliver(engine, undelivered(engine, self.config.offer_timeout).await?).await
    }

    /// Drops data older than the retention. A run that no runner could submit for as long is refused.
    pub(crate) async fn expire(&self, engine: &Engine) -> Result<()> {
        let (store, retention) = (&engine.parts().triggers, self.config.retention);
        let refused = undelivered(engine, retention).await?.into_iter().map(|run| Delivered {
            run: run.id,
            refused: Some("no runner had the task within the setting `triggers.retention`".into()),
        });
        let refused: Vec<_> = refused.collect();
        if !refused.is_empty() {
            store.delivered(&refused).await?;
        }
        while store.expire(retention, BATCH).await? >= BATCH {}
        Ok(())
    }
}

/// Measures the runs that this process fired.
fn measure(engine: &Engine, runs: &[NewRun]) {
    let Some(recorder) = engine.metrics().map(Metrics::recorder) else { return };
    let now = engine.parts().clock.now();
    for NewRun { run, task, observed_at, missed } in runs {
        let count = |metric, number| recorder.counter(metric, &[task.as_str()]).increment(number);
        match run.outcome {
            RunOutcome::Call { .. } => {
                count(&list::TRIGGER_FIRINGS, 1);
                let reaction = now.since(*observed_at).as_secs_f64();
                recorder.histogram(&list::TRIGGER_REACTION, &[task.as_str()]).record(reaction);
            }
            RunOutcome::Failed(_) => count(&list::TRIGGER_FAILURES, 1),
            RunOutcome::Missed(_) => count(&list::MISSED_SLOTS, *missed as u64),
        }
    }
}

/// Reads the runs that fired at least `age` ago and whose calls aren't delivered.
async fn undelivered(engine: &Engine, age: Duration) -> Result<Vec<TriggerRun>> {
    let fired = engine.parts().triggers.runs(&TriggerRuns::Undelivered(age), BATCH).await?;
    Ok(fired.into_iter().map(|FiredRun { run, .. }| run).collect())
}

/// Submits the calls of runs whose tasks this program has, and records which calls were submitted or refused.
async fn deliver(engine: &Engine, runs: Vec<TriggerRun>) -> Result<()> {
    let mut delivered = Vec::with_capacity(runs.len());
    let (mut submitted, mut calls) = (Vec::new(), Vec::new());
    for run in runs {
        let RunOutcome::Call { invocation, call } = run.outcome else { continue };
        match unpack::<EncodedCall>(&call) {
            // A runner of another program may have the task.
            Ok(call) if engine.tasks().find(call.task().as_str()).is_none() => {}
            Ok(call) => {
                submitted.push(run.id);
                calls.push((invocation, call));
            }
            Err(error) => delivered.push(Delivered { run: run.id, refused: Some(error.to_string().into()) }),
        }
    }
    let results = if calls.is_empty() { Vec::new() } else { engine.submit_encoded(calls).await? };
    for (run, result) in submitted.into_iter().zip(results) {
        match split_permanent(result) {
            Ok(Ok(_)) => delivered.push(Delivered { run, refused: None }),
            Ok(Err(error)) => delivered.push(Delivered { run, refused: Some(error.into()) }),
            Err(error) => tracing::debug!(%run, %error, "can't submit the call of a trigger's run; trying again later"),
        }
    }
    if delivered.is_empty() { Ok(()) } else { Ok(engine.parts().triggers.delivered(&delivered).await?) }
}
