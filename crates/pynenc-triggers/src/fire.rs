//! Runs are fired, their calls submitted, and what is old is dropped.

use pynenc_core::SerializerExt;
use pynenc_core::serializer::MsgPackSerializer;
use pynenc_core::trigger_store::{Delivered, RunOutcome, TriggerRun};
use pynenc_engine::{EncodedCall, Engine, Result};

use crate::extension::TriggerExtension;
use crate::judge::lasting;
use crate::react::BATCH;

impl TriggerExtension {
    /// Fires runs, and submits the calls of those that no other runner has fired. Tells for each whether it was fired here.
    pub(crate) async fn fire(&self, engine: &Engine, runs: Vec<TriggerRun>) -> Result<Vec<bool>> {
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        let fired = engine.parts().triggers.fire(&runs).await?;
        let mine = runs.into_iter().zip(&fired).filter(|(_, fired)| **fired).map(|(run, _)| run);
        deliver(engine, mine.collect()).await?;
        Ok(fired)
    }

    /// Submits what was fired by a runner that got no further.
    pub(crate) async fn rescue(&self, engine: &Engine) -> Result<()> {
        let runs = engine.parts().triggers.undelivered(self.config.offer_timeout, BATCH).await?;
        deliver(engine, runs).await
    }

    /// Drops what is old, and gives up what no runner could submit.
    pub(crate) async fn expire(&self, engine: &Engine) -> Result<()> {
        let (store, retention) = (&engine.parts().triggers, self.config.retention);
        let given_up = store.undelivered(retention, BATCH).await?.into_iter().map(|run| Delivered {
            run: run.id,
            refused: Some("no runner knew the task as long as the run was kept".into()),
        });
        let given_up: Vec<_> = given_up.collect();
        if !given_up.is_empty() {
            store.delivered(&given_up).await?;
        }
        while store.expire(retention, BATCH).await? >= BATCH {}
        Ok(())
    }
}

/// Submits the calls of runs whose tasks are known here, and says what became of them.
async fn deliver(engine: &Engine, runs: Vec<TriggerRun>) -> Result<()> {
    let mut delivered = Vec::with_capacity(runs.len());
    let (mut sent, mut calls) = (Vec::new(), Vec::new());
    for run in runs {
        let RunOutcome::Call { invocation, call } = run.outcome else { continue };
        match MsgPackSerializer.decode_as::<EncodedCall>(&call) {
            // Another runner may know the task.
            Ok(call) if engine.tasks().find(call.task().as_str()).is_none() => {}
            Ok(call) => {
                sent.push(run.id);
                calls.push((invocation, call));
            }
            Err(error) => delivered.push(Delivered { run: run.id, refused: Some(error.to_string().into()) }),
        }
    }
    let results = if calls.is_empty() { Vec::new() } else { engine.submit_encoded(calls).await? };
    for (run, result) in sent.into_iter().zip(results) {
        match lasting(result) {
            Ok(Ok(_)) => delivered.push(Delivered { run, refused: None }),
            Ok(Err(why)) => delivered.push(Delivered { run, refused: Some(why.into()) }),
            Err(error) => tracing::debug!(%run, %error, "a run is submitted again later"),
        }
    }
    if delivered.is_empty() { Ok(()) } else { Ok(engine.parts().triggers.delivered(&delivered).await?) }
}
