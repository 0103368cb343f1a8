//! A waiting consumer of this process.

use pynenc_core::{QueueName, Timestamp};

use crate::local::Ticket;
use crate::stores::key_value::Topic;
use crate::stores::store::KvStore;

/// The queues with delayed hints, and when the first of each is due.
pub(crate) type Dues = Vec<(QueueName, Timestamp)>;

/// The registration of a waiting consumer. A consumer that leaves may leave hints behind, so another one is woken.
pub(crate) struct Consumer {
    store: KvStore,
    ticket: Ticket,
}

impl Consumer {
    pub(crate) fn new(store: KvStore, queues: &[QueueName]) -> Self {
        store.process().subscribe(Topic::Hints, store.data());
        let ticket = store.process().waiting().consumers.add(queues);
        Self { store, ticket }
    }

    /// Notes that the consumer sleeps until a deadline, or until the first hint is due that no other consumer covers.
    pub(crate) fn sleep(&mut self, dues: &Dues, deadline: Timestamp) {
        let mut waiting = self.store.process().waiting();
        let uncovered = dues.iter().filter(|(queue, due)| !waiting.consumers.covers(queue, *due, self.ticket.number));
        self.ticket.until = uncovered.map(|(_, due)| *due).fold(deadline, Timestamp::min);
        waiting.consumers.sleep(self.ticket.number, self.ticket.until);
    }

    /// Waits for a wake-up or for the end of the sleep.
    pub(crate) async fn wait(&self) {
        self.ticket.wait(self.store.clock()).await;
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut waiting = self.store.process().waiting();
        waiting.consumers.remove(&self.ticket);
        for queue in self.ticket.queues.iter() {
            waiting.consumers.wake_sleepers(queue, 1);
        }
    }
}
