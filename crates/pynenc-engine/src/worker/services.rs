//! What one runner at a time does for all: recovery, the sweep, retention. Each step can be repeated, and each can be
//! cut off anywhere.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Cursor, Find, Tracked, Transition, TransitionReply};
use pynenc_core::status::{By, Change, Expect};
use pynenc_core::{InvocationId, QueueName, Reason, RunnerId, Status, Timestamp};
use rustc_hash::FxHashSet;

use super::Worker;
use super::attempt::{Attempt, Interrupt};
use super::ending::after_loss;
use crate::engine::Engine;
use crate::error::Result;
use crate::extension::Changed;
use crate::stop::Stop;

/// At most so many items are looked at in one step.
const BATCH: usize = 500;
/// The lease under which the services run.
const SERVICES: &str = "services";
/// The lease that lasts from one renewal of content to the next.
const CONTENTS: &str = "contents";
/// How often is asked whether it is time for the next.
const LOOK_FOR_RENEWAL: Duration = Duration::from_secs(600);
/// How often is asked, at least, whether what is needed beyond its retention still is.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// How far the services of this worker have come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    sweep: Option<Cursor>,
    orphans: Option<Cursor>,
    contents: Option<Cursor>,
    last_renewal: Option<Timestamp>,
    last_retention: Option<Timestamp>,
    last_own: Option<Timestamp>,
    lease: Option<Lease>,
}

/// The lease on the services, as long as this worker has it.
#[derive(Debug, Clone, Copy)]
struct Lease {
    holder: RunnerId,
    end: Timestamp,
}

impl Worker {
    /// Performs the services until it is stopped.
    pub async fn serve(self: &Arc<Self>, engine: &Engine, mut stop: Stop) {
        while !stop.is_draining() {
            if let Err(error) = self.tick(engine).await {
                tracing::debug!(%error, "the services go on with the next tick");
            }
            self.until_next_tick(engine, &mut stop).await;
        }
    }

