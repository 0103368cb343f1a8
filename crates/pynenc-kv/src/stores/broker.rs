//! The broker over a key-value store.

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::component::StoreId;
use pynenc_core::{Broker, Component, InvocationId, QueueName, Result, Timestamp};

use crate::stores::bytes::Bytes;
use crate::stores::committed::Committed;
use crate::stores::consumer::{Consumer, Dues};
use crate::stores::key_value::Durability;
use crate::stores::store::{KvStore, MANY};
use crate::stores::work::{self, Work};

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
        step: impl FnMut(&mut Work<'_, '_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        work::write(&self.store, Durability::Process, MANY, step).await
    }

    /// Takes hints, or finds out when the next ones are due.
    async fn take(&self, pop: &Pop) -> Result<(Vec<InvocationId>, Dues)> {
        let pop = pop.clone();
        self.write(move |work| {
            let ids = work.take(&pop)?;
            let dues = if ids.is_empty() { work.dues(&pop.queues)? } else { Dues::new() };
            Ok((ids, dues))
        })
        .await
    }
}

#[async_trait]
impl Component for KvBroker {
    async fn purge(&self) -> Result<()> {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the path of the method isn't generic over its lifetimes"
        )]
        self.write(|work| work.purge_hints()).await
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(self.store.id())
    }
}

#[async_trait]
impl Broker for KvBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        let messages = messages.to_vec();
        self.write(move |work| messages.iter().try_for_each(|message| work.push(message))).await
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
        self.write(move |work| ids.iter().try_for_each(|id| work.remove(&queue, *id))).await
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        let queue = queue.clone();
        let run = move |bytes: Bytes<'_>, now: Timestamp| {
            Work::open(bytes, now, &mut Committed::default()).queue(&queue, position_of)
        };
        self.store.read(MANY, run).await
    }
}
