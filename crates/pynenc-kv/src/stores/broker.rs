//! The broker over a key-value store.

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::component::StoreId;
use pynenc_core::{Broker, Component, InvocationId, QueueName, Result, Timestamp};

use crate::decisions::queues::Queues;
use crate::storage::Collection;
use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::consumer::{Consumer, Dues};
use crate::stores::key_value::Durability;
use crate::stores::store::{KvStore, with};

/// A broker over a key-value store.
#[derive(Debug, Clone)]
pub struct KvBroker {
    store: KvStore,
}

impl KvBroker {
    /// The broker of a store.
    pub fn new(store: KvStore) -> Self {
        Self { store }
    }

    async fn write<R: Send + 'static>(
        &self,
        mut step: impl FnMut(&mut Queues<Bytes<'_>>, Timestamp, &mut Committed) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let run = move |bytes: Bytes<'_>, now: Timestamp, committed: &mut Committed| {
            with(Queues::open(&bytes), |queues| step(queues, now, committed))
        };
        self.store.write(Durability::Process, run).await
    }

    /// Takes hints, or finds out when the next ones are due.
    async fn take(&self, pop: &Pop) -> Result<(Vec<InvocationId>, Dues)> {
        let pop = pop.clone();
        self.write(move |queues, now, _| {
            let ids = queues.take(&pop, now)?;
            let dues = if ids.is_empty() { dues(queues, &pop.queues)? } else { Dues::new() };
            Ok((ids, dues))
        })
        .await
    }
}

/// When the next delayed hint of each queue is due.
pub(crate) fn dues(queues: &Queues<Bytes<'_>>, names: &[QueueName]) -> Result<Dues> {
    let dues = names.iter().filter_map(|name| Some(queues.next_due(name).transpose()?.map(|due| (name.clone(), due))));
    dues.collect()
}

/// Adds a hint in a step.
pub(crate) fn push(
    queues: &mut Queues<Bytes<'_>>,
    message: &Message,
    now: Timestamp,
    committed: &mut Committed,
) -> Result<()> {
    committed.hinted(&message.queue, message.not_before.filter(|due| *due > now));
    queues.push(message, now)
}

#[async_trait]
impl Component for KvBroker {
    async fn purge(&self) -> Result<()> {
        self.write(|queues, _, _| queues.clear()).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

#[async_trait]
impl Broker for KvBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let messages = messages.to_vec();
        self.write(move |queues, now, committed| {
            messages.iter().try_for_each(|message| push(queues, message, now, committed))
        })
        .await
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let deadline = self.store.clock().now() + pop.wait;
        let (ids, _) = self.take(pop).await?;
        if !ids.is_empty() || pop.max == 0 || self.store.clock().now() >= deadline {
            return Ok(ids);
        }
        let mut consumer = Consumer::new(self.store.clone(), &pop.queues);
        loop {
            // It sleeps before it looks, so a hint that comes in between wakes it.
            consumer.sleep(&Dues::new(), deadline);
            let (ids, dues) = self.take(pop).await?;
            if !ids.is_empty() || self.store.clock().now() >= deadline {
                return Ok(ids);
            }
            consumer.sleep(&dues, deadline);
            consumer.wait().await;
        }
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        let (queue, ids) = (queue.clone(), ids.to_vec());
        self.write(move |queues, _, _| ids.iter().try_for_each(|id| queues.remove(&queue, *id))).await
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        let queue = queue.clone();
        let run = move |bytes: Bytes<'_>, now: Timestamp| Queues::open(&bytes).state(&queue, position_of, now);
        self.store.read(run).await
    }
}
