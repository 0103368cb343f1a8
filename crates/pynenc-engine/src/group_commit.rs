//! Group commit: requests that arrive during a round trip are sent together in the next one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use pynenc_core::lane::{Settlement, Submission};
use pynenc_core::orchestrator::{Registered, TransitionReply};
use pynenc_core::{Error, ErrorKind, Lane, Result};
use tokio::sync::oneshot;

/// The maximum number of items in one round trip.
const BATCH: usize = 500;

/// A request to the lane for several items at once.
pub(crate) trait RoundTrip: fmt::Debug + Send + Sync + 'static {
    /// The request.
    type Item: fmt::Debug + Send;
    /// The reply to each item.
    type Reply: fmt::Debug + Send;

    fn perform(lane: &dyn Lane, items: Vec<Self::Item>) -> BoxFuture<'_, Result<Vec<Result<Self::Reply>>>>;
}

/// Round trips of submissions.
#[derive(Debug)]
pub(crate) enum Submits {}

/// Round trips of settlements.
#[derive(Debug)]
pub(crate) enum Settles {}

impl RoundTrip for Submits {
    type Item = Submission;
    type Reply = Registered;

    fn perform(lane: &dyn Lane, items: Vec<Submission>) -> BoxFuture<'_, Result<Vec<Result<Registered>>>> {
        lane.submit(items)
    }
}

impl RoundTrip for Settles {
    type Item = Settlement;
    type Reply = TransitionReply;

    fn perform(lane: &dyn Lane, items: Vec<Settlement>) -> BoxFuture<'_, Result<Vec<Result<TransitionReply>>>> {
        lane.settle(items)
    }
}

/// Sends items in groups, without waiting for a group to fill.
///
/// A caller that finds no round trip in progress leads one at once. Callers that arrive during a round trip wait. When it
/// ends, the first of them becomes the leader of the next round trip and sends the items of all. If the last group had
/// more than two items, the next leader yields once to the runtime before it sends, so that tasks that are ready to run
/// can add their items.
#[derive(Debug)]
pub(crate) struct GroupCommit<T: RoundTrip> {
    lane: Arc<dyn Lane>,
    queue: Arc<Mutex<Queue<T>>>,
}

#[derive(Debug)]
struct Queue<T: RoundTrip> {
    has_leader: bool,
    /// Whether the last group had more than two items.
    was_large: bool,
    waiting: Vec<Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T: RoundTrip> {
    item: T::Item,
    turn: oneshot::Sender<Turn<T>>,
}

/// An item's position: it leads a new group, or waits for its turn behind another one.
enum Position<T: RoundTrip> {
    Leads(Lead<T>, Group<T>),
    Waits(oneshot::Receiver<Turn<T>>),
}

/// The message to a waiting sender: its reply, or the lead of the next group.
#[derive(Debug)]
enum Turn<T: RoundTrip> {
    Replied(Result<T::Reply>),
    Lead(Lead<T>, Group<T>),
}

/// The items of one round trip. The first is the leader's own; the others have a channel each for their reply.
#[derive(Debug)]
struct Group<T: RoundTrip> {
    items: Vec<T::Item>,
    turns: Vec<oneshot::Sender<Turn<T>>>,
}

impl<T: RoundTrip> Group<T> {
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

/// The right to make a round trip. When it is dropped, even by a cancelled caller, it passes to the first caller that still
/// waits. If that caller is dropped before it sends, the items of its group are never sent, and their callers get `None`.
#[derive(Debug)]
struct Lead<T: RoundTrip> {
    queue: Arc<Mutex<Queue<T>>>,
}

impl<T: RoundTrip> GroupCommit<T> {
    pub(crate) fn new(lane: Arc<dyn Lane>) -> Self {
        Self { lane, queue: Arc::new(Mutex::new(Queue { has_leader: false, was_large: false, waiting: Vec::new() })) }
    }

    /// Sends one item. Poll the future at once: it may have become the leader, and others wait for it. `None` if the leader was
    /// dropped: the item may or may not have been sent.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the item may or may not take effect.
    pub(crate) fn send(&self, item: T::Item) -> impl Future<Output = Option<Result<T::Reply>>> + '_ {
        // Enqueued before the future exists, so that the future doesn't have to hold the item.
        self.reply_of(self.enqueue(item))
    }

