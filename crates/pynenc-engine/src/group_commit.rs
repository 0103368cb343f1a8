//! Settlements that are ready while one trip is under way share the next.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pynenc_core::lane::Settlement;
use pynenc_core::orchestrator::TransitionReply;
use pynenc_core::{Error, ErrorKind, Lane, Result};
use tokio::sync::oneshot;

/// At most so many settlements make one trip.
const BATCH: usize = 500;

/// Sends settlements in groups, without waiting for a group to fill: who finds the way free goes at once, who comes
/// meanwhile waits, and the first of those leads all of them on the next trip.
#[derive(Debug, Clone)]
pub(crate) struct GroupCommit {
    lane: Arc<dyn Lane>,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    is_led: bool,
    waiting: Vec<Waiting>,
}

type Reply = Result<TransitionReply>;

#[derive(Debug)]
struct Waiting {
    settlement: Settlement,
    turn: oneshot::Sender<Turn>,
}

/// What a settlement that waits is told.
#[derive(Debug)]
enum Turn {
    Settled(Reply),
    Lead(Lead, Group),
}

#[derive(Debug)]
struct Group {
    own: Settlement,
    others: Vec<Waiting>,
}

/// The right to make a trip. Dropped, it goes to the next group, even if its holder was dropped with it.
#[derive(Debug)]
struct Lead {
    queue: Arc<Mutex<Queue>>,
}

impl GroupCommit {
    pub(crate) fn new(lane: Arc<dyn Lane>) -> Self {
        Self { lane, queue: Arc::default() }
    }

    /// Settles one item.
    ///
    /// # Cancel safety
    ///
    /// A dropped settle may or may not take effect; those who went with it get a retryable error.
    pub(crate) async fn settle(&self, settlement: Settlement) -> Reply {
        let (lead, group) = match self.enqueue(settlement) {
            Ok(place) => place,
            Err(turn) => match turn.await {
                Ok(Turn::Lead(lead, group)) => (lead, group),
                Ok(Turn::Settled(reply)) => return reply,
                Err(_) => return Err(Error::unavailable("the trip of this settlement was dropped")),
            },
        };
        let reply = self.travel(group).await;
        drop(lead);
        reply
    }

    /// The lead of a group of one, or the turn to wait for.
    fn enqueue(&self, settlement: Settlement) -> std::result::Result<(Lead, Group), oneshot::Receiver<Turn>> {
        let mut queue = lock(&self.queue);
        if !queue.is_led {
            queue.is_led = true;
            return Ok((Lead { queue: self.queue.clone() }, Group { own: settlement, others: Vec::new() }));
        }
        let (turn, receiver) = oneshot::channel();
        queue.waiting.push(Waiting { settlement, turn });
        Err(receiver)
    }

    async fn travel(&self, group: Group) -> Reply {
        let (settlements, turns): (Vec<_>, Vec<_>) =
            group.others.into_iter().map(|waiting| (waiting.settlement, waiting.turn)).unzip();
        let batch = std::iter::once(group.own).chain(settlements).collect();
        match self.lane.settle(batch).await {
            Ok(replies) => hand_out(replies, turns),
            Err(error) => {
                turns.into_iter().for_each(|turn| tell(turn, Err(error.duplicate())));
                Err(error)
            }
        }
    }
}

fn hand_out(replies: Vec<Reply>, turns: Vec<oneshot::Sender<Turn>>) -> Reply {
    let mut replies = replies.into_iter();
    let mut next =
        || replies.next().unwrap_or_else(|| Err(Error::new(ErrorKind::Unexpected, "a settlement had no reply")));
    let own = next();
    turns.into_iter().for_each(|turn| tell(turn, next()));
    own
}

/// Who doesn't wait any more needs no reply.
fn tell(turn: oneshot::Sender<Turn>, reply: Reply) {
    let _ = turn.send(Turn::Settled(reply));
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Lead {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.waiting.retain(|waiting| !waiting.turn.is_closed());
        if queue.waiting.is_empty() {
            queue.is_led = false;
            return;
        }
        let rest = queue.waiting.len().min(BATCH);
        let mut group = queue.waiting.drain(..rest);
        let first = group.next().expect("there is one, as was just seen");
        let others = group.collect();
        // Sent after the lock is gone: a turn that can't be delivered is dropped with a lead of its own.
        drop(queue);
        let lead = Lead { queue: self.queue.clone() };
        let _ = first.turn.send(Turn::Lead(lead, Group { own: first.settlement, others }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use pynenc_core::broker::{Message, Pop};
    use pynenc_core::lane::{Called, Claimed, Found, Submission};
    use pynenc_core::orchestrator::{Block, Claim, Registered, Transition};
    use pynenc_core::status::{By, Change, Expect, Refusal};
    use pynenc_core::{InvocationId, Reason, RunnerId, Status};
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

        async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Reply>> {
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

    fn gated() -> (Arc<Gate>, GroupCommit) {
        let gate = Arc::new(Gate { permits: Semaphore::new(0), trips: Mutex::default() });
        (gate.clone(), GroupCommit::new(gate))
    }

    #[tokio::test]
    async fn those_who_come_during_a_trip_share_the_next_and_get_their_own_reply() {
        let (gate, commit) = gated();
        let mut settles: Vec<_> = (0..10).map(|version| Box::pin(commit.settle(settlement(version)))).collect();
        settles.iter_mut().for_each(|settle| assert!(settle.now_or_never().is_none()));
        gate.permits.add_permits(2);
        for (version, reply) in futures_util::future::join_all(settles).await.into_iter().enumerate() {
            assert_eq!(reply.unwrap(), TransitionReply::Refused(stale(version as u64)));
        }
        assert_eq!(*gate.trips.lock().unwrap(), [1, 9]);
    }

    #[tokio::test]
    async fn a_leader_that_is_dropped_leaves_the_way_free() {
        let (gate, commit) = gated();
        let mut leader = Box::pin(commit.settle(settlement(0)));
        assert!((&mut leader).now_or_never().is_none());
        let mut second = Box::pin(commit.settle(settlement(1)));
        let mut third = Box::pin(commit.settle(settlement(2)));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(leader);
        drop(second);
        assert!(third.await.unwrap_err().is_retryable());
        gate.permits.add_permits(1);
        commit.settle(settlement(3)).await.unwrap();
    }
}
