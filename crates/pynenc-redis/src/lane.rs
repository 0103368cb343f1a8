//! Several steps in one trip: a script that runs the items one by one and stops each at its first refusal.

use async_trait::async_trait;
use pynenc_core::broker::Message;
use pynenc_core::lane::{Claimed, Settlement, Submission};
use pynenc_core::orchestrator::{Claim, ClaimReply, Registered, TransitionReply};
use pynenc_core::{ErrorKind, InvocationId, Lane, Result};
use redis::Value;

use crate::broker;
use crate::client::{BATCH, RedisStore, optional};
use crate::codec::Pack;
use crate::orchestrator::{claim_arguments, granted_or_retired, register_item, replies, transition_item};
use crate::script::Verb;
use crate::state_backend::{outcome_item, record_of, record_value};

/// The lane of stores that are on one server.
#[derive(Debug, Clone)]
pub struct RedisLane {
    store: RedisStore,
}

impl RedisLane {
    pub(crate) fn new(store: RedisStore) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Lane for RedisLane {
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        let mut items = Vec::with_capacity(2 * submissions.len());
        for item in &submissions {
            items.extend([register_item(&item.registration)?, record_value(&item.record)?]);
        }
        let replies = self.store.run_chunked(Verb::Submit, &[], items, 2).await?;
        let replies = replies.into_iter().zip(&submissions);
        Ok(replies.map(|(reply, item)| replies::registered(&item.registration, reply)).collect())
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::with_capacity(claim.ids.len());
        for ids in claim.ids.chunks(BATCH) {
            let answer = self.store.run(Verb::ClaimLoad, &claim_arguments(claim, ids)).await?;
            let mut values = granted_or_retired(answer, claim.runner)?.into_iter();
            for id in ids {
                let (reply, record) = (values.next().unwrap_or(Value::Int(0)), values.next().unwrap_or(Value::Nil));
                claimed.push(loaded(*id, reply, record)?);
            }
        }
        Ok(claimed)
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        let mut items = Vec::with_capacity(3 * settlements.len());
        for item in &settlements {
            let outcome = item.outcome.as_ref().map(outcome_item).transpose()?.unwrap_or_default();
            items.extend([transition_item(&item.transition), outcome, requeue_item(item)]);
        }
        let replies = self.store.run_chunked(Verb::Settle, &[], items, 3).await?;
        let replies = replies.into_iter().zip(&settlements);
        Ok(replies.map(|(reply, item)| replies::transitioned(&item.transition, reply)).collect())
    }

    async fn push(&self, messages: &[Message]) -> Result<()> {
        broker::push(&self.store, messages).await
    }
}

/// A record that can't be understood is a missing one to the runner, which ends its invocation for it.
fn loaded(id: InvocationId, reply: Value, record: Value) -> Result<Claimed> {
    let reply = replies::claimed(id, reply)?;
    let record = if matches!(reply, ClaimReply::Granted(_)) { optional(record)? } else { None };
    let record = match record.map(|value| record_of(id, &value)).transpose() {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tracing::error!(invocation = %id, %error, "a record can't be understood");
            None
        }
        record => record?,
    };
    Ok(Claimed { id, reply, record: record.map(Into::into) })
}

fn requeue_item(settlement: &Settlement) -> Vec<u8> {
    let Some(message) = &settlement.requeue else { return Vec::new() };
    Pack::new().u16(message.priority.level()).bytes(message.queue.as_str().as_bytes()).done()
}
