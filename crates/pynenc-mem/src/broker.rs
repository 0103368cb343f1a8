//! The broker in memory: hints by queue, priority and time.

mod consumers;
mod queue;

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueState};
use pynenc_core::component::StoreId;
use pynenc_core::{Broker, Clock, Component, InvocationId, QueueName, Result, Timestamp};
use rustc_hash::FxHashMap;

use self::consumers::{Consumers, Ticket};
use self::queue::Queue;
use crate::shared::Shared;

/// A broker in the memory of this process.
#[derive(Debug)]
pub struct MemBroker {
    hints: Shared<Hints>,
}

impl MemBroker {
    /// A broker without hints.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { hints: Shared::new(clock) }
    }

    /// Takes hints; `None` if the pop has to wait, and then `wait` is its registration as a consumer.
    fn take_or_wait<'a>(
        &'a self,
        pop: &Pop,
        deadline: Timestamp,
        wait: &mut Option<Wait<'a>>,
    ) -> Option<Vec<InvocationId>> {
        self.hints.step(|hints, now| {
            let ids = hints.take(pop, now);
            if !ids.is_empty() || now >= deadline || pop.max == 0 {
                return Some(ids);
            }
            let wait = wait.get_or_insert_with(|| Wait { broker: self, ticket: hints.consumers.add(&pop.queues) });
            wait.ticket.until = hints.sleep(&wait.ticket, deadline);
            None
        })
    }
}

#[async_trait]
impl Component for MemBroker {
    async fn purge(&self) -> Result<()> {
        self.hints.lock().queues.clear();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

#[async_trait]
impl Broker for MemBroker {
    async fn push(&self, messages: &[Message]) -> Result<()> {
        self.hints.step(|hints, now| messages.iter().for_each(|message| hints.push(message, now)));
        Ok(())
    }

    async fn pop(&self, pop: &Pop) -> Result<Vec<InvocationId>> {
        let clock = self.hints.clock();
        let deadline = clock.now() + pop.wait;
        let mut wait = None;
        loop {
            if let Some(ids) = self.take_or_wait(pop, deadline, &mut wait) {
                return Ok(ids);
            }
            if let Some(wait) = &wait {
                wait.ticket.wait(clock).await;
            }
        }
    }

    async fn remove(&self, queue: &QueueName, ids: &[InvocationId]) -> Result<()> {
        if let Some(queue) = self.hints.lock().queues.get_mut(queue) {
            for id in ids {
                queue.remove(*id);
            }
        }
        Ok(())
    }

    async fn queue(&self, queue: &QueueName, position_of: Option<InvocationId>) -> Result<QueueState> {
        Ok(self.hints.step(|hints, now| {
            hints.queues.get_mut(queue).map(|queue| queue.state(position_of, now)).unwrap_or_default()
        }))
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
            hints.wake_consumers(queue);
        }
    }
}

#[derive(Debug, Default)]
struct Hints {
    sequence: u64,
    queues: FxHashMap<QueueName, Queue>,
    consumers: Consumers,
}

impl Hints {
    fn push(&mut self, message: &Message, now: Timestamp) {
        self.sequence += 1;
        match self.queues.get_mut(&message.queue) {
            Some(queue) => queue.push(message, self.sequence, now),
            None => {
                self.queues.entry(message.queue.clone()).or_default().push(message, self.sequence, now);
            }
        }
        self.wake_consumers(&message.queue);
    }

    fn take(&mut self, pop: &Pop, now: Timestamp) -> Vec<InvocationId> {
        let mut ids = Vec::new();
        for name in &pop.queues {
            if let Some(queue) = self.queues.get_mut(name) {
                queue.take(pop.max, now, &mut ids);
            }
        }
        ids
    }

    /// Lets a consumer sleep until its deadline, or until the first hint is due that no other consumer covers.
    fn sleep(&mut self, ticket: &Ticket, deadline: Timestamp) -> Timestamp {
        let dues = ticket.queues.iter().filter_map(|name| Some((name, self.queues.get(name)?.next_due()?)));
        let uncovered = dues.filter(|(name, due)| !self.consumers.covers(name, *due, ticket.number));
        let until = uncovered.map(|(_, due)| due).fold(deadline, Timestamp::min);
        self.consumers.sleep(ticket.number, until);
        until
    }

    /// Wakes as many consumers of a queue as the queue has hints, and one for the next due time if none covers that.
    fn wake_consumers(&mut self, name: &QueueName) {
        let Some(queue) = self.queues.get(name) else { return };
        self.consumers.wake(name, queue.ready());
        if let Some(due) = queue.next_due().filter(|due| !self.consumers.covers(name, *due, Ticket::NOBODY)) {
            self.consumers.wake_late_sleeper(name, due);
        }
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
