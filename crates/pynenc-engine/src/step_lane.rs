//! The lane for components that share no store: it performs one step after the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop};
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Blocked, Claim, ClaimReply, Registered, Transition, TransitionReply};
use pynenc_core::record::Registration;
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::{Broker, Error, ErrorKind, InvocationId, Lane, Orchestrator, Result, StateBackend, StatusRecord};

/// Performs each step for all items before the next step, which leaves out the items that failed.
#[derive(Debug, Clone)]
pub struct StepLane {
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
}

impl StepLane {
    /// Creates a lane over three components.
    pub fn new(broker: Arc<dyn Broker>, orchestrator: Arc<dyn Orchestrator>, state: Arc<dyn StateBackend>) -> Self {
        Self { broker, orchestrator, state }
    }

    /// Pushes hints. A failure is only logged: the sweep finds the invocations of lost hints.
    async fn hint(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        if let Err(error) = self.broker.push(messages).await {
            tracing::warn!(%error, count = messages.len(), "hints couldn't be pushed; the sweep will push them again");
        }
    }

    /// Stores the outcomes. An error concerns every settlement that has an outcome.
    async fn store_outcomes(&self, settlements: &[Settlement]) -> Option<Error> {
        let outcomes: Vec<OutcomeWrite> = settlements.iter().filter_map(|item| item.outcome.clone()).collect();
        if outcomes.is_empty() { None } else { self.state.put_outcomes(&outcomes).await.err() }
    }
}

#[async_trait]
impl Lane for StepLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        let (records, registrations): (Vec<_>, Vec<Registration>) =
            submissions.into_iter().map(|item| (item.record, item.registration)).unzip();
        self.state.put_invocations(&records).await?;
        let replies = self.orchestrator.register(&registrations).await?;
        let mut hints = Vec::with_capacity(replies.len());
        let mut unused = Vec::new();
        for (registration, reply) in registrations.iter().zip(&replies) {
            match reply {
                Registered::New(tracked) => hints.extend(tracked.record.is_queued().then(|| tracked.message())),
                Registered::Existing { .. } | Registered::Conflict { .. } => unused.push(registration.id),
            }
        }
        self.hint(&hints).await;
        self.drop_unused(&unused).await;
        Ok(replies.into_iter().map(Ok).collect())
    }

    async fn claim(&self, claim: &Claim, pop: Option<&Pop>) -> Result<Vec<Claimed>> {
        let mut claim = claim.clone();
        if let Some(pop) = pop {
            claim.ids = self.broker.pop(&Pop { wait: Duration::ZERO, ..pop.clone() }).await?;
            if claim.ids.is_empty() {
                return Ok(Vec::new());
            }
        }
        let replies = self.orchestrator.claim(&claim).await?;
        let granted: Vec<InvocationId> = replies
            .iter()
            .filter_map(|reply| if let ClaimReply::Granted(it) = reply { Some(it.id) } else { None })
            .collect();
        let mut records =
            if granted.is_empty() { Vec::new() } else { self.state.invocations(&granted).await? }.into_iter();
        let claimed = claim.ids.iter().zip(replies).map(|(id, reply)| {
            let record = if matches!(reply, ClaimReply::Granted(_)) { records.next().flatten() } else { None };
            Claimed { id: *id, reply, record }
        });
        Ok(claimed.collect())
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        self.broker.pop(pop).await.map(Found::Hints)
    }

    /// Doesn't claim the child; a runner that pops its hint does.
    async fn call(&self, submission: Submission, block: &Block, _claim: Option<&Claim>) -> Result<Called> {
        let registered = only(self.submit(vec![submission]).await?)??;
        let Registered::New(child) = registered else { return Ok(Called::Registered(registered)) };
        let block = Block { on: vec![child.id], ..block.clone() };
        Ok(match self.orchestrator.block(&block).await? {
            Blocked::Waiting { record, raised } => {
                self.hint(&raised).await;
                Called::Waiting { child, waiter: record, claimed: None, end: None }
            }
            Blocked::Ready => Called::Registered(Registered::New(child)),
            Blocked::Cycle(way) => Called::Cycle(way),
            Blocked::Refused(refusal) => Called::Refused(refusal),
        })
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        let not_stored = self.store_outcomes(&settlements).await;
        let goes_on = |item: &Settlement| not_stored.is_none() || item.outcome.is_none();
        let transitions: Vec<Transition> =
            settlements.iter().filter(|item| goes_on(item)).map(|item| item.transition.clone()).collect();
        let mut replies =
            if transitions.is_empty() { Vec::new() } else { self.orchestrator.transition(&transitions).await? }
                .into_iter();
        let mut hints = Vec::new();
        let mut results = Vec::with_capacity(settlements.len());
        for item in &settlements {
            let reply = if goes_on(item) { replies.next() } else { None };
            if let Some(TransitionReply::Done { record, handed }) = &reply {
                hints.extend(requeued(item, record));
                hints.extend(handed.iter().cloned());
            }
            results.push(reply.ok_or_else(|| no_transition(not_stored.as_ref())));
        }
        self.hint(&hints).await;
        Ok(results)
    }
}

impl StepLane {
    /// Drops the records of submissions that created no invocation. On failure they stay as orphans, which retention
    /// drops by their age.
    async fn drop_unused(&self, unused: &[InvocationId]) {
        if !unused.is_empty()
            && let Err(error) = self.state.forget(unused).await
        {
            tracing::debug!(%error, count = unused.len(), "orphaned records aren't dropped yet; retention will do so");
        }
    }
}

fn only<T>(replies: Vec<T>) -> Result<T> {
    replies.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Unexpected, "a submission had no reply"))
}

fn requeued(settlement: &Settlement, record: &StatusRecord) -> Option<Message> {
    let message = settlement.requeue.as_ref().filter(|_| record.is_queued())?;
    Some(Message { not_before: record.due, ..message.clone() })
}

fn no_transition(cause: Option<&Error>) -> Error {
    cause.map_or_else(|| Error::new(ErrorKind::Unexpected, "a transition had no reply"), Error::duplicate)
}
