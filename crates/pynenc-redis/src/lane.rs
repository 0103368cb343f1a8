//! Several steps in one trip: a script that runs the items one by one and stops each at its first refusal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop};
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, ClaimReply, Registered, TransitionReply};
use pynenc_core::{Error, InvocationId, Lane, QueueName, Result};
use redis::Value;
use tokio::time::Instant;

use crate::broker;
use crate::client::{BATCH, RedisStore, bytes, is_corrupt, list, optional};
use crate::codec::{self, Pack, Parse};
use crate::error::misshapen;
use crate::orchestrator::waiting::{pause, waiter_item};
use crate::orchestrator::{
    claim_arguments, decimal, granted_or_retired, register_item, replies, take_arguments, transition_item,
};
use crate::script::Verb;
use crate::state_backend::{outcome_item, record_of, record_value};

/// The lane of stores that are on one server.
#[derive(Debug, Clone)]
pub struct RedisLane {
    store: RedisStore,
    empty: Arc<Mutex<Option<Empty>>>,
}

/// That the last take has left nothing behind in its queues, and until when that holds if nobody pushes.
#[derive(Debug, Clone)]
struct Empty {
    queues: Vec<QueueName>,
    until: Option<Instant>,
}

impl RedisLane {
    pub(crate) fn new(store: RedisStore) -> Self {
        Self { store, empty: Arc::default() }
    }

    /// How long to wait for a wake token before the queues are looked at: not at all, unless they were empty.
    fn wait(&self, pop: &Pop) -> Duration {
        match self.empty().take() {
            Some(Empty { queues, until }) if queues == pop.queues => {
                let until_due = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
                until_due.min(pop.wait)
            }
            _ => Duration::ZERO,
        }
    }

    fn note(&self, pop: &Pop, is_empty: bool, until_due: i64) {
        let until = u64::try_from(until_due).ok().map(|millis| Instant::now() + Duration::from_millis(millis));
        let empty = is_empty.then(|| Empty { queues: pop.queues.clone(), until });
        *self.empty() = empty;
    }

    fn empty(&self) -> std::sync::MutexGuard<'_, Option<Empty>> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Lane for RedisLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        let mut items = Vec::with_capacity(2 * submissions.len());
        for item in &submissions {
            items.extend([register_item(&item.registration)?, record_value(&item.record)?]);
        }
        let (items, submissions) = (&items, &submissions);
        let submit = || async move {
            let replies = self.store.run_chunked(Verb::Submit, &[], items, 2).await?;
            let replies = replies.into_iter().zip(submissions);
            Ok(replies.map(|(reply, item)| replies::registered(&item.registration, reply)).collect())
        };
        self.store.intact_each(submit).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let claimed = self.store.intact_each(|| self.claimed(claim)).await?;
        claimed.into_iter().zip(&claim.ids).map(|(claimed, id)| claimed.or_else(|error| gone(*id, error))).collect()
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        let wait = self.wait(pop);
        if !wait.is_zero() && pop.max > 0 {
            broker::wait_for_token(&self.store, &pop.queues, wait).await?;
        }
        Ok(Found::Waiting)
    }

    async fn take(&self, pop: &Pop, claim: &Claim) -> Result<Vec<Claimed>> {
        let answer = self.store.run(Verb::Take, &take_arguments(claim, pop)).await?;
        let answer = granted_or_retired(answer, claim.runner)?;
        let [Value::Int(until_due), ids, replies] = <[Value; 3]>::try_from(answer).map_err(|_| misshapen("a take"))?
        else {
            return Err(misshapen("a take's answer"));
        };
        let (ids, mut values) = (list(ids)?, list(replies)?.into_iter());
        self.note(pop, ids.len() < pop.max.min(BATCH), until_due);
        let ids = ids.into_iter().map(|id| Parse::new(&bytes(id)?).id()).collect::<Result<Vec<_>>>()?;
        match ids.iter().map(|id| loaded(*id, &mut values)).collect() {
            // A claim with the same token is the same claim.
            Err(error) if is_corrupt(&error) => self.claim(&Claim { ids, ..claim.clone() }).await,
            taken => taken,
        }
    }

    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let (call, hub) = (submission.registration.id, self.store.hub());
        hub.open(&self.store).await?;
        let watch = hub.watch(&[call]);
        let called = self.store.intact(|| self.called(&submission, block, claim)).await;
        match called {
            Ok(Called::Waiting { child, waiter, claimed, .. }) => {
                Ok(Called::Waiting { child, waiter, claimed, end: Some(watch.stream) })
            }
            other => {
                hub.forget(&watch, &[call]);
                other
            }
        }
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        let mut items = Vec::with_capacity(3 * settlements.len());
        for item in &settlements {
            let outcome = item.outcome.as_ref().map(outcome_item).transpose()?.unwrap_or_default();
            items.extend([transition_item(&item.transition), outcome, requeue_item(item)]);
        }
        let (items, settlements) = (&items, &settlements);
        let settle = || async move {
            let replies = self.store.run_chunked(Verb::Settle, &[], items, 3).await?;
            let replies = replies.into_iter().zip(settlements);
            Ok(replies.map(|(reply, item)| replies::transitioned(&item.transition, reply)).collect())
        };
        self.store.intact_each(settle).await
    }

    async fn push(&self, messages: &[Message]) -> Result<()> {
        broker::push(&self.store, messages).await
    }
}

