//! The lane on Redis. One script runs all steps of the items, and stops an item at its first refusal.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::Pop;
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, Registered, Tracked, TransitionReply};
use pynenc_core::{Lane, QueueName, Result, Timestamp};
use redis::Value;
use tokio::time::Instant;

use crate::arguments::{self, BATCH, Item, decimal, new_call};
use crate::broker::{wait_for_hints, wait_for_token};
use crate::client::Client;
use crate::decision::{self, Hint, Paused, Step};
use crate::error::{is_corrupt, unexpected_reply};
use crate::invocation_record::lane_record;
use crate::log::outcome_item;
use crate::store::RedisStore;
use crate::value::{id, ids, is_one, number, values_of};
use crate::{replies, script};

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

    /// Waits until the next claim may find hints: not at all, unless the last claim has emptied the queues.
    async fn wait(&self, pop: &Pop) -> Result<()> {
        let last = self.empty().take().filter(|empty| empty.queues == pop.queues);
        match last {
            _ if pop.max == 0 || pop.wait.is_zero() => Ok(()),
            Some(EmptyQueues { until: None, .. }) => wait_for_hints(self.client(), &pop.queues, pop.wait).await,
            Some(EmptyQueues { until: Some(until), .. }) => {
                let wait = until.saturating_duration_since(Instant::now()).min(pop.wait);
                wait_for_token(self.client(), &pop.queues, wait).await
            }
            None => Ok(()),
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
        let calls = submissions
            .iter()
            .map(|Submission { registration, record }| new_call(registration, Some(&lane_record(record))));
        let (batches, submissions) = (&arguments::new_calls(calls)?, &submissions);
        let submit = || async move {
            let mut registered = Vec::with_capacity(submissions.len());
            for (arguments, submissions) in batches.iter().zip(submissions.chunks(BATCH)) {
                self.submit_once(arguments, submissions, &mut registered).await?;
            }
            Ok(registered)
        };
        self.client().retry_items_if_garbled(submit).await
    }

    async fn find(&self, pop: &Pop) -> Result<Found> {
        self.wait(pop).await?;
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
        let steps: Vec<_> = settlements.iter().map(step).collect();
        let settle = || decision::settle(self.client(), &steps);
        self.client().retry_items_if_garbled(settle).await
    }
}

impl RedisLane {
    async fn submit_once(
        &self,
        arguments: &[Vec<u8>],
        submissions: &[Submission],
        registered: &mut Vec<Result<Registered>>,
    ) -> Result<()> {
        let registrations = submissions.iter().map(|item| &item.registration);
        match self.client().run(&script::SUBMIT, arguments).await? {
            time @ Value::Int(_) => {
                let time = Timestamp::from_millis(number(&time)?);
                registered.extend(registrations.map(|item| Ok(Registered::New(replies::accepted(item, time)))));
            }
            reply => {
                let (time, replies) = values_of(reply)?;
                let replies = registrations.zip(replies);
                registered.extend(replies.map(|(item, reply)| replies::registered(item, &reply, time)));
            }
        }
        Ok(())
    }

    async fn claim_candidates(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let claimed = replies::claim(self.client(), claim).await?;
        Ok(claim.ids.iter().zip(claimed).map(|(id, (reply, record))| Claimed { id: *id, reply, record }).collect())
    }

    async fn claim_popped(&self, claim: &Claim, pop: &Pop) -> Result<Vec<Claimed>> {
        let reply = self.client().run(&script::POP_AND_CLAIM, &arguments::claim_of_popped(claim, pop)).await?;
        let (time, mut values) = values_of(replies::unless_retired(reply, claim.runner)?)?;
        let Some(Value::Int(until_due)) = values.next() else { return Err(unexpected_reply("popped hints")) };
        let mut popped = Vec::with_capacity(values.len() / 2);
        while let Some((hint, reply)) = values.next().zip(values.next()) {
            popped.push((id(hint)?, reply));
        }
        self.remember(pop, popped.len() < pop.max.min(BATCH), until_due);
        let claimed = popped.iter().map(|(id, reply)| {
            let (reply, record) = replies::claimed(claim, *id, reply, time)?;
            Ok(Claimed { id: *id, reply, record })
        });
        match claimed.collect() {
            // A claim with the same token gets the same reply.
            Err(error) if is_corrupt(&error) => {
                let ids = popped.into_iter().map(|(id, _)| id).collect();
                self.claim_candidates(&Claim { ids, ..claim.clone() }).await
            }
            claimed => claimed,
        }
    }

    async fn call_once(&self, submission: &Submission, block: &Block, claim: Option<&Claim>) -> Result<Called> {
        let registration = &submission.registration;
        let Item { shared: [head], own: [item, rest] } =
            new_call(registration, Some(&lane_record(&submission.record)))?;
        let before = [item, head, rest];
        let token = claim.map_or_else(Vec::new, |claim| claim.token.as_bytes().to_vec());
        let (channel, runner) = (self.store.pubsub().channel().to_vec(), block.runner.as_bytes().to_vec());
        let runs_below = decimal(claim.map_or(0, |claim| claim.runs_below.into()));
        let behind = [channel, runner, token, runs_below];
        let pause = decision::pause(self.client(), &script::CALL, block, &before, &behind);
        let (code, rest, waiter, time) = match pause.await? {
            Paused::Refused(refusal) => return Ok(Called::Refused(refusal)),
            Paused::Replied { code, rest, waiter, time } => (code, rest, waiter, time),
        };
        match (code, &rest[..]) {
            (b'A', [reply]) => replies::registered(registration, reply, time).map(Called::Registered),
            (b'K', _) => ids(rest).map(Called::Cycle),
            (b'D', [reply, granted]) => {
                let Registered::New(child) = replies::registered(registration, reply, time)? else {
                    return Err(unexpected_reply("a reply to a call"));
                };
                let claimed = claim.filter(|_| is_one(granted)).map(|claim| {
                    // A repeat after a lost reply reads the child as it was claimed.
                    if child.record.owner == Some(claim.runner) {
                        return Ok(child.clone());
                    }
                    let record = replies::after_claim(claim, &child.record, time)?;
                    Ok(Tracked { record, ..child.clone() })
                });
                Ok(Called::Waiting { claimed: claimed.transpose()?, child, waiter, end: None })
            }
            _ => Err(unexpected_reply("a reply to a call")),
        }
    }
}

fn step(settlement: &Settlement) -> Step<'_> {
    let Settlement { outcome, transition, requeue } = settlement;
    let outcome = outcome.as_ref().map(|write| outcome_item(write.epoch, &write.outcome)).unwrap_or_default();
    let hint = requeue.as_ref().map_or(Hint::None, |message| Hint::Given(message.priority, message.not_before));
    Step { transition, outcome, hint }
}
