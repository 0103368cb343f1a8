//! Recovery: the invocations of lost runners, and claims whose reply was lost, go back to their queues.

use std::sync::Arc;

use pynenc_core::reads;
use pynenc_core::status::{By, Change};
use pynenc_core::{Reason, RunnerId, Status, StatusRecord};
use rustc_hash::FxHashSet;

use super::state::Worker;
use crate::attempt::{Attempt, Interrupt};
use crate::engine::Engine;
use crate::error::Result;

/// The maximum number of invocations in one step.
const BATCH: usize = 500;

impl Worker {
    /// Recovers the invocations of lost runners: moves them back to their queues, or fails them as poison pills.
    pub async fn recover(&self, engine: &Engine) -> Result<()> {
        loop {
            let lost = engine.parts().orchestrator.retire_expired(BATCH).await?;
            let count = lost.len();
            let poison = self.settings.poison_losses;
            let changes = lost.into_iter().map(|(owner, item)| {
                let change = after_loss(&item.record, owner, poison);
                (item, change)
            });
            engine.transition_all(changes.collect()).await?;
            if count < BATCH {
                return Ok(());
            }
        }
    }

    /// Compares the invocations that this worker holds with those it owns according to the store.
    ///
    /// An invocation that the worker owns but doesn't hold is given back, with no attempt charged: the reply to its claim
    /// was lost. An attempt is interrupted if the store no longer knows its invocation, because the store was purged.
    pub async fn compare_with_store(&self, engine: &Engine) -> Result<()> {
        let runner = self.id();
        let (unheld, unowned): (Vec<_>, Vec<_>) = {
            let _no_claims = self.taking.lock().await;
            let owned = reads::owned(&*engine.parts().orchestrator, runner).await?;
            let known: FxHashSet<_> = owned.iter().map(|item| item.id).collect();
            let unowned = self.attempts().into_iter().filter(|attempt| !known.contains(&attempt.id())).collect();
            let held = self.lock_held();
            (owned.into_iter().filter(|item| !held.contains_key(&item.id)).collect(), unowned)
        };
        interrupt_forgotten(engine, &unowned).await?;
        engine.transition_all(unheld.into_iter().map(|item| (item, claim_lost(runner))).collect()).await
    }
}

/// Interrupts the attempts whose invocations the orchestrator no longer has.
async fn interrupt_forgotten(engine: &Engine, attempts: &[Arc<Attempt>]) -> Result<()> {
    if attempts.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = attempts.iter().map(|attempt| attempt.id()).collect();
    let records = engine.parts().orchestrator.records(&ids).await?;
    let forgotten = attempts.iter().zip(records).filter(|(_, record)| record.is_none());
    forgotten.for_each(|(attempt, _)| attempt.interrupt(Interrupt::Lost));
    Ok(())
}

fn claim_lost(runner: RunnerId) -> Change {
    Change::new(Status::Rerouted, By::Owner(runner), Reason::ClaimLost)
}

/// The transition of an invocation whose owner was lost.
pub(super) fn after_loss(record: &StatusRecord, owner: RunnerId, poison_losses: u32) -> Change {
    let detail = format!("runner {owner}");
    if record.cancel_requested {
        return Change::new(Status::Cancelled, By::System, Reason::CancelRequested).detail(detail);
    }
    if record.status == Status::Running && record.losses + 1 >= poison_losses {
        let detail = format!("took down {} runners, the last of them {owner}", record.losses + 1);
        return Change::new(Status::Failed, By::System, Reason::PoisonPill).detail(detail);
    }
    Change::new(Status::Rerouted, By::System, Reason::OwnerLost).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pynenc_core::Timestamp;

    #[test]
    fn a_lost_invocation_is_rerouted_until_it_is_a_poison_pill() {
        let owner = RunnerId::new();
        let mut record = StatusRecord::registered(None, Timestamp::from_millis(0));
        record.status = Status::Running;
        let mut check = |status, losses, cancel_requested, expected: (Status, Reason)| {
            (record.status, record.losses, record.cancel_requested) = (status, losses, cancel_requested);
            let change = after_loss(&record, owner, 3);
            assert_eq!((change.to, change.reason), expected);
        };
        check(Status::Running, 0, false, (Status::Rerouted, Reason::OwnerLost));
        check(Status::Running, 2, false, (Status::Failed, Reason::PoisonPill));
        check(Status::Pending, 2, false, (Status::Rerouted, Reason::OwnerLost));
        check(Status::Paused, 2, false, (Status::Rerouted, Reason::OwnerLost));
        check(Status::Running, 2, true, (Status::Cancelled, Reason::CancelRequested));
    }
}