    /// Waits, and pushes meanwhile the hints that were taken for what this worker had then, as soon as it lets go.
    async fn until_next_tick(&self, engine: &Engine, stop: &mut Stop) {
        let next = engine.parts().clock.sleep(self.settings.sweep_interval);
        tokio::pin!(next);
        loop {
            tokio::select! {
                biased;
                () = stop.draining() => return,
                () = self.lost_claim.notified() => return,
                () = self.missed_hint.notified() => {
                    let hints = std::mem::take(&mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner));
                    engine.hint(&hints).await;
                }
                () = &mut next => return,
            }
        }
    }

    /// Performs each service that is due, if this worker has the lease on them.
    pub async fn tick(&self, engine: &Engine) -> Result<()> {
        let now = engine.parts().clock.now();
        let has_lost_claim = self.has_lost_claim.load(Ordering::Acquire);
        if has_lost_claim || self.is_due(now, self.settings.lease, |progress| &mut progress.last_own) {
            self.compare_with_store(engine).await?;
            if has_lost_claim {
                self.has_lost_claim.store(false, Ordering::Release);
            }
        }
        if !self.holds_services(engine, now).await? {
            return Ok(());
        }
        self.recover(engine).await?;
        self.sweep(engine).await?;
        if self.is_due(now, engine.settings().retention.interval, |progress| &mut progress.last_retention) {
            self.retain(engine).await?;
        }
        self.renew_contents(engine, now).await
    }

    /// Keeps the large arguments of what hasn't ended: it may wait for longer than content is kept. Every fourth of that
    /// time all of it is looked at, a page with each tick.
    pub async fn renew_contents(&self, engine: &Engine, now: Timestamp) -> Result<()> {
        if !engine.parts().arg_cache.is_enabled() {
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
        engine.contents().renew(&digests).await?;
        self.progress().contents = page.next;
        Ok(())
    }

    /// Whether the services are this worker's to perform. Its lease on them is asked for again before the next tick but
    /// one would be outside of it.
    async fn holds_services(&self, engine: &Engine, now: Timestamp) -> Result<bool> {
        let interval = self.settings.sweep_interval;
        if self.progress().lease.is_some_and(|lease| lease.holder == self.id() && now + interval * 3 / 2 < lease.end) {
            return Ok(true);
        }
        let holder = self.id();
        let is_held = engine.parts().orchestrator.lease(SERVICES, holder, interval * 3).await?;
        self.progress().lease = is_held.then_some(Lease { holder, end: now + interval * 3 });
        Ok(is_held)
    }

    /// Whether it is time for all runners together: a lease that nobody renews remembers the last time, so that a runner
    /// that starts doesn't look at everything again.
    async fn begins_renewal(&self, engine: &Engine, now: Timestamp) -> Result<bool> {
        let interval = engine.contents().keep() / 4;
        if !self.is_due(now, interval.min(LOOK_FOR_RENEWAL), |progress| &mut progress.last_renewal) {
            return Ok(false);
        }
        Ok(engine.parts().orchestrator.lease(CONTENTS, RunnerId::new(), interval).await?)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(
        &self,
        now: Timestamp,
        interval: Duration,
        last: impl Fn(&mut Progress) -> &mut Option<Timestamp>,
    ) -> bool {
        let mut progress = self.progress();
        let last = last(&mut progress);
        let is_due = last.is_none_or(|last| now.since(last) >= interval);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// Gives the work of lost runners to others.
    pub async fn recover(&self, engine: &Engine) -> Result<()> {
        loop {
            let lost = engine.parts().orchestrator.expired(BATCH).await?;
            let count = lost.len();
            let poison = self.settings.poison_losses;
            let changes = lost.into_iter().map(|(owner, item)| {
                let change = after_loss(&item.record, owner, poison);
                (item, change)
            });
            move_all(engine, changes.collect()).await?;
            if count < BATCH {
                return Ok(());
            }
        }
    }

    /// Gives back, uncharged, what the store says this worker owns and it doesn't hold: a claim whose reply was lost. Ends
    /// the bodies of what the store doesn't know any more, because it was emptied.
    pub async fn compare_with_store(&self, engine: &Engine) -> Result<()> {
        let runner = self.id();
        let (unheld, unowned): (Vec<_>, Vec<_>) = {
            let _nobody_takes = self.taking.lock().await;
            let owned = engine.parts().orchestrator.owned(runner).await?;
            let known: FxHashSet<_> = owned.iter().map(|item| item.id).collect();
            let unowned = self.attempts().into_iter().filter(|attempt| !known.contains(&attempt.id())).collect();
            let held = self.lock();
            (owned.into_iter().filter(|item| !held.contains_key(&item.id)).collect(), unowned)
        };
        end_forgotten(engine, &unowned).await?;
        move_all(engine, unheld.into_iter().map(|item| (item, claim_lost(runner))).collect()).await
    }

    /// Finds what is queued and has no hint, and pushes it again: wherever more waits than the broker holds.
    pub async fn sweep(&self, engine: &Engine) -> Result<()> {
        let short = short_queues(engine).await?;
        if short.is_empty() {
            self.set_cursor(None);
            return Ok(());
        }
        let after = self.progress().sweep;
        let page = engine.parts().orchestrator.queued(after, self.settings.sweep_interval, BATCH).await?;
        let hints: Vec<Message> =
            page.items.iter().filter(|item| short.contains(&item.queue)).map(Tracked::message).collect();
        engine.hint(&hints).await;
        self.set_cursor(page.next);
        Ok(())
    }

    fn set_cursor(&self, cursor: Option<Cursor>) {
        self.progress().sweep = cursor;
    }

    /// Drops what has outlived its retention, facts first, and facts that never became an invocation.
    pub async fn retain(&self, engine: &Engine) -> Result<()> {
        let parts = engine.parts();
        loop {
            let outlived = parts.orchestrator.outlived(BATCH).await?;
            if outlived.is_empty() {
                break;
            }
            let outlived = without_needed(engine, outlived).await?;
            parts.state.forget(&outlived).await?;
            parts.orchestrator.forget(&outlived).await?;
        }
        self.drop_orphans(engine).await
    }

    /// Looks at each record once, when it is old enough to have been registered if it ever will be.
    async fn drop_orphans(&self, engine: &Engine) -> Result<()> {
        let (parts, age) = (engine.parts(), engine.settings().retention.orphans);
        loop {
            let after = self.progress().orphans;
            let page = parts.state.aged(age, after, BATCH).await?;
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
}

/// Ends the bodies of attempts without a record.
async fn end_forgotten(engine: &Engine, attempts: &[Arc<Attempt>]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = attempts.iter().map(|attempt| attempt.id()).collect();
    let records = engine.parts().orchestrator.records(&ids).await?;
    let forgotten = attempts.iter().zip(records).filter(|(_, record)| record.is_none());
    forgotten.for_each(|(attempt, _)| attempt.tell(Interrupt::Lost));
    Ok(())
}

/// What nobody needs any more; the rest is kept, and looked at again when that time is over.
async fn without_needed(engine: &Engine, mut outlived: Vec<InvocationId>) -> Result<Vec<InvocationId>> {
    let mut needed = FxHashSet::default();
    for extension in engine.extensions() {
        needed.extend(extension.still_needed(engine, &outlived).await?);
    }
    if !needed.is_empty() {
        let again_after = engine.settings().retention.results.min(LOOK_AGAIN);
        let kept: Vec<_> = needed.iter().copied().collect();
        engine.parts().orchestrator.keep(&kept, again_after).await?;
        outlived.retain(|id| !needed.contains(id));
    }
    Ok(outlived)
}

fn unfinished() -> Vec<Status> {
    Status::ALL.iter().copied().filter(|status| !status.is_final()).collect()
}

fn claim_lost(runner: RunnerId) -> Change {
    Change::new(Status::Rerouted, By::Owner(runner), Reason::ClaimLost)
}

/// The queues in which more invocations wait than the broker has hints for.
async fn short_queues(engine: &Engine) -> Result<Vec<QueueName>> {
    let queued = engine.parts().orchestrator.count().await?.queued;
    let mut short = Vec::new();
    for (queue, count) in queued {
        let held = engine.parts().broker.len(&queue).await?;
        if count > held.ready + held.delayed {
            short.push(queue);
        }
    }
    Ok(short)
}

/// Moves records that nobody works on, and pushes the hints that follow. What has moved meanwhile is left alone.
async fn move_all(engine: &Engine, changes: Vec<(Tracked, Change)>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let transitions: Vec<_> = changes
        .iter()
        .map(|(item, change)| Transition { id: item.id, expect: Expect::from(&item.record), change: change.clone() })
        .collect();
    let replies = engine.parts().orchestrator.transition(&transitions).await?;
    let mut hints = Vec::new();
    for ((item, _), reply) in changes.into_iter().zip(replies) {
        if let TransitionReply::Done { record, handed } = reply {
            hints.extend(handed);
            let moved = Tracked { record, ..item };
            hints.extend(moved.record.is_queued().then(|| moved.message()));
            engine.changed(&Changed { id: moved.id, task: &moved.task, record: &moved.record });
        }
    }
    engine.hint(&hints).await;
    Ok(())
}
