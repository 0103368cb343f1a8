//! What is ready while one trip is under way shares the next.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pynenc_core::lane::{Settlement, Submission};
use pynenc_core::orchestrator::{Registered, TransitionReply};
use pynenc_core::{Error, ErrorKind, Lane, Result};
use tokio::sync::oneshot;

/// At most so many items make one trip.
const BATCH: usize = 500;

/// A trip of a lane that takes several items.
#[async_trait]
pub(crate) trait Trip: fmt::Debug + Send + Sync + 'static {
    /// What travels.
    type Item: fmt::Debug + Send;
    /// What each gets.
    type Reply: fmt::Debug + Send;

    async fn travel(lane: &dyn Lane, items: Vec<Self::Item>) -> Result<Vec<Result<Self::Reply>>>;
}

/// Submissions.
#[derive(Debug)]
pub(crate) enum Submits {}

/// Settlements.
#[derive(Debug)]
pub(crate) enum Settles {}

#[async_trait]
impl Trip for Submits {
    type Item = Submission;
    type Reply = Registered;

    async fn travel(lane: &dyn Lane, items: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
        lane.submit(items).await
    }
}

#[async_trait]
impl Trip for Settles {
    type Item = Settlement;
    type Reply = TransitionReply;

    async fn travel(lane: &dyn Lane, items: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
        lane.settle(items).await
    }
}

/// Sends items in groups, without waiting for a group to fill: who finds the way free goes at once, who comes during the
/// trip waits, and the first of those leads all of them on the next. Where several go together, the next of them goes as
/// soon as the others that are ready to run have run, with those who came.
#[derive(Debug)]
pub(crate) struct GroupCommit<T: Trip> {
    lane: Arc<dyn Lane>,
    queue: Arc<Mutex<Queue<T>>>,
}

#[derive(Debug)]
struct Queue<T: Trip> {
    is_led: bool,
    /// Whether the last group was of several senders.
    is_shared: bool,
    waiting: Vec<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T: Trip> {
    item: T::Item,
    turn: oneshot::Sender<Turn<T>>,
}

/// Where an item is: the lead of a group of one, or a turn to wait for.
enum Place<T: Trip> {
    First(Lead<T>, Group<T>),
    Behind(oneshot::Receiver<Turn<T>>),
}

/// What an item that waits is told.
#[derive(Debug)]
enum Turn<T: Trip> {
    Arrived(Result<T::Reply>),
    Lead(Lead<T>, Group<T>),
}

/// Items of which the first is its leader's own, and who is told of the others.
#[derive(Debug)]
struct Group<T: Trip> {
    items: Vec<T::Item>,
    turns: Vec<oneshot::Sender<Turn<T>>>,
}

impl<T: Trip> Group<T> {
    fn of(own: T::Item) -> Self {
        Self { items: vec![own], turns: Vec::new() }
    }

    fn join(&mut self, waiting: impl Iterator<Item = Waiting<T>>) {
        for Waiting { item, turn } in waiting {
            self.items.push(item);
            self.turns.push(turn);
        }
    }
}

/// The right to make a trip. Dropped, it goes to the next group, even if its holder was dropped with it.
#[derive(Debug)]
struct Lead<T: Trip> {
    queue: Arc<Mutex<Queue<T>>>,
}

impl<T: Trip> GroupCommit<T> {
    pub(crate) fn new(lane: Arc<dyn Lane>) -> Self {
        Self { lane, queue: Arc::new(Mutex::new(Queue { is_led: false, is_shared: false, waiting: Vec::new() })) }
    }

    /// Sends one item; `None` when nothing is known of it, because who led its trip went away.
    ///
    /// # Cancel safety
    ///
    /// A dropped item may or may not take effect.
    pub(crate) fn send(&self, item: T::Item) -> impl Future<Output = Option<Result<T::Reply>>> + '_ {
        // Before the future is made, which doesn't carry the item then.
        self.arrived(self.enqueue(item))
    }

