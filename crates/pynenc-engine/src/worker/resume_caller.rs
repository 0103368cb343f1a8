//! Resuming a caller on the same runner: the round trip that settles a call also moves its caller back to running.
//!
//! The attempt of the called invocation has a [`ResultSender`], its caller the [`ResultReceiver`]. The store notifies the
//! caller too. `is_decided` is set by the side that acts first: set by the receiver, nothing is sent any more; set by the
//! sender, the receiver waits until the sender has sent or is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pynenc_core::lane::Settlement;
use pynenc_core::orchestrator::{Transition, TransitionReply};
use pynenc_core::record::Outcome;
use pynenc_core::{Error, Result, StatusRecord};
use tokio::sync::oneshot;

use crate::attempt::{Attempt, Permit, Reservation, SlotRequest, resumed};
use crate::engine::Engine;

/// The result of a called invocation, as its attempt sends it to the caller.
#[derive(Debug)]
pub(super) enum CallResult {
    /// The called invocation is finished. If `resumed` is set, the caller's status is running again, and the permit is its
    /// slot.
    Finished { record: StatusRecord, outcome: Option<Outcome>, resumed: Option<Permit> },
    /// The caller's status is running again, but the transition of the called invocation was refused: it isn't finished,
    /// or a later try of its settlement finishes it.
    NotFinished(Permit),
}

/// The caller's side.
#[derive(Debug)]
pub(super) struct ResultReceiver {
    is_decided: Arc<AtomicBool>,
    receiver: oneshot::Receiver<CallResult>,
}

/// The side of the called invocation's attempt.
#[derive(Debug)]
pub(crate) struct ResultSender {
    caller: Arc<Attempt>,
    is_decided: Arc<AtomicBool>,
    sender: oneshot::Sender<CallResult>,
}

/// A sender that has reserved a slot for the caller. Its next step is [`settle`](ResumingSender::settle).
#[derive(Debug)]
pub(super) struct ResumingSender {
    caller: Arc<Attempt>,
    permit: Permit,
    sender: oneshot::Sender<CallResult>,
}

/// Connects a called invocation's attempt with its caller.
pub(super) fn result_channel(caller: &Arc<Attempt>) -> (ResultSender, ResultReceiver) {
    let ((sender, receiver), is_decided) = (oneshot::channel(), Arc::new(AtomicBool::new(false)));
    let sender = ResultSender { caller: caller.clone(), is_decided: is_decided.clone(), sender };
    (sender, ResultReceiver { is_decided, receiver })
}

impl ResultReceiver {
    /// Waits for the result. Nothing is received if the sender was dropped: then the store notifies the caller.
    pub(super) async fn receive(&mut self) -> Option<CallResult> {
        (&mut self.receiver).await.ok()
    }

    /// Receives the result if it is being sent, and otherwise keeps it from being sent.
    pub(super) async fn close(mut self) -> Option<CallResult> {
        if self.is_decided.swap(true, Ordering::AcqRel) { self.receive().await } else { None }
    }
}

impl ResultSender {
    /// Reserves a slot for the caller, if the caller still waits and a slot is free at once. `None` drops the sender, and
    /// the store notifies the caller.
    pub(super) fn begin(self) -> Option<ResumingSender> {
        let Self { caller, is_decided, sender } = self;
        if sender.is_closed() || caller.is_interrupted() {
            return None;
        }
        let Reservation::Held(permit) = caller.slots().reserve(SlotRequest::Resume) else { return None };
        (!is_decided.swap(true, Ordering::AcqRel)).then_some(ResumingSender { caller, permit, sender })
    }
}

impl ResumingSender {
    /// Settles the called invocation and resumes its caller in one round trip. If the caller can't be resumed so, the called
    /// invocation is settled alone, and the store notifies the caller.
    ///
    /// If the caller has stopped waiting meanwhile, because its wait was dropped, its status is running although it has no
    /// slot. Its next wait or its settlement changes that.
    pub(super) async fn settle(self, engine: &Engine, settlement: Settlement) -> Result<TransitionReply> {
        let Self { caller, permit, sender } = self;
        // A caller with another transition under way, or with other waits, has to resume by itself.
        let seen = caller.try_seen().filter(|_| caller.open_waits() == 1);
        let Some(mut seen) = seen else {
            return engine.settles().send(settlement).await.unwrap_or_else(dropped_round_trip);
        };
        let outcome = settlement.outcome.as_ref().map(|write| write.outcome.clone());
        let resume = Transition { id: caller.id(), seen: seen.clone(), change: resumed(caller.runner) };
        let resume = Settlement { outcome: None, transition: resume, requeue: None };
        let [settled, resumed] = engine.settles().send_both([settlement, resume]).await;
        let runs = is_resumed(&mut seen, resumed.unwrap_or_else(dropped_round_trip));
        let resumed = runs.then_some(permit);
        let settled = settled.unwrap_or_else(dropped_round_trip)?;
        let result = match (&settled, resumed) {
            (TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record), resumed) => {
                Some(CallResult::Finished { record: record.clone(), outcome, resumed })
            }
            (TransitionReply::Refused(_), Some(permit)) => Some(CallResult::NotFinished(permit)),
            (TransitionReply::Refused(_), None) => None,
        };
        // Unlocked before the caller wakes up and makes its next transition.
        drop(seen);
        // If the caller doesn't wait any more, the permit is dropped with the result.
        if let Some(result) = result {
            drop(sender.send(result));
        }
        Ok(settled)
    }
}

/// Whether the caller's status is running again. A caller whose record has changed otherwise finds that out at its next
/// transition.
fn is_resumed(seen: &mut StatusRecord, reply: Result<TransitionReply, Error>) -> bool {
    let Ok(TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record)) = reply else { return false };
    *seen = record;
    true
}

/// The error of a settlement whose group was dropped by its leader: whether it took effect is unknown.
pub(super) fn dropped_round_trip<T>() -> Result<T, Error> {
    Err(Error::unavailable("the round trip of this settlement was dropped"))
}
