//! A lane that measures the round trips of another one: the operations that every invocation needs.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, Registered, TransitionReply};
use pynenc_core::{Lane, Result};

use super::handles::Operation;
use super::recorder::MetricsRecorder;

/// Measures the round trips of a lane.
pub(crate) struct MeasuredLane {
    lane: Arc<dyn Lane>,
    submit: Operation,
    find: Operation,
    claim: Operation,
    call: Operation,
    settle: Operation,
}

impl MeasuredLane {
    pub(crate) fn new(lane: Arc<dyn Lane>, recorder: &MetricsRecorder) -> Self {
        let operation = |name| Operation::new(recorder, name);
        Self {
            lane,
            submit: operation("submit"),
            find: operation("find"),
            claim: operation("claim"),
            call: operation("call"),
            settle: operation("settle"),
        }
    }
}

impl fmt::Debug for MeasuredLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MeasuredLane").field(&self.lane).finish()
    }
}

#[async_trait]
impl Lane for MeasuredLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        self.submit.measure(self.lane.submit(submissions)).await
    }

    /// Its duration isn't measured, because it waits for work.
    async fn find(&self, pop: &Pop) -> Result<Found> {
        let found = self.lane.find(pop).await;
        self.find.count_error(&found);
        found
    }

    async fn claim(&self, claim: &Claim, pop: Option<&Pop>) -> Result<Vec<Claimed>> {
        self.claim.measure(self.lane.claim(claim, pop)).await
    }

    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        self.call.measure(self.lane.call(submission, block, claim)).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        self.settle.measure(self.lane.settle(settlements)).await
    }
}
