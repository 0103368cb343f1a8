//! A call that a body awaits: submitted, waited for, and claimed by the same runner if it can be.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::lane::{Called, Submission};
use pynenc_core::orchestrator::{Block, Claim, Ended, Registered};
use pynenc_core::record::Outcome;
use pynenc_core::status::{Expect, Refusal};
use pynenc_core::{InvocationId, StatusRecord};

use super::{Attempt, Interrupt, Wait, shown};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extension::Changed;
use crate::worker::adoption::Adoption;
use crate::worker::answer::{Answered, Expected, answer_to};

/// What became of a call that a body waits for.
pub(crate) enum Awaited {
    /// It has ended, with this outcome if that is at hand.
    Ended { record: StatusRecord, outcome: Option<Outcome> },
    /// It wasn't waited for yet: another invocation may stand for it.
    Registered(Registered),
}

impl Attempt {
    /// Submits a call, and waits for its end with the slot given back meanwhile.
    pub(crate) async fn call(self: &Arc<Self>, engine: &Engine, submission: &Submission) -> Result<Awaited> {
        if self.is_blocking {
            return Err(Error::WaitInBlockingTask(self.tracked.task.clone()));
        }
        if self.open_waits.load(Ordering::Acquire) == 0 {
            self.worker.check_paused()?;
        }
        let adoption = self.worker.adoption(engine, self.runner, submission);
        match self.called(engine, submission, adoption.as_ref().map(Adoption::claim)).await? {
            Called::Waiting { child, claimed, end, .. } => {
                let wait = self.open_wait();
                engine.tell_submitted(&submission.record);
                engine.changed(&Changed { id: child.id, task: &child.task, record: &child.record });
                let (answer, expected) = answer_to(self);
                let granted = claimed.map(|tracked| (tracked, answer));
                if let Some(adoption) = adoption {
                    adoption.conclude(engine, granted, submission);
                }
                self.answered(engine, child.id, wait, expected, end_of(engine, child.id, end)).await
            }
            Called::Registered(reply) => {
                if let Some(adoption) = adoption {
                    adoption.conclude(engine, None, submission);
                }
                Ok(Awaited::Registered(reply))
            }
            Called::Cycle(path) => Err(Error::WaitCycle { path: shown(&path) }),
            Called::Refused(_) => {
                self.tell(Interrupt::Lost);
                Err(Error::ClaimLost(self.id()))
            }
        }
    }

    /// Waits for the end of a call: for its own word if this runner runs it, or for the news.
    async fn answered(
        self: &Arc<Self>,
        engine: &Engine,
        call: InvocationId,
        wait: Wait,
        mut expected: Expected,
        end: impl Future<Output = Result<StatusRecord>>,
    ) -> Result<Awaited> {
        tokio::pin!(end);
        let (answer, news) = tokio::select! {
            biased;
            answer = expected.answered() => (answer, None),
            news = &mut end => (expected.last_word().await, Some(news)),
        };
        match answer {
            Some(Answered::Ended { record, outcome, resumed: Some(permit) }) => {
                wait.over(permit);
                return Ok(Awaited::Ended { record, outcome });
            }
            Some(Answered::Ended { record, outcome, resumed: None }) => {
                wait.end(engine).await?;
                return Ok(Awaited::Ended { record, outcome });
            }
            Some(Answered::TooEarly(permit)) => {
                wait.over(permit);
                let record = self.wait(engine, &[call], engine.ended(call)).await?;
                return Ok(Awaited::Ended { record, outcome: None });
            }
            None => {}
        }
        let record = match news {
            Some(news) => news?,
            None => end.await?,
        };
        wait.end(engine).await?;
        Ok(Awaited::Ended { record, outcome: None })
    }

    async fn called(&self, engine: &Engine, submission: &Submission, claim: Option<&Claim>) -> Result<Called> {
        let mut expect = self.expect.lock().await;
        loop {
            let block = Block { waiter: self.id(), expect: *expect, runner: self.runner, on: Vec::new() };
            match engine.lane().call(submission.clone(), &block, claim).await? {
                Called::Refused(Refusal::Stale { version, epoch }) if epoch == expect.epoch => {
                    *expect = Expect { version, epoch };
                }
                called => {
                    if let Called::Waiting { waiter, .. } = &called {
                        *expect = Expect::from(waiter);
                    }
                    return Ok(called);
                }
            }
        }
    }
}

async fn end_of(engine: &Engine, id: InvocationId, end: Option<BoxStream<'static, Ended>>) -> Result<StatusRecord> {
    if let Some(mut end) = end {
        match end.next().await {
            Some((_, Some(record))) => return Ok(record),
            Some((_, None)) => return Err(Error::InvocationNotFound(id)),
            None => {}
        }
    }
    engine.ended(id).await
}
