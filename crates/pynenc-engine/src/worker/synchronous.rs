//! Synchronous mode: a submit runs the task before it returns.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_core::{InvocationId, StatusRecord};

use super::state::Worker;
use crate::engine::{Engine, RunInline};
use crate::error::Result;

impl RunInline for Worker {
    /// Boxed, so that the futures of other submits don't carry its size.
    fn run_inline(self: Arc<Self>, engine: &Engine, id: InvocationId) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.run_until_final(engine, id).await?;
            self.run_handed(engine).await
        })
    }
}

impl Worker {
    async fn run_until_final(self: &Arc<Self>, engine: &Engine, id: InvocationId) -> Result<()> {
        loop {
            let record = engine.status(id).await?;
            if !record.is_queued() {
                return Ok(());
            }
            leap(engine, &record);
            for attempt in self.claim(engine, vec![id]).await {
                self.clone().run(engine.clone(), attempt).await;
            }
        }
    }

    /// Runs the parked invocations that were handed a slot by the completion of its holder.
    async fn run_handed(self: &Arc<Self>, engine: &Engine) -> Result<()> {
        loop {
            let queued = Find { queued_for: Some(Duration::ZERO), limit: 1, ..Find::default() };
            let page = engine.parts().orchestrator.find(&queued).await?;
            let Some(Tracked { id, .. }) = page.items.first() else { return Ok(()) };
            self.run_until_final(engine, *id).await?;
        }
    }
}

/// Leaps over the delay of an invocation that isn't due yet.
fn leap(engine: &Engine, record: &StatusRecord) {
    if let (Some(due), Some(clock)) = (record.due, &engine.settings().synchronous) {
        clock.leap_to(due);
    }
}
