//! Waiting consumers: the pops that wait for hints. Each hint wakes exactly one of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::select;
use pynenc_core::{Clock, QueueName, Timestamp};
use tokio::sync::Notify;

/// A waiting consumer's side of its registration.
#[derive(Debug)]
pub struct Ticket {
    /// The consumer's number.
    pub number: u64,
    /// The queues that it waits for.
    pub queues: Arc<[QueueName]>,
    /// The time until which it sleeps.
    pub until: Timestamp,
    notify: Arc<Notify>,
}

impl Ticket {
    /// A number that no consumer has.
    pub const NOBODY: u64 = 0;

    /// Waits for a notification or for the deadline. A notification that comes first isn't lost.
    pub async fn wait(&self, clock: &dyn Clock) {
        let notified = std::pin::pin!(self.notify.notified());
        select(notified, clock.sleep_until(self.until)).await;
    }
}

/// The waiting consumers, the longest-waiting first.
#[derive(Debug, Default)]
pub struct Consumers {
    last: u64,
    waiting: BTreeMap<u64, Consumer>,
}

#[derive(Debug)]
struct Consumer {
    queues: Arc<[QueueName]>,
    notify: Arc<Notify>,
    until: Timestamp,
    is_woken: bool,
}

impl Consumer {
    fn wake(&mut self) {
        self.is_woken = true;
        self.notify.notify_one();
    }
}

impl Consumers {
    /// Adds a consumer, which is awake.
    pub fn add(&mut self, queues: &[QueueName]) -> Ticket {
        self.last += 1;
        let (queues, notify, until): (Arc<[_]>, _, _) = (queues.into(), Arc::new(Notify::new()), Timestamp::default());
        let consumer = Consumer { queues: queues.clone(), notify: notify.clone(), until, is_woken: true };
        self.waiting.insert(self.last, consumer);
        Ticket { number: self.last, queues, until, notify }
    }

    /// Notes that a consumer sleeps until a time.
    pub fn sleep(&mut self, number: u64, until: Timestamp) {
        if let Some(consumer) = self.waiting.get_mut(&number) {
            consumer.until = until;
            consumer.is_woken = false;
        }
    }

    /// Whether no consumer waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Removes a consumer.
    pub fn remove(&mut self, ticket: &Ticket) {
        self.waiting.remove(&ticket.number);
    }

    /// Whether a consumer other than `except` looks at the queue at `due`: by its own timer, or because it is about to
    /// set one.
    pub fn covers(&self, queue: &QueueName, due: Timestamp, except: u64) -> bool {
        let mut others = self.waiting.iter().filter(|(number, _)| **number != except);
        others.any(|(_, consumer)| (consumer.is_woken || consumer.until <= due) && consumer.queues.contains(queue))
    }

    /// Wakes consumers of a queue until `count` of them are awake.
    pub fn wake(&mut self, queue: &QueueName, count: usize) {
        let serving = self.waiting.values_mut().filter(|consumer| consumer.queues.contains(queue));
        serving.take(count).filter(|consumer| !consumer.is_woken).for_each(Consumer::wake);
    }

    /// Wakes at most `count` consumers of a queue that sleep.
    pub fn wake_sleepers(&mut self, queue: &QueueName, count: usize) {
        let sleepers = self.waiting.values_mut().filter(|it| !it.is_woken && it.queues.contains(queue));
        sleepers.take(count).for_each(Consumer::wake);
    }

    /// Wakes every consumer.
    pub fn wake_all(&mut self) {
        self.waiting.values_mut().for_each(Consumer::wake);
    }

    /// Wakes one consumer that would sleep past `due`.
    pub fn wake_late_sleeper(&mut self, queue: &QueueName, due: Timestamp) {
        let mut late =
            self.waiting.values_mut().filter(|consumer| consumer.until > due && consumer.queues.contains(queue));
        if let Some(consumer) = late.next() {
            consumer.wake();
        }
    }

    /// The number of consumers that look at their queues or are about to.
    pub fn woken(&self) -> usize {
        self.waiting.values().filter(|consumer| consumer.is_woken).count()
    }
}
