//! Hints, by queue, priority and time.

use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::lane::StoreId;
use pynenc_core::{Broker, InvocationId, QueueName, Result};
use redis::Value;
use tokio::time::Instant;

use crate::client::{BATCH, RedisStore, bytes, list, number};
use crate::codec::{self, Parse};
use crate::error::misshapen;
use crate::keys::{Family, Key};
use crate::orchestrator::{decimal, id_items};
use crate::script::Verb;

/// How long a wait lasts at most before the queues are looked at again: a wake token may have gone to nobody.
const FALLBACK: Duration = Duration::from_secs(1);
/// Waits are no longer than this, so that their end can be told.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A broker on Redis.
#[derive(Debug, Clone)]
pub struct RedisBroker {
    store: RedisStore,
}

/// What a look at the queues gave.
struct Taken {
    ids: Vec<InvocationId>,
    until_due: Option<Duration>,
}

impl RedisBroker {
    /// A broker on this server.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    async fn take(&self, arguments: &[Vec<u8>]) -> Result<Taken> {
        let mut values = list(self.store.run(Verb::Pop, arguments).await?)?.into_iter();
        let until_due = match values.next() {
            Some(Value::Int(millis)) => u64::try_from(millis).ok().map(Duration::from_millis),
            _ => return Err(misshapen("a pop's answer")),
        };
        let ids = values.map(|id| Parse::new(&bytes(id)?).id()).collect::<Result<_>>()?;
        Ok(Taken { ids, until_due })
    }

    fn name(queue: &QueueName) -> Vec<u8> {
        queue.as_str().as_bytes().to_vec()
    }
}

#[async_trait]
impl Broker for RedisBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        push(&self.store, messages).await
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let deadline = Instant::now() + pop.wait.min(LONGEST_WAIT);
        let mut arguments = vec![decimal(pop.max.min(BATCH) as u64)];
        arguments.extend(pop.queues.iter().map(Self::name));
        loop {
            let Taken { ids, until_due } = self.take(&arguments).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !ids.is_empty() || left.is_zero() || pop.max == 0 {
                return Ok(ids);
            }
            wait_for_token(&self.store, &pop.queues, until_due.unwrap_or(FALLBACK).min(left)).await?;
        }
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            for key in [Key::Ready, Key::Delayed] {
                let key = self.store.of(key, queue.as_str().as_bytes());
                self.store.send(redis::cmd("ZREM").arg(key).arg(id_items(chunk))).await?;
            }
        }
        Ok(())
    }

    async fn len(&self, queue: &QueueName) -> Result<QueueLen> {
        let counts = list(self.store.run(Verb::Len, &[Self::name(queue)]).await?)?;
        match &counts[..] {
            [ready, delayed] => Ok(QueueLen { ready: number(ready)?, delayed: number(delayed)? }),
            _ => Err(misshapen("two numbers")),
        }
    }

    async fn place(&self, queue: &QueueName, id: InvocationId) -> Result<Option<u64>> {
        match self.store.run(Verb::Place, &[Self::name(queue), id.as_bytes().to_vec()]).await? {
            Value::Nil => Ok(None),
            place => number(&place).map(Some),
        }
    }

    async fn purge(&self) -> Result<()> {
        self.store.purge(Family::Broker).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

/// Waits until somebody has pushed, for some time at most, after which the queues have to be looked at anyway.
pub(crate) async fn wait_for_token(store: &RedisStore, queues: &[QueueName], wait: Duration) -> Result<()> {
    let wakes: Vec<_> = queues.iter().map(|queue| store.of(Key::Wake, queue.as_str().as_bytes())).collect();
    store.wait_for_token(&wakes, wait.min(FALLBACK)).await
}

/// Pushes hints, in chunks.
pub(crate) async fn push(store: &RedisStore, messages: &[Message]) -> Result<()> {
    codec::check_names(messages.iter().map(|message| message.queue.as_str()))?;
    for chunk in messages.chunks(BATCH) {
        let items: Vec<_> = chunk.iter().map(codec::hint).collect();
        store.run(Verb::Push, &items).await?;
    }
    Ok(())
}
