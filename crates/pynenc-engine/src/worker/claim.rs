//! Claims: becoming the owner of invocations, and releasing them.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pynenc_core::broker::{Message, Pop};
use pynenc_core::lane::{Claimed, Found};
use pynenc_core::orchestrator::{Claim, ClaimReply};
use pynenc_core::{ErrorKind, InvocationId, RunnerId, Status, StatusRecord};

use super::state::{Held, Holder, Worker};
use crate::attempt::{Attempt, Interrupt, SlotRequest};
use crate::backoff::store_backoff;
use crate::engine::{Engine, StatusChange};
use crate::task::TaskFunction;

/// How many times a claim is sent. All tries have the same token. After the last one, only a comparison with the store can
/// find what was granted.
const CLAIM_TRIES: u32 = 6;

impl Worker {
    /// Claims those of `ids` that can run. Give each attempt to [`Worker::run`].
    ///
    /// The claim also marks invocations as running, except those that may have to wait: for a thread, or to run alone. A
    /// claim whose reply is lost is sent again. An invocation that was claimed without this worker learning of it is given
    /// back by the next [`Worker::compare_with_store`].
    pub async fn claim(self: &Arc<Self>, engine: &Engine, ids: Vec<InvocationId>) -> Vec<Arc<Attempt>> {
        let ids = self.not_held(ids);
        if ids.is_empty() {
            return Vec::new();
        }
        let claiming = Claiming { worker: self, ids, hint: None };
        let claim = self.new_claim(engine, claiming.ids.clone());
        let claimed = self.send_claim(engine, &claim).await;
        self.start(engine, claim.runner, claimed).await
    }

    /// Claims what the lane found. Give each attempt to [`Worker::run`].
    ///
    /// # Errors
    ///
    /// If the lane pops the hints itself: the error of the lane. Invocations that it may have granted are given back by the
    /// next [`Worker::compare_with_store`], which [`Worker::serve`] performs as soon as the store replies again.
    ///
    /// # Cancel safety
    ///
    /// The claims of a dropped call are given back by [`Worker::compare_with_store`].
    pub async fn claim_found(
        self: &Arc<Self>,
        engine: &Engine,
        found: Found,
        pop: &Pop,
    ) -> pynenc_core::Result<Vec<Arc<Attempt>>> {
        match found {
            Found::Hints(ids) => Ok(self.claim(engine, ids).await),
            Found::Waiting => self.take(engine, pop).await,
        }
    }

    fn new_claim(&self, engine: &Engine, ids: Vec<InvocationId>) -> Claim {
        let left_out = self.unknown_tasks.left_out(engine.parts().clock.now());
        // 0 leaves every invocation pending: it may have to wait for a thread, and a loss meanwhile must not count.
        let runs_below = if engine.blocking_threads().are_scarce() { 0 } else { self.losses_to_run_alone() };
        Claim::new(ids, self.id()).running_below(runs_below).without(left_out)
    }

    /// Lets the lane pop hints and claim their invocations. The lock keeps [`Worker::compare_with_store`] from running before
    /// the reply names what was claimed.
    async fn take(self: &Arc<Self>, engine: &Engine, pop: &Pop) -> pynenc_core::Result<Vec<Arc<Attempt>>> {
        let _taking = self.taking.lock().await;
        let claim = self.new_claim(engine, Vec::new());
        match engine.lane().claim(&claim, Some(pop)).await {
            Ok(taken) => Ok(self.start(engine, claim.runner, taken).await),
            Err(error) if error.kind() == ErrorKind::Retired => {
                self.change_identity(engine, claim.runner);
                Ok(Vec::new())
            }
            Err(error) => {
                self.compare_soon();
                Err(error)
            }
        }
    }

    /// Makes the maintenance compare with the store at once, because a claim's reply was lost.
    pub(super) fn compare_soon(&self) {
        self.lost_claim.is_unresolved.store(true, Ordering::Release);
        self.lost_claim.notify.notify_one();
    }

    /// Makes attempts of the granted invocations. For the ones that the claim left out, pushes a delayed hint for other
    /// runners.
    async fn start(self: &Arc<Self>, engine: &Engine, runner: RunnerId, claimed: Vec<Claimed>) -> Vec<Arc<Attempt>> {
        let left_out = claimed.iter().filter_map(|claimed| match &claimed.reply {
            ClaimReply::LeftOut(tracked) => Some(self.unknown_tasks.hint(tracked, engine.parts().clock.now())),
            _ => None,
        });
        let left_out: Vec<_> = left_out.collect();
        let attempts = self.hold_granted(engine, runner, claimed);
        engine.hint(&left_out).await;
        attempts
    }

