//! Hints, by queue, priority and time.

mod poppers;
mod queue;

use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::broker::{Message, Pop, QueueLen};
use pynenc_core::lane::StoreId;
use pynenc_core::{Broker, Clock, InvocationId, QueueName, Result, Timestamp};
use rustc_hash::FxHashMap;

use self::poppers::{Poppers, Ticket};
use self::queue::Queue;
use crate::shared::Shared;

/// A broker that lives in this process.
#[derive(Debug)]
pub struct MemBroker {
    hints: Shared<Hints>,
}

impl MemBroker {
    /// A broker without hints.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { hints: Shared::new(clock) }
    }

    /// What there is; `None` when the popper has to wait, for which it then has a place.
    fn take_or_rest<'a>(
        &'a self,
        pop: &Pop,
        deadline: Timestamp,
        rest: &mut Option<Rest<'a>>,
    ) -> Option<Vec<InvocationId>> {
        self.hints.step(|hints, now| {
            let ids = hints.take(pop, now);
            if !ids.is_empty() || now >= deadline || pop.max == 0 {
                return Some(ids);
            }
            let rest = rest.get_or_insert_with(|| Rest { broker: self, ticket: hints.poppers.enter(&pop.queues) });
            rest.ticket.until = hints.rest(&rest.ticket, deadline);
            None
        })
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
        let mut rest = None;
        loop {
            if let Some(ids) = self.take_or_rest(pop, deadline, &mut rest) {
                return Ok(ids);
            }
            if let Some(rest) = &rest {
                rest.ticket.wait(clock).await;
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

    async fn len(&self, queue: &QueueName) -> Result<QueueLen> {
        Ok(self.hints.step(|hints, now| hints.queues.get_mut(queue).map(|queue| queue.len(now)).unwrap_or_default()))
    }

    async fn place(&self, queue: &QueueName, id: InvocationId) -> Result<Option<u64>> {
        Ok(self.hints.step(|hints, now| hints.queues.get_mut(queue)?.place(id, now)))
    }

    async fn purge(&self) -> Result<()> {
        self.hints.lock().queues.clear();
        Ok(())
    }

    fn store_id(&self) -> Option<StoreId> {
        Some(StoreId::of_this_process())
    }
}

/// A popper's stay among those who wait. Whoever leaves looks behind: what it leaves lying is for the next one.
struct Rest<'a> {
    broker: &'a MemBroker,
    ticket: Ticket,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        let mut hints = self.broker.hints.lock();
        hints.poppers.leave(&self.ticket);
        for queue in self.ticket.queues.iter() {
            hints.call(queue);
        }
    }
}

#[derive(Debug, Default)]
struct Hints {
    sequence: u64,
    queues: FxHashMap<QueueName, Queue>,
    poppers: Poppers,
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
        self.call(&message.queue);
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

    /// Lets a popper wait, until its deadline or until the first hint becomes due that no other popper sees to.
    fn rest(&mut self, ticket: &Ticket, deadline: Timestamp) -> Timestamp {
        let dues = ticket.queues.iter().filter_map(|name| Some((name, self.queues.get(name)?.next_due()?)));
        let uncovered = dues.filter(|(name, due)| !self.poppers.cover(name, *due, ticket.number));
        let until = uncovered.map(|(_, due)| due).fold(deadline, Timestamp::min);
        self.poppers.rest(ticket.number, until);
        until
    }

    /// Wakes as many poppers of a queue as it has hints, and one for the next due time if nobody waits for that.
    fn call(&mut self, name: &QueueName) {
        let Some(queue) = self.queues.get(name) else { return };
        self.poppers.wake(name, queue.ready());
        if let Some(due) = queue.next_due().filter(|due| !self.poppers.cover(name, *due, Ticket::NOBODY)) {
            self.poppers.hurry(name, due);
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

    /// A pop that waits already.
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
    fn who_goes_away_after_its_wake_passes_it_on() {
        let (broker, _) = broker();
        let (first, mut second) = (waiting(&broker), waiting(&broker));
        let id = push(&broker, None);
        drop(first);
        assert_eq!(popped(&mut second), Some(id));
    }

    #[test]
    fn one_hint_wakes_one_popper() {
        let (broker, _) = broker();
        let (mut first, _second) = (waiting(&broker), waiting(&broker));
        push(&broker, None);
        assert_eq!(broker.hints.lock().poppers.woken(), 1);
        assert!(popped(&mut first).is_some());
        drop(first);
        assert_eq!(broker.hints.lock().poppers.woken(), 0);
    }

    #[test]
    fn one_popper_sleeps_until_the_next_due_time_and_another_takes_its_place() {
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
