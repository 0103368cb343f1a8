//! Synchronous mode: a submit runs the task before it returns.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use pynenc_core::orchestrator::Tracked;
use pynenc_core::{InvocationId, StatusRecord};

use crate::engine::Engine;
use crate::error::Result;
use crate::worker::Worker;

impl Engine {
    /// Runs an invocation to its end, if the app is in synchronous mode, leaping over every delay.
    pub(crate) async fn run_inline(&self, id: InvocationId) -> Result<()> {
        match self.inline_worker() {
            Some(worker) => self.run_with(worker, id).await,
            None => Ok(()),
        }
    }

    /// In a box, so that submits elsewhere don't carry its size.
    fn run_with<'a>(&'a self, worker: &'a Arc<Worker>, id: InvocationId) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.run_until_final(worker, id).await?;
            self.run_handed(worker).await
        })
    }

    async fn run_until_final(&self, worker: &Arc<Worker>, id: InvocationId) -> Result<()> {
        loop {
            let record = self.status(id).await?;
            if !record.is_queued() {
                return Ok(());
            }
            self.leap(&record);
            for attempt in worker.claim(self, vec![id]).await {
                worker.clone().run(self.clone(), attempt).await;
            }
        }
    }

    fn leap(&self, record: &StatusRecord) {
        if let (Some(due), Some(clock)) = (record.due, &self.settings().synchronous) {
            clock.leap_to(due);
        }
    }

    /// What was parked is handed its slot when the holder has ended, and runs now.
    async fn run_handed(&self, worker: &Arc<Worker>) -> Result<()> {
        loop {
            let page = self.parts().orchestrator.queued(None, std::time::Duration::ZERO, 1).await?;
            let Some(Tracked { id, .. }) = page.items.first() else { return Ok(()) };
            self.run_until_final(worker, *id).await?;
        }
    }
}