    /// Makes attempts of the granted invocations, and holds them.
    pub(super) fn hold_granted(&self, engine: &Engine, runner: RunnerId, claimed: Vec<Claimed>) -> Vec<Arc<Attempt>> {
        let attempts: Vec<_> =
            claimed.into_iter().filter_map(|claimed| self.granted(engine, runner, claimed)).collect();
        // The worker holds them before they run, so that a cancel that comes meanwhile finds them.
        let held = attempts.iter().map(|attempt| (attempt.id(), Held::by(Holder::Attempt(attempt.clone()))));
        let replaced: Vec<_> = {
            let mut all = self.lock_held();
            held.filter_map(|(id, attempt)| all.insert(id, attempt)).collect()
        };
        // A lane that pops hints itself may claim an invocation that this worker still holds an earlier attempt of.
        replaced.iter().filter_map(Held::attempt).for_each(|attempt| attempt.interrupt(Interrupt::Lost));
        attempts.iter().for_each(|attempt| notify_started(engine, attempt));
        attempts
    }

    /// Removes an attempt from the held ones, unless the worker holds another attempt of the same invocation by now. The
    /// store isn't changed.
    pub(super) fn release(&self, attempt: &Attempt) {
        let mut all = self.lock_held();
        let is_own = |held: &Held| held.attempt().is_some_and(|other| other.epoch() == attempt.epoch());
        let held = if all.get(&attempt.id()).is_some_and(is_own) { all.remove(&attempt.id()) } else { None };
        drop(all);
        if held.is_some_and(|held| held.is_hinted)
            && let Some(hint) = attempt.hint()
        {
            self.taken_hints.add(hint);
        }
    }

    /// Marks the ids as being claimed and leaves out those that the worker holds already: the reply to a second claim couldn't
    /// be told from that to the first. The rest keeps the order of the queue, in which slots of concurrency are granted.
    pub(super) fn not_held(&self, mut ids: Vec<InvocationId>) -> Vec<InvocationId> {
        let mut held = self.lock_held();
        ids.retain(|id| match held.entry(*id) {
            Entry::Vacant(entry) => {
                entry.insert(Held::by(Holder::Claim));
                true
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().is_hinted = true;
                false
            }
        });
        ids
    }

    async fn send_claim(&self, engine: &Engine, claim: &Claim) -> Vec<Claimed> {
        for failures in 0..CLAIM_TRIES {
            match engine.lane().claim(claim, None).await {
                Ok(claimed) => return claimed,
                Err(error) if error.kind() == ErrorKind::Retired => {
                    self.change_identity(engine, claim.runner);
                    return Vec::new();
                }
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, failures, "a claim is sent again");
                    engine.parts().clock.sleep(store_backoff(failures)).await;
                }
                Err(error) => {
                    tracing::error!(%error, "a claim failed");
                    return Vec::new();
                }
            }
        }
        self.compare_soon();
        Vec::new()
    }

    fn granted(&self, engine: &Engine, runner: RunnerId, claimed: Claimed) -> Option<Arc<Attempt>> {
        let ClaimReply::Granted(tracked) = claimed.reply else { return None };
        let task = engine.tasks().find(tracked.task.as_str());
        let is_blocking = task.is_some_and(|task| matches!(task.definition.function, TaskFunction::Blocking(_)));
        let request = if self.runs_alone(&tracked.record) { SlotRequest::Alone } else { SlotRequest::Start };
        let reservation = self.slots.reserve(request);
        let slots = self.slots.clone();
        Some(Arc::new(Attempt::new(slots, reservation, runner, tracked, claimed.record, is_blocking)))
    }

    /// From this number of losses on, an invocation runs alone: one more loss makes it a poison pill. With
    /// `poison_losses = 1`, a new invocation runs beside others all the same.
    pub(super) fn losses_to_run_alone(&self) -> u32 {
        self.settings.poison_losses.saturating_sub(1).max(1)
    }

    /// Whether an invocation runs alone. If it crashes the runner again, no other invocation is lost with it.
    fn runs_alone(&self, record: &StatusRecord) -> bool {
        record.losses >= self.losses_to_run_alone()
    }
}

/// Marks ids as being claimed, until it is dropped. If an id isn't granted by then although another hint for it was taken,
/// `hint` is pushed again; without a `hint`, the sweep finds the invocation.
pub(super) struct Claiming<'a> {
    pub(super) worker: &'a Worker,
    pub(super) ids: Vec<InvocationId>,
    pub(super) hint: Option<Message>,
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        let mut all = self.worker.lock_held();
        let mut is_hinted = false;
        for id in &self.ids {
            if all.get(id).is_some_and(|held| held.attempt().is_none()) {
                is_hinted |= all.remove(id).is_some_and(|held| held.is_hinted);
            }
        }
        drop(all);
        if let Some(hint) = self.hint.take().filter(|_| is_hinted) {
            self.worker.taken_hints.add(hint);
        }
    }
}

/// Notifies the engine's extensions of an attempt that is running already. Interrupts an attempt whose cancel was requested.
fn notify_started(engine: &Engine, attempt: &Attempt) {
    let record = &attempt.tracked.record;
    if record.cancel_requested {
        attempt.interrupt(Interrupt::Cancel);
    }
    if record.status == Status::Running {
        engine.changed(&StatusChange::of(&attempt.tracked));
    }
}