    /// Sends two items in this order, in one trip unless a group is full between them; as [`GroupCommit::send`] for each.
    pub(crate) async fn send_both(&self, items: [T::Item; 2]) -> [Option<Result<T::Reply>>; 2] {
        let [first, second] = items.map(|item| self.enqueue(item));
        tokio::join!(self.arrived(first), self.arrived(second)).into()
    }

    async fn arrived(&self, place: Place<T>) -> Option<Result<T::Reply>> {
        let (lead, group) = match place {
            Place::First(lead, group) => (lead, group),
            Place::Behind(turn) => match turn.await {
                Ok(Turn::Lead(lead, group)) => (lead, group),
                Ok(Turn::Arrived(reply)) => return Some(reply),
                Err(_) => return None,
            },
        };
        if lock(&self.queue).is_shared {
            tokio::task::yield_now().await;
        }
        let reply = self.travel(self.joined(group)).await;
        drop(lead);
        Some(reply)
    }

    /// The group, and who came while it was about to go.
    fn joined(&self, mut group: Group<T>) -> Group<T> {
        let mut queue = lock(&self.queue);
        let room = BATCH.saturating_sub(group.items.len()).min(queue.waiting.len());
        group.join(queue.waiting.drain(..room));
        // Of two, one may be the other's caller.
        queue.is_shared = group.items.len() > 2;
        group
    }

    fn enqueue(&self, item: T::Item) -> Place<T> {
        let mut queue = lock(&self.queue);
        if !queue.is_led {
            queue.is_led = true;
            return Place::First(Lead { queue: self.queue.clone() }, Group::of(item));
        }
        let (turn, receiver) = oneshot::channel();
        queue.waiting.push(Waiting { item, turn });
        Place::Behind(receiver)
    }

    async fn travel(&self, group: Group<T>) -> Result<T::Reply> {
        let Group { items, turns } = group;
        match T::travel(&*self.lane, items).await {
            Ok(replies) => hand_out::<T>(replies, turns),
            Err(error) => {
                turns.into_iter().for_each(|turn| tell::<T>(turn, Err(error.duplicate())));
                Err(error)
            }
        }
    }
}

fn hand_out<T: Trip>(replies: Vec<Result<T::Reply>>, turns: Vec<oneshot::Sender<Turn<T>>>) -> Result<T::Reply> {
    let mut replies = replies.into_iter();
    let mut next = || replies.next().unwrap_or_else(|| Err(Error::new(ErrorKind::Unexpected, "a trip gave no reply")));
    let own = next();
    turns.into_iter().for_each(|turn| tell::<T>(turn, next()));
    own
}

/// Who doesn't wait any more needs no reply.
fn tell<T: Trip>(turn: oneshot::Sender<Turn<T>>, reply: Result<T::Reply>) {
    let _ = turn.send(Turn::Arrived(reply));
}

