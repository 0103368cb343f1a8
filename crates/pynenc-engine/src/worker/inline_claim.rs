//! Inline claims: a runner claims a call in the same round trip in which its own task function begins to wait for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pynenc_core::RunnerId;
use pynenc_core::broker::Message;
use pynenc_core::lane::{Claimed, Submission};
use pynenc_core::orchestrator::{Claim, ClaimReply, Tracked};
use pynenc_core::record::Registration;

use super::claim::Claiming;
use super::resume_caller::ResultSender;
use super::state::{StartAttempt, Worker};
use crate::engine::Engine;

/// A claim that is sent with a call. If it is dropped before its reply is known, it may have been granted.
pub(super) struct InlineClaim<'a> {
    claim: Claim,
    _claiming: Claiming<'a>,
    worker: &'a Arc<Worker>,
    is_open: bool,
}

impl fmt::Debug for InlineClaim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineClaim").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl Worker {
    /// Allows inline claims. Their attempts are started with `start`.
    pub(crate) fn allow_inline_claims(&self, start: StartAttempt) {
        let _ = self.inline.start.set(start);
    }

    /// Makes no more inline claims.
    pub(crate) fn stop_inline_claims(&self) {
        self.inline.are_stopped.store(true, Ordering::Release);
    }

    /// Makes the claim to send with a call, if this worker could start the call as soon as its caller waits.
    pub(super) fn inline_claim<'a>(
        self: &'a Arc<Self>,
        engine: &Engine,
        runner: RunnerId,
        submission: &Submission,
    ) -> Option<InlineClaim<'a>> {
        let Submission { record, registration } = submission;
        let is_served = self.queues.contains(&registration.queue);
        let is_known = engine.tasks().find(record.task.as_str()).is_some();
        if !is_served || !is_known || registration.due.is_some() || !self.may_claim_inline(runner) {
            return None;
        }
        let ids = self.not_held(vec![record.id]);
        let claim = Claim::new(Vec::new(), runner).running_below(self.losses_to_run_alone());
        let hint = Some(awaited_hint(registration));
        (!ids.is_empty()).then(|| InlineClaim {
            claim,
            _claiming: Claiming { worker: self, ids, hint },
            worker: self,
            is_open: true,
        })
    }

    fn may_claim_inline(&self, runner: RunnerId) -> bool {
        self.inline.start.get().is_some()
            && !self.inline.are_stopped.load(Ordering::Acquire)
            && !self.is_fenced.load(Ordering::Acquire)
            && runner == self.id()
            && !self.slots.is_crowded()
    }
}

impl InlineClaim<'_> {
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Starts the attempt, if the claim was granted.
    pub(super) fn conclude(
        mut self,
        engine: &Engine,
        granted: Option<(Tracked, ResultSender)>,
        submission: &Submission,
    ) {
        self.is_open = false;
        let Some((granted, result)) = granted else { return };
        let record = Some(submission.record.clone());
        let claimed = Claimed { id: granted.id, reply: ClaimReply::Granted(granted), record };
        let attempt = self.worker.hold_granted(engine, self.claim.runner, vec![claimed]).pop();
        if let Some((start, attempt)) = self.worker.inline.start.get().zip(attempt) {
            start(self.worker, attempt, result);
        }
    }
}

impl Drop for InlineClaim<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.worker.compare_soon();
        }
    }
}

/// The hint of a call that an invocation waits for.
fn awaited_hint(registration: &Registration) -> Message {
    Message {
        invocation: registration.id,
        queue: registration.queue.clone(),
        priority: registration.priority.raised(1),
        not_before: None,
    }
}
