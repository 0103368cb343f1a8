//! The lane on Redis. One script runs all steps of the items, and stops an item at its first refusal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, ClaimReply, Registered, TransitionReply};
use pynenc_core::{Error, InvocationId, Lane, QueueName, Result};
use redis::Value;
use tokio::time::Instant;

use crate::arguments::{self, BATCH, decimal};
use crate::broker::wait_for_token;
use crate::client::Client;
use crate::codec::Pack;
use crate::error::{is_corrupt, unexpected_reply};
use crate::invocation_record::{parse_record, stored_record};
use crate::store::RedisStore;
use crate::value::{bytes, ids, list, optional};
use crate::{entry, outcome, replies, script};

/// The lane of components in one Redis store.
#[derive(Debug, Clone)]
pub struct RedisLane {
    store: RedisStore,
    /// The queues that the last claim of popped hints has emptied.
    empty: Arc<Mutex<Option<EmptyQueues>>>,
}

/// Queues that are empty until a time, if nobody pushes.
#[derive(Debug, Clone)]
struct EmptyQueues {
    queues: Vec<QueueName>,
    until: Option<Instant>,
}

impl RedisLane {
    pub(crate) fn new(store: RedisStore) -> Self {
        Self { store, empty: Arc::default() }
    }

    fn client(&self) -> &Client {
        self.store.client()
    }

    /// How long to wait for a wake token before the next claim: not at all, unless the queues were empty.
    fn wait(&self, pop: &Pop) -> Duration {
        match self.empty().take() {
            Some(EmptyQueues { queues, until }) if queues == pop.queues => {
                let until_due = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
                until_due.min(pop.wait)
            }
            _ => Duration::ZERO,
        }
    }

    /// Remembers whether a claim has emptied its queues, and when the next hint is due.
    fn remember(&self, pop: &Pop, is_empty: bool, until_due: i64) {
        let until = u64::try_from(until_due).ok().map(|millis| Instant::now() + Duration::from_millis(millis));
        *self.empty() = is_empty.then(|| EmptyQueues { queues: pop.queues.clone(), until });
    }

    fn empty(&self) -> MutexGuard<'_, Option<EmptyQueues>> {
        self.empty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Lane for RedisLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        let mut items = Vec::with_capacity(2 * submissions.len());
        for item in &submissions {
            items.extend([arguments::registration(&item.registration)?, stored_record(&item.record)]);
        }
        let (items, submissions) = (&items, &submissions);
        let submit = || async move {
            let replies = self.client().run_in_chunks(&script::SUBMIT, &[], items, 2).await?;
            let replies = submissions.iter().zip(replies);
            Ok(replies.map(|(item, reply)| replies::registered(&item.registration, reply)).collect())
        };
        self.client().retry_items_if_garbled(submit).await
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        let wait = self.wait(pop);
        if !wait.is_zero() && pop.max > 0 {
            wait_for_token(self.client(), &pop.queues, wait).await?;
        }
        Ok(Found::Waiting)
    }

    async fn claim(&self, claim: &Claim, pop: Option<&Pop>) -> Result<Vec<Claimed>> {
        match pop {
            Some(pop) => self.claim_popped(claim, pop).await,
            None => self.claim_candidates(claim).await,
        }
    }

    async fn call(&self, submission: Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let (call, pubsub) = (submission.registration.id, self.store.pubsub());
        pubsub.open().await?;
        let watch = pubsub.add_watch(&[call]);
        let called = self.client().retry_if_garbled(|| self.call_once(&submission, block, claim)).await;
        match called {
            Ok(Called::Waiting { child, waiter, claimed, .. }) => {
                Ok(Called::Waiting { child, waiter, claimed, end: Some(watch.stream) })
            }
            other => {
                pubsub.remove_watch(&watch, &[call]);
                other
            }
        }
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        let mut items = Vec::with_capacity(3 * settlements.len());
        for item in &settlements {
            let outcome = item.outcome.as_ref().map(outcome::stored).unwrap_or_default();
            items.extend([arguments::transition(&item.transition), outcome, requeued_hint(item)]);
        }
        let (items, settlements) = (&items, &settlements);
        let settle = || async move {
            let replies = self.client().run_in_chunks(&script::SETTLE, &[], items, 3).await?;
            let replies = settlements.iter().zip(replies);
            Ok(replies.map(|(item, reply)| replies::transitioned(&item.transition, reply)).collect())
        };
        self.client().retry_items_if_garbled(settle).await
    }
}

