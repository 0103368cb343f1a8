//! Protocols that are a little wrong, to show that the oracles would know.

use std::sync::Arc;

use pynenc_core::broker::{Message, Pop};
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, Registered, TransitionReply};
use pynenc_core::status::Expect;
use pynenc_core::{Broker, Lane, Orchestrator, Result, StateBackend, Status, async_trait};
use pynenc_engine::StepLane;

/// A way to get the protocol wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// The protocol as it is.
    None,
    /// A settlement compares the status' name: whoever believes it runs may commit while it runs.
    StatusNames,
    /// A settlement commits although its outcome couldn't be kept.
    SuffixWithoutPrefix,
    /// Outcomes are kept once for an invocation, whatever the epoch.
    OutcomesWithoutEpoch,
}

/// A lane that settles in a wrong way.
#[derive(Debug)]
pub(super) struct WrongLane {
    mutation: Mutation,
    right: StepLane,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
}

impl WrongLane {
    /// The lane of a mutation that concerns lanes.
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
        let right = StepLane::new(broker.clone(), orchestrator.clone(), state.clone());
        Some(Arc::new(Self { mutation, right, orchestrator, state }))
    }
}

#[async_trait]
impl Lane for WrongLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        self.right.submit(submissions).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.right.claim(claim).await
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        self.right.find(pop).await
    }

    async fn take(&self, pop: &Pop, claim: &Claim) -> Result<Vec<Claimed>> {
        self.right.take(pop, claim).await
    }

    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        self.right.call(submission, block, claim).await
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        if self.mutation == Mutation::SuffixWithoutPrefix {
            for settlement in &mut settlements {
                if let Some(outcome) = settlement.outcome.take() {
                    // What comes of it is not looked at: that is the mutation.
                    let _ = self.state.put_outcomes(&[outcome]).await;
                }
            }
        }
        if self.mutation == Mutation::StatusNames {
            for settlement in &mut settlements {
                self.believe_names(settlement).await?;
            }
        }
        self.right.settle(settlements).await
    }

    async fn push(&self, messages: &[Message]) -> Result<()> {
        self.right.push(messages).await
    }
}

impl WrongLane {
    /// Puts the record's own version, epoch and owner into a settlement if the record runs.
    async fn believe_names(&self, settlement: &mut Settlement) -> Result<()> {
        let id = settlement.transition.id;
        let Some(tracked) = self.orchestrator.records(&[id]).await?.pop().flatten() else { return Ok(()) };
        if tracked.record.status == Status::Running
            && let Some(owner) = tracked.record.owner
        {
            settlement.transition.expect = Expect::from(&tracked.record);
            settlement.transition.change.by = pynenc_core::status::By::Owner(owner);
        }
        Ok(())
    }
}