    /// Sends two items in this order, usually in one round trip. Each has a result as in [`GroupCommit::send`].
    pub(crate) async fn send_both(&self, items: [T::Item; 2]) -> [Option<Result<T::Reply>>; 2] {
        let [first, second] = items.map(|item| self.enqueue(item));
        tokio::join!(self.reply_of(first), self.reply_of(second)).into()
    }

    async fn reply_of(&self, place: Position<T>) -> Option<Result<T::Reply>> {
        let (lead, group) = match place {
            Position::Leads(lead, group) => (lead, group),
            Position::Waits(turn) => match turn.await {
                Ok(Turn::Lead(lead, group)) => (lead, group),
                Ok(Turn::Replied(reply)) => return Some(reply),
                Err(_) => return None,
            },
        };
        if lock(&self.queue).was_large {
            tokio::task::yield_now().await;
        }
        let reply = self.send_group(self.with_waiting(group)).await;
        drop(lead);
        Some(reply)
    }

    /// Adds the items that arrived before the group is sent.
    fn with_waiting(&self, mut group: Group<T>) -> Group<T> {
        let mut queue = lock(&self.queue);
        let room = BATCH.saturating_sub(group.items.len()).min(queue.waiting.len());
        group.join(queue.waiting.drain(..room));
        // Two items may come from one sender, as a child's settlement and its caller's transition do.
        queue.was_large = group.items.len() > 2;
        group
    }

    fn enqueue(&self, item: T::Item) -> Position<T> {
        let mut queue = lock(&self.queue);
        if !queue.has_leader {
            queue.has_leader = true;
            return Position::Leads(Lead { queue: self.queue.clone() }, Group::of(item));
        }
        let (turn, receiver) = oneshot::channel();
        queue.waiting.push(Waiting { item, turn });
        Position::Waits(receiver)
    }

