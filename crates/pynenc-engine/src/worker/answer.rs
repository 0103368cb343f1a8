//! The answer to a caller on the same runner: it goes on in the trip in which what it called ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pynenc_core::lane::Settlement;
use pynenc_core::orchestrator::{Transition, TransitionReply};
use pynenc_core::record::Outcome;
use pynenc_core::status::{Expect, Refusal};
use pynenc_core::{Error, Result, StatusRecord};
use tokio::sync::oneshot;

use super::attempt::{Attempt, dropped, resumed};
use super::slots::{Entry, Permit, Reservation};
use crate::engine::Engine;

/// What a caller is told by what it has called.
#[derive(Debug)]
pub(super) enum Answered {
    /// The call has ended; with a permit, the caller runs again.
    Ended { record: StatusRecord, outcome: Option<Outcome>, resumed: Option<Permit> },
    /// The caller runs again, and its call has gone to another owner.
    TooEarly(Permit),
}

/// The caller's side.
#[derive(Debug)]
pub(super) struct Expected {
    is_decided: Arc<AtomicBool>,
    told: oneshot::Receiver<Answered>,
}

/// The side of what was called.
#[derive(Debug)]
pub(super) struct Answer {
    caller: Arc<Attempt>,
    is_decided: Arc<AtomicBool>,
    told: oneshot::Sender<Answered>,
}

/// An answer that is given with the end that comes next, and the slot in which the caller goes on.
#[derive(Debug)]
pub(super) struct Answering {
    caller: Arc<Attempt>,
    permit: Permit,
    told: oneshot::Sender<Answered>,
}

/// The two sides of an answer to this caller.
pub(super) fn answer_to(caller: &Arc<Attempt>) -> (Answer, Expected) {
    let ((sender, receiver), is_decided) = (oneshot::channel(), Arc::new(AtomicBool::new(false)));
    let answer = Answer { caller: caller.clone(), is_decided: is_decided.clone(), told: sender };
    (answer, Expected { is_decided, told: receiver })
}

impl Expected {
    /// Waits for the answer; without one, the end is told as every other.
    pub(super) async fn answered(&mut self) -> Option<Answered> {
        (&mut self.told).await.ok()
    }

    /// The answer if one is on its way; after this, none is.
    pub(super) async fn last_word(mut self) -> Option<Answered> {
        if self.is_decided.swap(true, Ordering::AcqRel) { self.answered().await } else { None }
    }
}

impl Answer {
    /// Goes with the end that comes next, if the caller still waits and there is a slot for it at once.
    pub(super) fn begin(self) -> Option<Answering> {
        let Self { caller, is_decided, told } = self;
        if told.is_closed() || caller.is_interrupted() {
            return None;
        }
        let Reservation::Held(permit) = caller.slots().reserve(Entry::Resume) else { return None };
        (!is_decided.swap(true, Ordering::AcqRel)).then_some(Answering { caller, permit, told })
    }
}

impl Answering {
    /// Settles the call, and has its caller go on in the same trip. A caller that is gone by then is left running: its
    /// next step, or its end, moves its record on.
    pub(super) async fn settle(self, engine: &Engine, settlement: Settlement) -> Result<TransitionReply> {
        let Self { caller, permit, told } = self;
        // A caller that asks something of the store just now, or waits for others too, has to go on by itself.
        let expect = caller.expect_at_once().filter(|_| caller.open_waits() == 1);
        let Some(mut expect) = expect else { return engine.settles().send(settlement).await.unwrap_or_else(dropped) };
        let outcome = settlement.outcome.as_ref().map(|write| write.outcome.clone());
        let resume = Settlement { outcome: None, transition: resume(&caller, *expect), requeue: None };
        let [ended, resumed] = engine.settles().send_both([settlement, resume]).await;
        let resumed = follow(&mut expect, resumed.unwrap_or_else(dropped)).then_some(permit);
        let ended = ended.unwrap_or_else(dropped)?;
        let word = match (&ended, resumed) {
            (TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record), resumed) => {
                Some(Answered::Ended { record: record.clone(), outcome, resumed })
            }
            (TransitionReply::Refused(_), Some(permit)) => Some(Answered::TooEarly(permit)),
            (TransitionReply::Refused(_), None) => None,
        };
        drop(expect);
        // One that waits no more leaves its slot with the message.
        if let Some(word) = word {
            drop(told.send(word));
        }
        Ok(ended)
    }
}

fn resume(caller: &Attempt, expect: Expect) -> Transition {
    Transition { id: caller.id(), expect, change: resumed(caller.runner) }
}

/// Keeps in mind where the caller's record is now; whether it has gone on.
fn follow(expect: &mut Expect, reply: Result<TransitionReply, Error>) -> bool {
    match reply {
        Ok(TransitionReply::Done { record, .. } | TransitionReply::AlreadyMine(record)) => {
            *expect = Expect::from(&record);
            true
        }
        Ok(TransitionReply::Refused(Refusal::Stale { version, epoch })) if epoch == expect.epoch => {
            *expect = Expect { version, epoch };
            false
        }
        _ => false,
    }
}
