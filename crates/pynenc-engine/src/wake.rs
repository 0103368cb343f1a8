//! The return of what its body has put aside.

use pynenc_core::orchestrator::{Tracked, Transition, TransitionReply};
use pynenc_core::status::{By, Change, Expect};
use pynenc_core::{InvocationId, Reason, Status};

use crate::engine::Engine;
use crate::error::Result;
use crate::extension::Changed;

/// What became of a wish to wake an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waking {
    /// It is awake: back in its queue now, or there before.
    Awake,
    /// A runner owns it: it may be about to be put aside.
    Owned,
    /// It has ended, or doesn't exist.
    Gone,
}

impl Engine {
    /// Brings back what its body has put aside; its body runs again and finds what it waited for.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`](crate::Error::Unavailable).
    ///
    /// # Cancel safety
    ///
    /// A dropped wake may or may not have taken effect, and can be repeated.
    pub async fn wake(&self, ids: &[InvocationId]) -> Result<Vec<Waking>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let tracked = self.parts().orchestrator.records(ids).await?;
        let (asleep, transitions): (Vec<_>, Vec<_>) =
            tracked.iter().flatten().filter(|it| is_aside(it)).map(|it| (it, waking(it))).unzip();
        let moved = if transitions.is_empty() {
            Vec::new()
        } else {
            self.parts().orchestrator.transition(&transitions).await?
        };
        let mut hints = Vec::new();
        for (tracked, reply) in asleep.into_iter().zip(moved) {
            if let TransitionReply::Done { record, handed } = reply {
                hints.extend(handed);
                let woken = Tracked { record, ..tracked.clone() };
                hints.extend(woken.record.is_queued().then(|| woken.message()));
                self.changed(&Changed { id: woken.id, task: &woken.task, record: &woken.record });
            }
        }
        self.hint(&hints).await;
        Ok(tracked.iter().map(|tracked| found(tracked.as_ref())).collect())
    }
}

fn is_aside(tracked: &Tracked) -> bool {
    tracked.record.status == Status::Scheduled && tracked.record.reason == Reason::PutAside
}

fn waking(tracked: &Tracked) -> Transition {
    let change = Change::new(Status::Rerouted, By::System, Reason::Woken);
    Transition { id: tracked.id, expect: Expect::from(&tracked.record), change }
}

/// A transition that was refused has been overtaken: somebody else has woken it, or ended it.
fn found(tracked: Option<&Tracked>) -> Waking {
    match tracked.map(|tracked| tracked.record.status) {
        None => Waking::Gone,
        Some(status) if status.is_final() => Waking::Gone,
        Some(status) if status.is_owned() => Waking::Owned,
        Some(_) => Waking::Awake,
    }
}
