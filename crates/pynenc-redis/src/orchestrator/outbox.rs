//! Subscriptions to final transitions, and their delivery.

use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::Result;
use pynenc_core::orchestrator::{Outbox, OutboxEntry, OutboxInterest, OutboxTake, Tracked};
use redis::Value;

use super::store::RedisOrchestrator;
use crate::arguments::{self, BATCH, decimal};
use crate::codec::{Parse, check_names, millis};
use crate::codes::status_code;
use crate::value::{list, number};
use crate::{entry, script};

#[async_trait]
impl Outbox for RedisOrchestrator {
    async fn subscribe(&self, interests: &[OutboxInterest], length: Duration) -> Result<()> {
        let mut arguments = vec![decimal(millis(length))];
        for interest in interests {
            let OutboxInterest { listener, task, statuses } = interest;
            check_names([&**listener, task.as_str()])?;
            for status in statuses {
                let field = [&[status_code(*status)], task.as_str().as_bytes()].concat();
                arguments.extend([field, listener.as_bytes().to_vec()]);
            }
        }
        self.client().run(&script::SUBSCRIBE, &arguments).await.map(drop)
    }

    async fn take_outbox(&self, take: &OutboxTake) -> Result<Vec<OutboxEntry>> {
        let batches = take.done.chunks_exact(BATCH);
        let arguments = take_arguments(batches.remainder(), take);
        for batch in batches {
            self.client().run(&script::TAKE_OUTBOX, &take_arguments(batch, &OutboxTake::default())).await?;
        }
        let run = || async { entries(self.client().run(&script::TAKE_OUTBOX, &arguments).await?) };
        self.client().retry_if_garbled(run).await
    }
}

/// Acknowledges some entries, then takes others.
fn take_arguments(done: &[u64], take: &OutboxTake) -> Vec<Vec<u8>> {
    let mut arguments =
        vec![arguments::limit(take.limit), decimal(millis(take.again_after)), decimal(done.len() as u64)];
    arguments.extend(done.iter().copied().map(decimal));
    arguments.extend(take.listeners.iter().map(|listener| listener.as_bytes().to_vec()));
    arguments
}

/// Reads positions with their entries. A position whose entry is gone is left out.
fn entries(reply: Value) -> Result<Vec<OutboxEntry>> {
    let values = list(reply)?;
    let entries = values.chunks_exact(2).filter_map(|pair| match &pair[1] {
        Value::BulkString(stored) => Some((number(&pair[0]), stored)),
        _ => None,
    });
    entries.map(|(sequence, stored)| outbox_entry(sequence?, stored)).collect()
}

fn outbox_entry(sequence: u64, stored: &[u8]) -> Result<OutboxEntry> {
    let mut parse = Parse::new(stored);
    let listener = parse.sized_text()?.into();
    let Tracked { id, task, record, .. } = entry::with_id(parse.rest())?.0;
    Ok(OutboxEntry { sequence, listener, id, task, record })
}
