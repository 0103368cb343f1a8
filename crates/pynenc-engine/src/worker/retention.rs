//! Retention: finished invocations are dropped when their time is over, and large arguments are kept as long as needed.

use std::time::Duration;

use pynenc_core::orchestrator::Find;
use pynenc_core::state_backend::Listing;
use pynenc_core::{InvocationId, RunnerId, Status, Timestamp};
use rustc_hash::FxHashSet;

use super::progress::is_due;
use super::state::Worker;
use crate::engine::Engine;
use crate::error::Result;

/// The maximum number of invocations in one step.
const BATCH: usize = 500;
/// The lease that lasts from one renewal of content to the next.
const CONTENTS_LEASE: &str = "contents";
/// The longest interval between two attempts to get that lease.
const LOOK_FOR_RENEWAL: Duration = Duration::from_secs(600);
/// The longest interval after which retention looks again at an invocation that was still needed.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

impl Worker {
    /// Retention: drops invocations whose retention is over, from the state backend first, and orphaned records, which
    /// were never registered.
    pub async fn retain(&self, engine: &Engine) -> Result<()> {
        let parts = engine.parts();
        let again_after = engine.settings().retention.results.min(LOOK_AGAIN);
        loop {
            let outlived = parts.orchestrator.outlived(BATCH, again_after).await?;
            let is_last = outlived.len() < BATCH;
            let unneeded = without_needed(engine, outlived).await?;
            if !unneeded.is_empty() {
                parts.state.forget(&unneeded).await?;
                parts.orchestrator.forget(&unneeded).await?;
            }
            if is_last {
                break;
            }
        }
        self.drop_orphans(engine).await
    }

    /// Drops orphaned records. Looks at each record once, at an age at which it is either registered or never will be.
    async fn drop_orphans(&self, engine: &Engine) -> Result<()> {
        let (parts, age) = (engine.parts(), engine.settings().retention.orphans);
        loop {
            let after = self.progress().orphans;
            let page = parts.state.list(&Listing::PutBefore(age), after, BATCH).await?;
            let known = parts.orchestrator.records(&page.items).await?;
            let orphans: Vec<_> =
                page.items.iter().zip(known).filter(|(_, known)| known.is_none()).map(|(id, _)| *id).collect();
            if !orphans.is_empty() {
                parts.state.forget(&orphans).await?;
            }
            if page.next.is_none() {
                return Ok(());
            }
            self.progress().orphans = page.next;
        }
    }

    /// Extends the retention of the large arguments of unfinished invocations, which may wait for longer than content
    /// is kept. A round over all invocations starts once in a quarter of that time, with one page a tick.
    pub async fn renew_contents(&self, engine: &Engine, now: Timestamp) -> Result<()> {
        if engine.parts().arg_cache.is_none() {
            return Ok(());
        }
        let after = self.progress().contents;
        if after.is_none() && !self.begins_renewal(engine, now).await? {
            return Ok(());
        }
        let find = Find { statuses: unfinished(), after, limit: BATCH, ..Find::default() };
        let page = engine.parts().orchestrator.find(&find).await?;
        let ids: Vec<_> = page.items.iter().map(|item| item.id).collect();
        let records = if ids.is_empty() { Vec::new() } else { engine.parts().state.invocations(&ids).await? };
        let arguments = records.iter().flatten().flat_map(|record| &record.arguments);
        let digests: Vec<_> = arguments.filter_map(|argument| argument.value.digest()).collect();
        engine.large_values().renew(&digests).await?;
        self.progress().contents = page.next;
        Ok(())
    }

    /// Returns whether a new renewal round is due, for all runners together. A lease that is never renewed marks the
    /// last round, so that a new runner doesn't start a round of its own.
    async fn begins_renewal(&self, engine: &Engine, now: Timestamp) -> Result<bool> {
        let interval = engine.large_values().keep() / 4;
        if !is_due(&mut self.progress().last_renewal, now, interval.min(LOOK_FOR_RENEWAL)) {
            return Ok(false);
        }
        Ok(engine.parts().orchestrator.acquire_lease(CONTENTS_LEASE, RunnerId::new(), interval).await?)
    }
}

/// Returns the invocations that no extension still needs. The store offers the others again later.
async fn without_needed(engine: &Engine, mut outlived: Vec<InvocationId>) -> Result<Vec<InvocationId>> {
    let mut needed = FxHashSet::default();
    for extension in engine.extensions() {
        needed.extend(extension.still_needed(engine, &outlived).await?);
    }
    outlived.retain(|id| !needed.contains(id));
    Ok(outlived)
}

fn unfinished() -> Vec<Status> {
    Status::ALL.iter().copied().filter(|status| !status.is_final()).collect()
}
