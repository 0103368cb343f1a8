//! The broker in memory: hints by queue, priority and time.

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::component::StoreId;
use pynenc_core::{Broker, Clock, Component, InvocationId, QueueName, Result, Timestamp};
use pynenc_kv::decisions::queues::{HintTable, Queues};
use pynenc_kv::local::{Consumers, Ticket};
use pynenc_kv::native::Native;
use pynenc_kv::storage::Collection;

use crate::shared::Shared;

/// A broker in the memory of this process.
#[derive(Debug)]
pub struct MemBroker {
    hints: Shared<Hints>,
}

impl MemBroker {
    /// A broker without hints.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (queues, table, consumers) = (Queues::open(&Native), HintTable::open(&Native), Consumers::default());
        Self { hints: Shared::new(clock, Hints { queues, table, consumers }) }
    }

    /// Takes hints; `None` if the pop has to wait, and then `wait` is its registration as a consumer.
    fn take_or_wait<'a>(
        &'a self,
        pop: &Pop,
        deadline: Timestamp,
        wait: &mut Option<Wait<'a>>,
    ) -> Result<Option<Vec<InvocationId>>> {
        self.hints.step(|hints, now| {
            let ids = hints.queues.take(&mut hints.table, pop, now)?;
            if !ids.is_empty() || now >= deadline || pop.max == 0 {
                return Ok(Some(ids));
            }
            let wait = wait.get_or_insert_with(|| Wait { broker: self, ticket: hints.consumers.add(&pop.queues) });
            wait.ticket.until = hints.sleep(&wait.ticket, deadline)?;
            Ok(None)
        })
    }
}

#[async_trait]
impl Component for MemBroker {
    async fn purge(&self) -> Result<()> {
        let mut hints = self.hints.lock();
        hints.queues.clear()?;
        hints.table.clear()
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl Broker for MemBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        self.hints.step(|hints, now| messages.iter().try_for_each(|message| hints.push(message, now)))
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let clock = self.hints.clock();
        let deadline = clock.now() + pop.wait;
        let mut wait = None;
        loop {
            if let Some(ids) = self.take_or_wait(pop, deadline, &mut wait)? {
                return Ok(ids);
            }
            if let Some(wait) = &wait {
                wait.ticket.wait(clock).await;
            }
        }
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        let hints = &mut *self.hints.lock();
        ids.iter().try_for_each(|id| hints.queues.remove(&mut hints.table, queue, *id))
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        self.hints.step(|hints, now| hints.queues.state(&mut hints.table, queue, position_of, now))
    }
}

/// The registration of a waiting consumer. A consumer that leaves may leave hints behind, so another one is woken.
struct Wait<'a> {
    broker: &'a MemBroker,
    ticket: Ticket,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut hints = self.broker.hints.lock();
        hints.consumers.remove(&self.ticket);
        for queue in self.ticket.queues.iter() {
            // Hints in memory are always readable.
            drop(hints.wake_consumers(queue));
        }
    }
}

#[derive(Debug)]
struct Hints {
    queues: Queues<Native>,
    table: HintTable<Native>,
    consumers: Consumers,
}

impl Hints {
    fn push(&mut self, message: &Message, now: Timestamp) -> Result<()> {
        self.queues.push(&mut self.table, message, now)?;
        self.wake_consumers(&message.queue)
    }

    /// Lets a consumer sleep until its deadline, or until the first hint is due that no other consumer covers.
    fn sleep(&mut self, ticket: &Ticket, deadline: Timestamp) -> Result<Timestamp> {
        let mut until = deadline;
        for queue in ticket.queues.iter() {
            let due = self.queues.next_due(queue)?;
            if let Some(due) = due.filter(|due| !self.consumers.covers(queue, *due, ticket.number)) {
                until = until.min(due);
            }
        }
        self.consumers.sleep(ticket.number, until);
        Ok(until)
    }

    /// Wakes as many consumers of a queue as the queue has hints, and one for the next due time if none covers that.
    fn wake_consumers(&mut self, queue: &QueueName) -> Result<()> {
        if self.consumers.is_empty() {
            return Ok(());
        }
        self.consumers.wake(queue, self.queues.ready_up_to(queue, usize::MAX)?);
        let due = self.queues.next_due(queue)?;
        if let Some(due) = due.filter(|due| !self.consumers.covers(queue, *due, Ticket::NOBODY)) {
            self.consumers.wake_late_sleeper(queue, due);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use pynenc_core::clock::ManualClock;
    use pynenc_core::record::Priority;
    use std::future::Future;
    use std::pin::Pin;
    use std::time::Duration;

    type Popping<'a> = Pin<Box<dyn Future<Output = Result<Vec<InvocationId>>> + Send + 'a>>;

    fn broker() -> (MemBroker, ManualClock) {
        let clock = ManualClock::default();
        (MemBroker::new(Arc::new(clock.clone())), clock)
    }

    fn push(broker: &MemBroker, not_before: Option<Timestamp>) -> InvocationId {
        let (queue, priority) = ("default".into(), Priority::default());
        let message = Message { invocation: InvocationId::new(), queue, priority, not_before };
        broker.push(std::slice::from_ref(&message)).now_or_never().unwrap().unwrap();
        message.invocation
    }

    /// A pop that is already waiting.
    fn waiting(broker: &MemBroker) -> Popping<'_> {
        let pop = Pop { queues: vec!["default".into()], max: 1, wait: Duration::from_secs(3600) };
        let mut popping: Popping<'_> = Box::pin(async move { broker.pop(&pop).await });
        assert!((&mut popping).now_or_never().is_none());
        popping
    }

    fn popped(popping: &mut Popping<'_>) -> Option<InvocationId> {
        popping.now_or_never().map(|ids| ids.unwrap()[0])
    }

    #[test]
    fn a_woken_consumer_that_is_dropped_wakes_another() {
        let (broker, _) = broker();
        let (first, mut second) = (waiting(&broker), waiting(&broker));
        let id = push(&broker, None);
        drop(first);
        assert_eq!(popped(&mut second), Some(id));
    }

    #[test]
    fn one_hint_wakes_one_consumer() {
        let (broker, _) = broker();
        let (mut first, _second) = (waiting(&broker), waiting(&broker));
        push(&broker, None);
        assert_eq!(broker.hints.lock().consumers.woken(), 1);
        assert!(popped(&mut first).is_some());
        drop(first);
        assert_eq!(broker.hints.lock().consumers.woken(), 0);
    }

    #[test]
    fn one_consumer_sleeps_until_the_next_due_time_and_another_replaces_it() {
        let (broker, clock) = broker();
        let (mut first, mut second) = (waiting(&broker), waiting(&broker));
        let due = clock.now() + Duration::from_secs(5);
        let id = push(&broker, Some(due));
        assert!(popped(&mut first).is_none() && popped(&mut second).is_none());
        assert_eq!(clock.next_wake(), Some(due));
        drop(first);
        assert!(popped(&mut second).is_none());
        assert_eq!(clock.next_wake(), Some(due));
        clock.set(due);
        assert_eq!(popped(&mut second), Some(id));
    }

    #[test]
    fn an_earlier_due_time_shortens_the_wait() {
        let (broker, clock) = broker();
        let mut popping = waiting(&broker);
        let due = clock.now() + Duration::from_secs(5);
        push(&broker, Some(due + Duration::from_secs(60)));
        assert!(popped(&mut popping).is_none());
        let id = push(&broker, Some(due));
        assert!(popped(&mut popping).is_none());
        clock.set(due);
        assert_eq!(popped(&mut popping), Some(id));
    }
}