impl RedisLane {
    async fn claimed(&self, claim: &Claim) -> Result<Vec<Result<Claimed>>> {
        let mut claimed = Vec::with_capacity(claim.ids.len());
        for ids in claim.ids.chunks(BATCH) {
            let answer = self.store.run(Verb::ClaimLoad, &claim_arguments(claim, ids)).await?;
            let mut values = granted_or_retired(answer, claim.runner)?.into_iter();
            claimed.extend(ids.iter().map(|id| loaded(*id, &mut values)));
        }
        Ok(claimed)
    }

    async fn called(&self, submission: &Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let registration = &submission.registration;
        let token = claim.map_or_else(Vec::new, |claim| claim.token.as_bytes().to_vec());
        let arguments = [
            register_item(registration)?,
            record_value(&submission.record)?,
            waiter_item(block),
            self.store.hub().channel().to_vec(),
            token,
            decimal(claim.map_or(0, |claim| claim.runs_below.into())),
        ];
        let mut values = list(self.store.run(Verb::Call, &arguments).await?)?.into_iter();
        let mut next = || values.next().ok_or_else(|| misshapen("a call's answer"));
        let first = bytes(next()?)?;
        match first.split_first() {
            Some((b'W', _)) => {
                let (waiter, registered, granted) = (bytes(next()?)?, next()?, optional(next()?)?);
                let Registered::New(child) = replies::registered(registration, registered)? else {
                    return Err(misshapen("a call's answer"));
                };
                let claimed = granted.map(|granted| codec::tracked_entry(registration.id, &granted)).transpose()?;
                Ok(Called::Waiting { child, waiter: codec::header(&waiter)?, claimed, end: None })
            }
            Some((b'S', answer)) => {
                replies::registered(registration, Value::BulkString(answer.to_vec())).map(Called::Registered)
            }
            Some((b'K', _)) => {
                let way = values.map(|id| Parse::new(&bytes(id)?).id()).collect::<Result<_>>()?;
                Ok(Called::Cycle(way))
            }
            Some((b'R', answer)) => replies::refusal(&pause(block), answer).map(Called::Refused),
            _ => Err(misshapen("a call's answer")),
        }
    }
}

/// The next claim of a script's answer, with its record.
fn loaded(id: InvocationId, values: &mut impl Iterator<Item = Value>) -> Result<Claimed> {
    let (reply, record) = (values.next().unwrap_or(Value::Int(0)), values.next().unwrap_or(Value::Nil));
    let reply = replies::claimed(id, reply)?;
    let record = if matches!(reply, ClaimReply::Granted(_)) { optional(record)? } else { None };
    let record = match record.map(|value| record_of(id, &value)).transpose() {
        // The runner reads it again before it ends the invocation for it.
        Err(error) if is_corrupt(&error) => {
            tracing::error!(invocation = %id, %error, "a record can't be understood");
            None
        }
        record => record?,
    };
    Ok(Claimed { id, reply, record: record.map(Into::into) })
}

/// An entry that can't be understood isn't run; it stays where it is.
fn gone(id: InvocationId, error: Error) -> Result<Claimed> {
    replies::gone(id, error).map(|reply| Claimed { id, reply, record: None })
}

fn requeue_item(settlement: &Settlement) -> Vec<u8> {
    let Some(message) = &settlement.requeue else { return Vec::new() };
    Pack::new().u16(message.priority.level()).bytes(message.queue.as_str().as_bytes()).done()
}
