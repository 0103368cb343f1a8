//! The broker on Redis: hints by queue, priority and time.

use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::component::StoreId;
use pynenc_core::{Broker, Component, InvocationId, QueueName, Result};
use redis::Value;
use tokio::time::Instant;

use crate::arguments::{self, BATCH};
use crate::client::Client;
use crate::codec;
use crate::error::unexpected_reply;
use crate::keys::{Family, Key};
use crate::script;
use crate::store::RedisStore;
use crate::value::{ids, list, number};

/// The longest wait before the queues are read again: a wake token may have gone to a consumer that is gone.
const FALLBACK: Duration = Duration::from_secs(1);
/// The longest time that one command blocks. A dead connection is noticed after it.
const LONGEST_BLOCK: Duration = Duration::from_secs(10);
/// The longest wait of a pop. Adding a longer one to the present time could overflow.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A broker on Redis.
#[derive(Debug, Clone)]
pub struct RedisBroker {
    store: RedisStore,
}

/// Popped hints, and the time until the next one is due.
struct Popped {
    ids: Vec<InvocationId>,
    until_due: Option<Duration>,
}

impl RedisBroker {
    /// A broker in this store.
    pub fn new(store: RedisStore) -> Self {
        Self { store }
    }

    fn client(&self) -> &Client {
        self.store.client()
    }

    async fn pop_once(&self, arguments: &[Vec<u8>]) -> Result<Popped> {
        let mut values = list(self.client().run(&script::POP, arguments).await?)?.into_iter();
        let until_due = match values.next() {
            Some(Value::Int(millis)) => u64::try_from(millis).ok().map(Duration::from_millis),
            _ => return Err(unexpected_reply("popped hints")),
        };
        Ok(Popped { ids: ids(values)?, until_due })
    }
}

#[async_trait]
impl Component for RedisBroker {
    async fn purge(&self) -> Result<()> {
        self.client().purge(Family::Broker).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.client().store_id())
    }
}

#[async_trait]
impl Broker for RedisBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        codec::check_names(messages.iter().map(|message| message.queue.as_str()))?;
        for chunk in messages.chunks(BATCH) {
            let items: Vec<_> = chunk.iter().map(codec::hint).collect();
            self.client().run(&script::PUSH, &items).await?;
        }
        Ok(())
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let deadline = Instant::now() + pop.wait.min(LONGEST_WAIT);
        let mut arguments = vec![arguments::limit(pop.max)];
        arguments.extend(arguments::queues(&pop.queues));
        loop {
            let Popped { ids, until_due } = self.pop_once(&arguments).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !ids.is_empty() || left.is_zero() || pop.max == 0 {
                return Ok(ids);
            }
            wait_for_token(self.client(), &pop.queues, until_due.unwrap_or(FALLBACK).min(left)).await?;
        }
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        for chunk in ids.chunks(BATCH) {
            for key in [Key::Ready, Key::Delayed] {
                let key = self.client().key_of(key, queue.as_str().as_bytes());
                self.client().send(redis::cmd("ZREM").arg(key).arg(arguments::ids(chunk))).await?;
            }
        }
        Ok(())
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        let mut arguments = vec![queue.as_str().as_bytes().to_vec()];
        arguments.extend(position_of.map(|id| id.as_bytes().to_vec()));
        match &list(self.client().run(&script::QUEUE, &arguments).await?)?[..] {
            [ready, delayed, position] => Ok(QueueState {
                ready: number(ready)?,
                delayed: number(delayed)?,
                position: if *position == Value::Nil { None } else { Some(number(position)?) },
            }),
            _ => Err(unexpected_reply("the state of a queue")),
        }
    }
}

/// Waits for a push to one of the queues. Returns after some time without a push too, because the caller has to read
/// the queues again then.
pub(crate) async fn wait_for_token(client: &Client, queues: &[QueueName], wait: Duration) -> Result<()> {
    client.wait_for_token(&keys_of(client, &[Key::Wake], queues), wait.min(FALLBACK)).await.map(drop)
}

/// Waits for a push to one of some empty queues, or until one of them has hints though no token came.
pub(crate) async fn wait_for_hints(client: &Client, queues: &[QueueName], wait: Duration) -> Result<()> {
    let deadline = Instant::now() + wait.min(LONGEST_WAIT);
    let pushed = async {
        let lists = keys_of(client, &[Key::Wake], queues);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || client.wait_for_token(&lists, left.min(LONGEST_BLOCK)).await? {
                return Ok(());
            }
        }
    };
    let found = async {
        let mut exists = redis::cmd("EXISTS");
        exists.arg(keys_of(client, &[Key::Ready, Key::Delayed], queues));
        loop {
            tokio::time::sleep(FALLBACK).await;
            if number(&client.send(&exists).await?)? > 0 {
                return Ok(());
            }
        }
    };
    tokio::select! {
        result = pushed => result,
        result = found => result,
    }
}

fn keys_of(client: &Client, keys: &[Key], queues: &[QueueName]) -> Vec<Vec<u8>> {
    let of = |key: Key| queues.iter().map(move |queue| client.key_of(key, queue.as_str().as_bytes()));
    keys.iter().copied().flat_map(of).collect()
}
