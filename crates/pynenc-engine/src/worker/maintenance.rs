//! Maintenance of an app, which one runner at a time performs for all: recovery, the sweep and retention.
//!
//! Each step can be repeated, and can be interrupted at any point.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pynenc_core::Timestamp;

use super::progress::{MaintenanceLease, is_due};
use super::state::Worker;
use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

/// The name of the lease on the maintenance.
const LEASE: &str = "services";

impl Worker {
    /// Maintains the app until `stop` says so.
    pub async fn serve(self: &Arc<Self>, engine: &Engine, mut stop: Stop) {
        while !stop.is_draining() {
            if let Err(error) = self.tick(engine).await {
                tracing::debug!(%error, "maintenance failed; it goes on with the next tick");
            }
            self.until_next_tick(engine, &mut stop).await;
        }
    }

    /// Waits for the next tick. Meanwhile pushes the hints that were taken for invocations which the worker held, as soon as
    /// it has released them.
    async fn until_next_tick(&self, engine: &Engine, stop: &mut Stop) {
        let next = engine.parts().clock.sleep(self.settings.sweep_interval);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = stop.draining() => return,
                () = self.lost_claim.notify.notified() => return,
                () = self.taken_hints.added.notified() => engine.hint(&self.taken_hints.drain()).await,
                () = &mut next => return,
            }
        }
    }

    /// Performs each step of the maintenance that is due. All but the comparison with the store need the lease.
    pub async fn tick(&self, engine: &Engine) -> Result<()> {
        let now = engine.parts().clock.now();
        let has_lost_claim = self.lost_claim.is_unresolved.swap(false, Ordering::AcqRel);
        if (has_lost_claim || is_due(&mut self.progress().last_comparison, now, self.settings.lease))
            && let Err(error) = self.compare_with_store(engine).await
        {
            self.lost_claim.is_unresolved.fetch_or(has_lost_claim, Ordering::AcqRel);
            return Err(error);
        }
        if !self.holds_lease(engine, now).await? {
            return Ok(());
        }
        self.recover(engine).await?;
        self.sweep(engine).await?;
        if is_due(&mut self.progress().last_retention, now, engine.settings().retention.interval) {
            self.retain(engine).await?;
        }
        self.renew_contents(engine, now).await
    }

    /// Returns whether this worker holds the lease on the maintenance. Requests the lease again when less than one and a
    /// half intervals of it are left.
    async fn holds_lease(&self, engine: &Engine, now: Timestamp) -> Result<bool> {
        let interval = self.settings.sweep_interval;
        if self.progress().lease.is_some_and(|lease| lease.holder == self.id() && now + interval * 3 / 2 < lease.end) {
            return Ok(true);
        }
        let holder = self.id();
        let is_held = engine.parts().orchestrator.acquire_lease(LEASE, holder, interval * 3).await?;
        self.progress().lease = is_held.then_some(MaintenanceLease { holder, end: now + interval * 3 });
        Ok(is_held)
    }
}