fn lock<T: Trip>(queue: &Mutex<Queue<T>>) -> MutexGuard<'_, Queue<T>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Trip> Drop for Lead<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.waiting.retain(|waiting| !waiting.turn.is_closed());
        if queue.waiting.is_empty() {
            queue.is_led = false;
            return;
        }
        let count = queue.waiting.len().min(BATCH);
        let mut waiting = queue.waiting.drain(..count);
        let first = waiting.next().expect("there is one, as was just seen");
        let mut group = Group::of(first.item);
        group.join(waiting);
        // Sent after the lock is gone: a turn that can't be delivered is dropped with a lead of its own.
        drop(queue);
        let lead = Lead { queue: self.queue.clone() };
        let _ = first.turn.send(Turn::Lead(lead, group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use pynenc_core::broker::{Message, Pop};
    use pynenc_core::lane::{Called, Claimed, Found};
    use pynenc_core::orchestrator::{Block, Claim, Transition};
    use pynenc_core::status::{By, Change, Expect, Refusal};
    use pynenc_core::{InvocationId, Reason, RunnerId, Status};
    use std::pin::Pin;
    use tokio::sync::Semaphore;

    /// A lane whose trips wait for a permit and note their sizes.
    #[derive(Debug)]
    struct Gate {
        permits: Semaphore,
        trips: Mutex<Vec<usize>>,
    }

    #[pynenc_core::async_trait]
    impl Lane for Gate {
        async fn submit(&self, _: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
            Ok(Vec::new())
        }

        async fn claim(&self, _: &Claim) -> Result<Vec<Claimed>> {
            Ok(Vec::new())
        }

        async fn find(&self, _: &Pop) -> Result<Found> {
            Ok(Found::Hints(Vec::new()))
        }

        async fn take(&self, _: &Pop, _: &Claim) -> Result<Vec<Claimed>> {
            Ok(Vec::new())
        }

        async fn call(&self, _: Submission, block: &Block, _: Option<&Claim>) -> Result<Called> {
            Ok(Called::Cycle(vec![block.waiter]))
        }

        async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
            self.permits.acquire().await.unwrap().forget();
            self.trips.lock().unwrap().push(settlements.len());
            Ok(settlements
                .iter()
                .map(|item| Ok(TransitionReply::Refused(stale(item.transition.expect.version))))
                .collect())
        }

        async fn push(&self, _: &[Message]) -> Result<()> {
            Ok(())
        }
    }

    fn stale(version: u64) -> Refusal {
        Refusal::Stale { version, epoch: 0 }
    }

    fn settlement(version: u64) -> Settlement {
        let change = Change::new(Status::Success, By::Owner(RunnerId::new()), Reason::Returned);
        let expect = Expect { version, epoch: 0 };
        Settlement { outcome: None, transition: Transition { id: InvocationId::new(), expect, change }, requeue: None }
    }

    fn gated() -> (Arc<Gate>, GroupCommit<Settles>) {
        let gate = Arc::new(Gate { permits: Semaphore::new(0), trips: Mutex::default() });
        (gate.clone(), GroupCommit::new(gate))
    }

    /// A send that has got as far as it can.
    fn under_way<F: Future<Output: fmt::Debug>>(send: F) -> Pin<Box<F>> {
        let mut send = Box::pin(send);
        assert!((&mut send).now_or_never().is_none());
        send
    }

    #[tokio::test]
    async fn those_who_come_during_a_trip_share_the_next_and_get_their_own_reply() {
        let (gate, commit) = gated();
        let settles: Vec<_> = (0..12).map(|version| under_way(commit.send(settlement(version)))).collect();
        gate.permits.add_permits(2);
        for (version, reply) in futures_util::future::join_all(settles).await.into_iter().enumerate() {
            assert_eq!(reply.unwrap().unwrap(), TransitionReply::Refused(stale(version as u64)));
        }
        assert_eq!(*gate.trips.lock().unwrap(), [1, 11]);
    }

    #[tokio::test]
    async fn where_several_go_together_the_next_wait_for_who_is_ready() {
        let (gate, commit) = gated();
        for permits in [2, 1] {
            let settles: Vec<_> = (0..8).map(|version| under_way(commit.send(settlement(version)))).collect();
            gate.permits.add_permits(permits);
            futures_util::future::join_all(settles).await;
        }
        assert_eq!(*gate.trips.lock().unwrap(), [1, 7, 8]);
    }

    #[tokio::test]
    async fn two_of_one_sender_go_together_in_their_order() {
        let (gate, commit) = gated();
        gate.permits.add_permits(1);
        let replies = commit.send_both([settlement(1), settlement(2)]).await;
        let replies = replies.map(|reply| reply.unwrap().unwrap());
        assert_eq!(replies, [1, 2].map(|version| TransitionReply::Refused(stale(version))));
        assert_eq!(*gate.trips.lock().unwrap(), [2]);
    }

    #[tokio::test]
    async fn a_leader_that_is_dropped_leaves_the_way_free() {
        let (gate, commit) = gated();
        let [leader, second, third] = [0, 1, 2].map(|version| under_way(commit.send(settlement(version))));
        drop(leader);
        drop(second);
        assert!(third.await.is_none());
        gate.permits.add_permits(1);
        commit.send(settlement(3)).await.unwrap().unwrap();
    }
}
