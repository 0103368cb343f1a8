//! Those who wait for hints, and how exactly one of them is woken for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::select;
use pynenc_core::{Clock, QueueName, Timestamp};
use tokio::sync::Notify;

/// What a waiting popper holds in its hands.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) number: u64,
    pub(super) queues: Arc<[QueueName]>,
    pub(super) until: Timestamp,
    bell: Arc<Notify>,
}

impl Ticket {
    /// The number that no popper has.
    pub(super) const NOBODY: u64 = 0;

    /// Waits for the bell or the time. The bell keeps a ring that comes first.
    pub(super) async fn wait(&self, clock: &dyn Clock) {
        let rung = std::pin::pin!(self.bell.notified());
        select(rung, clock.sleep_until(self.until)).await;
    }
}

/// Those who wait, the longest-waiting first.
#[derive(Debug, Default)]
pub(super) struct Poppers {
    last: u64,
    resting: BTreeMap<u64, Popper>,
}

#[derive(Debug)]
struct Popper {
    queues: Arc<[QueueName]>,
    bell: Arc<Notify>,
    until: Timestamp,
    is_woken: bool,
}

impl Popper {
    fn wake(&mut self) {
        self.is_woken = true;
        self.bell.notify_one();
    }
}

impl Poppers {
    pub(super) fn enter(&mut self, queues: &[QueueName]) -> Ticket {
        self.last += 1;
        let (queues, bell, until): (Arc<[_]>, _, _) = (queues.into(), Arc::new(Notify::new()), Timestamp::default());
        let popper = Popper { queues: queues.clone(), bell: bell.clone(), until, is_woken: true };
        self.resting.insert(self.last, popper);
        Ticket { number: self.last, queues, until, bell }
    }

    pub(super) fn rest(&mut self, number: u64, until: Timestamp) {
        if let Some(popper) = self.resting.get_mut(&number) {
            popper.until = until;
            popper.is_woken = false;
        }
    }

    pub(super) fn leave(&mut self, ticket: &Ticket) {
        self.resting.remove(&ticket.number);
    }

    /// Whether somebody else looks at the queue when `due` has come: by its own timer, or because it is about to
    /// set one.
    pub(super) fn cover(&self, queue: &QueueName, due: Timestamp, except: u64) -> bool {
        let mut others = self.resting.iter().filter(|(number, _)| **number != except);
        others.any(|(_, popper)| (popper.is_woken || popper.until <= due) && popper.queues.contains(queue))
    }

    /// Wakes so many of a queue's poppers that `count` are awake.
    pub(super) fn wake(&mut self, queue: &QueueName, count: usize) {
        let serving = self.resting.values_mut().filter(|popper| popper.queues.contains(queue));
        serving.take(count).filter(|popper| !popper.is_woken).for_each(Popper::wake);
    }

    /// Wakes one popper that would sleep past `due`.
    pub(super) fn hurry(&mut self, queue: &QueueName, due: Timestamp) {
        let mut late = self.resting.values_mut().filter(|popper| popper.until > due && popper.queues.contains(queue));
        if let Some(popper) = late.next() {
            popper.wake();
        }
    }

    #[cfg(test)]
    pub(super) fn woken(&self) -> usize {
        self.resting.values().filter(|popper| popper.is_woken).count()
    }
}