    async fn send_group(&self, group: Group<T>) -> Result<T::Reply> {
        let Group { items, turns } = group;
        match T::perform(&*self.lane, items).await {
            Ok(replies) => distribute::<T>(replies, turns),
            Err(error) => {
                turns.into_iter().for_each(|turn| reply_to::<T>(turn, Err(error.duplicate())));
                Err(error)
            }
        }
    }
}

fn distribute<T: RoundTrip>(replies: Vec<Result<T::Reply>>, turns: Vec<oneshot::Sender<Turn<T>>>) -> Result<T::Reply> {
    let mut replies = replies.into_iter();
    let mut next = || {
        replies.next().unwrap_or_else(|| Err(Error::new(ErrorKind::Unexpected, "an item of a round trip had no reply")))
    };
    let own = next();
    turns.into_iter().for_each(|turn| reply_to::<T>(turn, next()));
    own
}

/// Sends a reply; a sender that was dropped needs none.
fn reply_to<T: RoundTrip>(turn: oneshot::Sender<Turn<T>>, reply: Result<T::Reply>) {
    let _ = turn.send(Turn::Replied(reply));
}

fn lock<T: RoundTrip>(queue: &Mutex<Queue<T>>) -> MutexGuard<'_, Queue<T>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: RoundTrip> Drop for Lead<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.waiting.retain(|waiting| !waiting.turn.is_closed());
        if queue.waiting.is_empty() {
            queue.has_leader = false;
            return;
        }
        let count = queue.waiting.len().min(BATCH);
        let mut waiting = queue.waiting.drain(..count);
        let first = waiting.next().expect("the queue isn't empty, as checked above");
        let mut group = Group::of(first.item);
        group.join(waiting);
        // Sent without the lock: an undeliverable turn is dropped here, and the `Lead` in it takes the lock again.
        drop(queue);
        let lead = Lead { queue: self.queue.clone() };
        let _ = first.turn.send(Turn::Lead(lead, group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use pynenc_core::broker::Pop;
    use pynenc_core::lane::{Called, Claimed, Found};
    use pynenc_core::orchestrator::{Block, Claim, Transition};
    use pynenc_core::status::{By, Change, Refusal};
    use pynenc_core::{InvocationId, Reason, RunnerId, Status, StatusRecord, Timestamp};
    use std::pin::Pin;
    use tokio::sync::Semaphore;

    /// A lane whose round trips wait for a permit and record their sizes.
    #[derive(Debug)]
    struct Gate {
        permits: Semaphore,
        round_trips: Mutex<Vec<usize>>,
    }

    #[pynenc_core::async_trait]
    impl Lane for Gate {
        async fn submit(&self, _: Vec<Submission>) -> Result<Vec<Result<Registered>>> {
            Ok(Vec::new())
        }

        async fn claim(&self, _: &Claim, _: Option<&Pop>) -> Result<Vec<Claimed>> {
            Ok(Vec::new())
        }

        async fn find(&self, _: &Pop) -> Result<Found> {
            Ok(Found::Hints(Vec::new()))
        }

        async fn call(&self, _: Submission, block: &Block, _: Option<&Claim>) -> Result<Called> {
            Ok(Called::Cycle(vec![block.waiter]))
        }

        async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Result<TransitionReply>>> {
            self.permits.acquire().await.unwrap().forget();
            self.round_trips.lock().unwrap().push(settlements.len());
            Ok(settlements
                .iter()
                .map(|item| Ok(TransitionReply::Refused(stale(item.transition.seen.version))))
                .collect())
        }
    }

    fn stale(version: u64) -> Refusal {
        Refusal::Stale { version, epoch: 0 }
    }

    fn settlement(version: u64) -> Settlement {
        let change = Change::new(Status::Success, By::Owner(RunnerId::new()), Reason::Returned);
        let seen = StatusRecord { version, ..StatusRecord::registered(None, Timestamp::from_millis(0)) };
        Settlement { outcome: None, transition: Transition { id: InvocationId::new(), seen, change }, requeue: None }
    }

    fn gated() -> (Arc<Gate>, GroupCommit<Settles>) {
        let gate = Arc::new(Gate { permits: Semaphore::new(0), round_trips: Mutex::default() });
        (gate.clone(), GroupCommit::new(gate))
    }

    /// A send that was polled once and is waiting.
    fn under_way<F: Future<Output: fmt::Debug>>(send: F) -> Pin<Box<F>> {
        let mut send = Box::pin(send);
        assert!((&mut send).now_or_never().is_none());
        send
    }

    #[tokio::test]
    async fn items_that_arrive_during_a_round_trip_share_the_next_and_get_their_own_replies() {
        let (gate, commit) = gated();
        let settles: Vec<_> = (0..12).map(|version| under_way(commit.send(settlement(version)))).collect();
        gate.permits.add_permits(2);
        for (version, reply) in futures_util::future::join_all(settles).await.into_iter().enumerate() {
            assert_eq!(reply.unwrap().unwrap(), TransitionReply::Refused(stale(version as u64)));
        }
        assert_eq!(*gate.round_trips.lock().unwrap(), [1, 11]);
    }

    #[tokio::test]
    async fn after_a_shared_round_trip_the_next_leader_waits_for_ready_senders() {
        let (gate, commit) = gated();
        for permits in [2, 1] {
            let settles: Vec<_> = (0..8).map(|version| under_way(commit.send(settlement(version)))).collect();
            gate.permits.add_permits(permits);
            futures_util::future::join_all(settles).await;
        }
        assert_eq!(*gate.round_trips.lock().unwrap(), [1, 7, 8]);
    }

    #[tokio::test]
    async fn two_items_of_one_sender_go_together_in_their_order() {
        let (gate, commit) = gated();
        gate.permits.add_permits(1);
        let replies = commit.send_both([settlement(1), settlement(2)]).await;
        let replies = replies.map(|reply| reply.unwrap().unwrap());
        assert_eq!(replies, [1, 2].map(|version| TransitionReply::Refused(stale(version))));
        assert_eq!(*gate.round_trips.lock().unwrap(), [2]);
    }

    #[tokio::test]
    async fn a_dropped_leader_passes_the_lead_on() {
        let (gate, commit) = gated();
        let [leader, second, third] = [0, 1, 2].map(|version| under_way(commit.send(settlement(version))));
        drop(leader);
        drop(second);
        assert!(third.await.is_none());
        gate.permits.add_permits(1);
        commit.send(settlement(3)).await.unwrap().unwrap();
    }
}