impl RedisLane {
    async fn claim_candidates(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let claim_in_chunks = || async {
            let mut claimed = Vec::with_capacity(claim.ids.len());
            for ids in claim.ids.chunks(BATCH) {
                let reply = self.client().run(&script::CLAIM_WITH_RECORDS, &arguments::claim(claim, ids)).await?;
                let mut values = replies::claims(reply, claim.runner)?.into_iter();
                claimed.extend(ids.iter().map(|id| claimed_with_record(*id, &mut values)));
            }
            Ok(claimed)
        };
        let claimed = self.client().retry_items_if_garbled(claim_in_chunks).await?.into_iter().zip(&claim.ids);
        claimed.map(|(claimed, id)| claimed.or_else(|error| gone_if_corrupt(*id, error))).collect()
    }

    async fn claim_popped(&self, claim: &Claim, pop: &Pop) -> Result<Vec<Claimed>> {
        let reply = self.client().run(&script::POP_AND_CLAIM, &arguments::claim_of_popped(claim, pop)).await?;
        let reply = replies::claims(reply, claim.runner)?;
        let [Value::Int(until_due), popped, replies] =
            <[Value; 3]>::try_from(reply).map_err(|_| unexpected_reply("popped hints and claims"))?
        else {
            return Err(unexpected_reply("popped hints and claims"));
        };
        let (popped, mut values) = (ids(list(popped)?)?, list(replies)?.into_iter());
        self.remember(pop, popped.len() < pop.max.min(BATCH), until_due);
        match popped.iter().map(|id| claimed_with_record(*id, &mut values)).collect() {
            // A claim with the same token gets the same reply.
            Err(error) if is_corrupt(&error) => self.claim_candidates(&Claim { ids: popped, ..claim.clone() }).await,
            claimed => claimed,
        }
    }

    async fn call_once(&self, submission: &Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let registration = &submission.registration;
        let token = claim.map_or_else(Vec::new, |claim| claim.token.as_bytes().to_vec());
        let arguments = [
            arguments::registration(registration)?,
            stored_record(&submission.record),
            arguments::waiter(block),
            self.store.pubsub().channel().to_vec(),
            token,
            decimal(claim.map_or(0, |claim| claim.runs_below.into())),
        ];
        let mut values = list(self.client().run(&script::CALL, &arguments).await?)?.into_iter();
        let mut next = || values.next().ok_or_else(|| unexpected_reply("a reply to a call"));
        let first = bytes(next()?)?;
        match first.split_first() {
            Some((b'W', _)) => {
                let (waiter, registered, granted) = (bytes(next()?)?, next()?, optional(next()?)?);
                let Registered::New(child) = replies::registered(registration, registered)? else {
                    return Err(unexpected_reply("a reply to a call"));
                };
                let claimed = granted.map(|granted| entry::tracked(registration.id, &granted)).transpose()?;
                Ok(Called::Waiting { child, waiter: entry::header(&waiter)?, claimed, end: None })
            }
            Some((b'S', reply)) => {
                replies::registered(registration, Value::BulkString(reply.to_vec())).map(Called::Registered)
            }
            Some((b'K', _)) => ids(values).map(Called::Cycle),
            Some((b'R', refusal)) => replies::pause_refused(block, refusal).map(Called::Refused),
            _ => Err(unexpected_reply("a reply to a call")),
        }
    }
}

/// Reads the reply to the next claim, and the record behind it.
fn claimed_with_record(id: InvocationId, values: &mut impl Iterator<Item = Value>) -> Result<Claimed> {
    let (reply, record) = (values.next().unwrap_or(Value::Int(0)), values.next().unwrap_or(Value::Nil));
    let reply = replies::claimed(id, reply)?;
    let record = if matches!(reply, ClaimReply::Granted(_)) { optional(record)? } else { None };
    let record = match record.map(|stored| parse_record(id, &stored)).transpose() {
        // The runner reads the record again before it fails the invocation.
        Err(error) if is_corrupt(&error) => {
            tracing::error!(invocation = %id, %error, "the record of an invocation is corrupt");
            None
        }
        record => record?,
    };
    Ok(Claimed { id, reply, record: record.map(Into::into) })
}

fn gone_if_corrupt(id: InvocationId, error: Error) -> Result<Claimed> {
    replies::gone_if_corrupt(id, error).map(|reply| Claimed { id, reply, record: None })
}

fn requeued_hint(settlement: &Settlement) -> Vec<u8> {
    let Some(message) = &settlement.requeue else { return Vec::new() };
    Pack::new().u16(message.priority.level()).bytes(message.queue.as_str().as_bytes()).done()
}
