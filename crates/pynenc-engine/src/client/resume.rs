//! Resumes suspended invocations, such as workflows whose event has arrived.

use pynenc_core::orchestrator::Tracked;
use pynenc_core::status::{By, Change};
use pynenc_core::{InvocationId, Reason, Status};

use crate::engine::Engine;
use crate::error::Result;

/// The result of resuming a suspended invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeReply {
    /// The invocation is no longer suspended: this call or an earlier one moved it back to its queue.
    Resumed,
    /// A runner owns the invocation, which may be about to be suspended.
    Owned,
    /// The invocation has finished, or doesn't exist.
    Gone,
}

impl Engine {
    /// Resumes suspended invocations: moves them back to their queues, where a runner claims them and runs their task
    /// functions again.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    ///
    /// # Cancel safety
    ///
    /// A dropped call may or may not have taken effect, and can be repeated.
    pub async fn resume(&self, ids: &[InvocationId]) -> Result<Vec<ResumeReply>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tracked = self.parts().orchestrator.records(ids).await?;
        let suspended = tracked.iter().flatten().filter(|it| is_suspended(it));
        self.transition_all(suspended.map(|it| (it.clone(), resumption())).collect()).await?;
        Ok(tracked.iter().map(|tracked| result_of(tracked.as_ref())).collect())
    }
}

fn is_suspended(tracked: &Tracked) -> bool {
    tracked.record.status == Status::Scheduled && tracked.record.reason == Reason::Suspended
}

fn resumption() -> Change {
    Change::new(Status::Rerouted, By::System, Reason::Woken)
}

/// The result for an invocation, from its record before the transition. A refused transition doesn't change the result:
/// another process has resumed or finished the invocation meanwhile.
fn result_of(tracked: Option<&Tracked>) -> ResumeReply {
    match tracked.map(|tracked| tracked.record.status) {
        None => ResumeReply::Gone,
        Some(status) if status.is_final() => ResumeReply::Gone,
        Some(status) if status.is_owned() => ResumeReply::Owned,
        Some(_) => ResumeReply::Resumed,
    }
}
