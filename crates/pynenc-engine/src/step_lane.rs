//! The lane for components that share no store: it performs one step after the other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop};
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Blocked, Claim, ClaimReply, Registered, Tracked, TransitionReply};
use pynenc_core::record::Registration;
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

    /// Stores the records and registers the invocations, without hints.
    async fn register(&self, submissions: Vec<Submission>) -> Result<Vec<Registered>> {
        let (records, registrations): (Vec<_>, Vec<Registration>) =
            submissions.into_iter().map(|item| (item.record, item.registration)).unzip();
        self.state.put_invocations(&records).await?;
        let replies = self.orchestrator.register(&registrations).await?;
        let is_unused = |reply: &Registered| !matches!(reply, Registered::New(_));
        if replies.iter().any(is_unused) {
            let unused = registrations.iter().zip(&replies).filter(|(_, reply)| is_unused(reply));
            let unused: Vec<_> = unused.map(|(registration, _)| registration.id).collect();
            self.drop_unused(&unused).await;
        }
        Ok(replies)
    }

    /// Pauses the caller of a new call, and claims the call if there is a claim. `hints` are those that are left to push.
    async fn pause_and_claim(
        &self,
        child: Tracked,
        block: &Block,
        claim: Option<&Claim>,
        hints: &mut Vec<Message>,
    ) -> Result<Called> {
        let block = Block { on: vec![child.id], ..block.clone() };
        let waiter = match self.orchestrator.block(&block).await? {
            Blocked::Waiting { record, raised } => {
                *hints = raised;
                record
            }
            Blocked::Ready => return Ok(Called::Registered(Registered::New(child))),
            Blocked::Cycle(way) => return Ok(Called::Cycle(way)),
            Blocked::Refused(refusal) => return Ok(Called::Refused(refusal)),
        };
        let mut claimed = None;
        if let Some(claim) = claim {
            let claim = Claim { ids: vec![child.id], ..claim.clone() };
            if let Some(ClaimReply::Granted(granted)) = self.orchestrator.claim(&claim).await?.pop() {
                hints.clear();
                claimed = Some(granted);
            }
        }
        Ok(Called::Waiting { child, waiter, claimed, end: None })
    }
}

#[async_trait]
impl Lane for StepLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        let replies = self.register(submissions).await?;
        let hints: Vec<_> = replies.iter().filter_map(new_hint).collect();
        self.hint(&hints).await;
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

    /// The call's hint is pushed last, and only if the call wasn't claimed: a runner that pops it would get in the way.
    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let registered = only(self.register(vec![submission]).await?)?;
        let mut hints = Vec::from_iter(new_hint(&registered));
        let Registered::New(child) = registered else { return Ok(Called::Registered(registered)) };
        let called = self.pause_and_claim(child, block, claim, &mut hints).await;
        self.hint(&hints).await;
        called
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        let count = settlements.len();
        let (mut outcomes, mut transitions) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut items = Vec::with_capacity(count);
        for Settlement { outcome, transition, requeue } in settlements {
            items.push((outcome.is_some(), requeue));
            outcomes.extend(outcome);
            transitions.push(transition);
        }
        let not_stored = if outcomes.is_empty() { None } else { self.state.put_outcomes(&outcomes).await.err() };
        let goes_on = |has_outcome: bool| not_stored.is_none() || !has_outcome;
        if not_stored.is_some() {
            let mut has_outcome = items.iter().map(|(has_outcome, _)| *has_outcome);
            transitions.retain(|_| has_outcome.next().is_some_and(goes_on));
        }
        let mut replies =
            if transitions.is_empty() { Vec::new() } else { self.orchestrator.transition(&transitions).await? }
                .into_iter();
        let mut hints = Vec::new();
        let mut results = Vec::with_capacity(count);
        for (has_outcome, requeue) in items {
            let reply = if goes_on(has_outcome) { replies.next() } else { None };
            if let Some(TransitionReply::Done { record, handed }) = &reply {
                hints.extend(requeued(requeue, record));
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
        if let Err(error) = self.state.forget(unused).await {
            tracing::debug!(%error, count = unused.len(), "orphaned records aren't dropped yet; retention will do so");
        }
    }
}

/// The hint of a new invocation, if it belongs in a queue.
fn new_hint(reply: &Registered) -> Option<Message> {
    match reply {
        Registered::New(tracked) if tracked.record.is_queued() => Some(tracked.message()),
        _ => None,
    }
}

fn only<T>(replies: Vec<T>) -> Result<T> {
    replies.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Unexpected, "a submission had no reply"))
}

fn requeued(requeue: Option<Message>, record: &StatusRecord) -> Option<Message> {
    let message = requeue.filter(|_| record.is_queued())?;
    Some(Message { not_before: record.due, ..message })
}

fn no_transition(cause: Option<&Error>) -> Error {
    cause.map_or_else(|| Error::new(ErrorKind::Unexpected, "a transition had no reply"), Error::duplicate)
}
