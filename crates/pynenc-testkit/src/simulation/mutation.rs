//! Deliberately wrong protocols, to test that the oracles notice them.

use std::sync::Arc;

use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, Registered, TransitionReply};
use pynenc_core::{Broker, Lane, Orchestrator, Result, StateBackend, Status, async_trait};
use pynenc_engine::StepLane;

/// A bug in the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The correct protocol.
    None,
    /// A settlement compares only the status. A stale owner may commit while another runs.
    StatusNames,
    /// A settlement commits although its outcome wasn't stored.
    SuffixWithoutPrefix,
    /// An invocation has one outcome for all epochs.
    OutcomesWithoutEpoch,
}

/// A lane with a wrong settlement.
#[derive(Debug)]
pub(super) struct MutatedLane {
    mutation: Mutation,
    correct: StepLane,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
}

impl MutatedLane {
    /// Creates the lane for a mutation that affects lanes.
    pub(super) fn of(
        mutation: Mutation,
        broker: &Arc<dyn Broker>,
        orchestrator: &Arc<dyn Orchestrator>,
        state: &Arc<dyn StateBackend>,
    ) -> Option<Arc<dyn Lane>> {
        if !matches!(mutation, Mutation::StatusNames | Mutation::SuffixWithoutPrefix) {
            return None;
        }
        let (orchestrator, state) = (orchestrator.clone(), state.clone());
        let correct = StepLane::new(broker.clone(), orchestrator.clone(), state.clone());
        Some(Arc::new(Self { mutation, correct, orchestrator, state }))
    }
}

#[async_trait]
impl Lane for MutatedLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        self.correct.submit(submissions).await
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        self.correct.find(pop).await
    }

    async fn claim(&self, claim: &Claim, pop: Option<&Pop>) -> Result<Vec<Claimed>> {
        self.correct.claim(claim, pop).await
    }

    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        self.correct.call(submission, block, claim).await
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        if self.mutation == Mutation::SuffixWithoutPrefix {
            for settlement in &mut settlements {
                if let Some(outcome) = settlement.outcome.take() {
                    // The mutation ignores a failed write.
                    let _ = self.state.put_outcomes(&[outcome]).await;
                }
            }
        }
        if self.mutation == Mutation::StatusNames {
            for settlement in &mut settlements {
                self.skip_owner_check(settlement).await?;
            }
        }
        self.correct.settle(settlements).await
    }
}

impl MutatedLane {
    /// Replaces the expected version, epoch and owner with the current ones if the invocation runs.
    async fn skip_owner_check(&self, settlement: &mut Settlement) -> Result<()> {
        let id = settlement.transition.id;
        let Some(tracked) = self.orchestrator.records(&[id]).await?.pop().flatten() else { return Ok(()) };
        if tracked.record.status == Status::Running
            && let Some(owner) = tracked.record.owner
        {
            settlement.transition.seen = tracked.record.clone();
            settlement.transition.change.by = pynenc_core::status::By::Owner(owner);
        }
        Ok(())
    }
}
