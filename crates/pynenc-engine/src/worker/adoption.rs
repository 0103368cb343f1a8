//! Calls that a runner claims in the trip in which one of its own bodies begins to wait for them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pynenc_core::RunnerId;
use pynenc_core::broker::Message;
use pynenc_core::lane::{Claimed, Submission};
use pynenc_core::orchestrator::{Claim, ClaimReply, Tracked};
use pynenc_core::record::Registration;

use super::answer::Answer;
use super::attempt::Attempt;
use super::{Claiming, Worker};
use crate::engine::Engine;

/// What a runner does with an attempt that it didn't look for.
pub(crate) type Adopter = Box<dyn Fn(&Arc<Worker>, Arc<Attempt>) + Send + Sync>;

/// A claim that goes with a call. Dropped before its answer is known, it may have been granted.
pub(super) struct Adoption<'a> {
    claim: Claim,
    _claiming: Claiming<'a>,
    worker: &'a Arc<Worker>,
    is_open: bool,
}

impl fmt::Debug for Adoption<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adoption").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl Worker {
    /// Has attempts run that are claimed with a call; without that, none are.
    pub(crate) fn adopt_with(&self, adopter: Adopter) {
        let _ = self.adopter.set(adopter);
    }

    /// Adopts nothing from now on.
    pub(crate) fn stop_adopting(&self) {
        self.adopts.store(false, Ordering::Release);
    }

    /// A claim for what is called, if this worker could begin with it as soon as its caller waits.
    pub(super) fn adoption<'a>(
        self: &'a Arc<Self>,
        engine: &Engine,
        runner: RunnerId,
        submission: &Submission,
    ) -> Option<Adoption<'a>> {
        let Submission { record, registration } = submission;
        let is_ours = self.queues.contains(&registration.queue) && engine.tasks().find(record.task.as_str()).is_some();
        if !is_ours || registration.due.is_some() || !self.may_adopt(runner) {
            return None;
        }
        let ids = self.not_held(vec![record.id]);
        let claim = Claim::new(Vec::new(), runner).running_below(self.losses_in_company());
        let hint = Some(awaited_hint(registration));
        (!ids.is_empty()).then(|| Adoption {
            claim,
            _claiming: Claiming { worker: self, ids, hint },
            worker: self,
            is_open: true,
        })
    }

    fn may_adopt(&self, runner: RunnerId) -> bool {
        self.adopter.get().is_some()
            && self.adopts.load(Ordering::Acquire)
            && !self.is_fenced.load(Ordering::Acquire)
            && runner == self.id()
            && !self.slots.is_crowded()
    }
}

impl Adoption<'_> {
    pub(super) fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Runs what was granted, if anything was.
    pub(super) fn conclude(mut self, engine: &Engine, granted: Option<(Tracked, Answer)>, submission: &Submission) {
        self.is_open = false;
        let Some((granted, answer)) = granted else { return };
        let record = Some(submission.record.clone());
        let claimed = Claimed { id: granted.id, reply: ClaimReply::Granted(granted), record };
        let begun = self.worker.begin(engine, self.claim.runner, vec![claimed]).pop();
        if let Some((adopter, attempt)) = self.worker.adopter.get().zip(begun) {
            attempt.answer_with(answer);
            adopter(self.worker, attempt);
        }
    }
}

impl Drop for Adoption<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.worker.give_back_soon();
        }
    }
}

/// The hint of a call that somebody waits for.
fn awaited_hint(registration: &Registration) -> Message {
    Message {
        invocation: registration.id,
        queue: registration.queue.clone(),
        priority: registration.priority.raised(1),
        not_before: None,
    }
}
