//! Invocations that a lane registered: their entries hold their hints, and no index names them while they are queued.

use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{Claim, ClaimReply, Find, Registered, Tracked};
use pynenc_core::record::{Priority, Registration};
use pynenc_core::state_backend::Listing;
use pynenc_core::status::Due;
use pynenc_core::{Clock, InvocationId, RunnerId};
use pynenc_testkit::conformance::sample::{pop, queue, registration, submission_of};

use crate::World;

impl World {
    async fn submitted(&self, registration: Registration) -> Tracked {
        let replies = self.lane.submit(vec![submission_of(registration)]).await.expect("submit");
        match replies.into_iter().next() {
            Some(Ok(Registered::New(tracked))) => tracked,
            other => panic!("{other:?}"),
        }
    }

    /// The numbers of ready and delayed hints, and the position of one.
    async fn hints(&self, of: InvocationId) -> (u64, u64, Option<u64>) {
        let state = self.broker.queue(&queue(), Some(of)).await.expect("queue");
        (state.ready, state.delayed, state.position)
    }

    async fn queued(&self) -> Vec<InvocationId> {
        let find = Find { queued_for: Some(Duration::ZERO), limit: 10, ..Find::default() };
        let page = self.orchestrator.find(&find).await.expect("find");
        page.items.into_iter().map(|item| item.id).collect()
    }

    /// Pops and claims hints in the lane. Returns the invocations that were granted.
    async fn granted(&self, most: usize) -> Vec<InvocationId> {
        let claim = Claim::new(Vec::new(), RunnerId::new());
        let claimed = self.lane.claim(&claim, Some(&pop(most))).await.expect("claim");
        let granted = claimed.into_iter().filter(|claimed| matches!(claimed.reply, ClaimReply::Granted(_)));
        granted.map(|claimed| claimed.id).collect()
    }
}

fn raised(message: Message) -> Message {
    Message { priority: Priority::MAX, ..message }
}

#[tokio::test]
async fn a_second_hint_is_merged_with_the_first() {
    let world = World::new();
    let (first, second) = (world.submitted(registration()).await, world.submitted(registration()).await);
    assert_eq!(world.hints(second.id).await, (2, 0, Some(1)));
    world.broker.push(&[raised(second.message())]).await.expect("push");
    assert_eq!(world.hints(second.id).await, (2, 0, Some(0)));
    world.broker.remove(&queue(), &[first.id]).await.expect("remove");
    world.broker.remove(&queue(), &[first.id]).await.expect("remove again");
    assert_eq!(world.hints(first.id).await, (1, 0, None));
    assert_eq!(world.broker.pop(&pop(9)).await.expect("pop"), [second.id]);
    assert_eq!(world.hints(second.id).await, (0, 0, None));
    // The pop was lost, and the sweep pushes the hint again.
    world.broker.push(&[second.message()]).await.expect("push");
    assert_eq!(world.granted(9).await, [second.id]);
    assert_eq!(world.hints(second.id).await, (0, 0, None));
}

#[tokio::test]
async fn a_hint_of_another_queue_is_independent() {
    let (world, other) = (World::new(), "other".into());
    let tracked = world.submitted(registration()).await;
    let message = Message { queue: other, ..tracked.message() };
    world.broker.push(std::slice::from_ref(&message)).await.expect("push");
    assert_eq!(world.broker.queue(&message.queue, Some(tracked.id)).await.expect("queue").position, Some(0));
    assert_eq!(world.hints(tracked.id).await, (1, 0, Some(0)));
    world.broker.remove(&message.queue, &[tracked.id]).await.expect("remove");
    assert_eq!(world.broker.queue(&message.queue, Some(tracked.id)).await.expect("queue").ready, 0);
    assert_eq!(world.hints(tracked.id).await, (1, 0, Some(0)));
}

#[tokio::test]
async fn a_delayed_hint_becomes_ready() {
    let world = World::new();
    let due = world.clock.now() + Duration::from_secs(10);
    let tracked = world.submitted(Registration { due: Some(Due::At(due)), ..registration() }).await;
    assert_eq!(world.hints(tracked.id).await, (0, 1, None));
    assert_eq!(world.granted(1).await, []);
    world.clock.set(due);
    assert_eq!(world.hints(tracked.id).await, (1, 0, Some(0)));
    assert_eq!(world.granted(1).await, [tracked.id]);
    assert_eq!(world.hints(tracked.id).await, (0, 0, None));
}

#[tokio::test]
async fn hints_that_a_purge_of_the_queues_took_can_be_pushed_again() {
    let world = World::new();
    let (first, second) = (world.submitted(registration()).await, world.submitted(registration()).await);
    world.broker.purge().await.expect("purge");
    assert_eq!(world.hints(first.id).await, (0, 0, None));
    assert_eq!(world.queued().await, [first.id, second.id]);
    world.broker.remove(&queue(), &[second.id]).await.expect("remove");
    world.broker.push(&[first.message(), second.message()]).await.expect("push");
    assert_eq!(world.hints(second.id).await, (2, 0, Some(1)));
    assert_eq!(world.granted(9).await, [first.id, second.id]);
}

#[tokio::test]
async fn queued_invocations_are_listed_whoever_registered_them() {
    let world = World::new();
    let direct = registration();
    world.orchestrator.register(std::slice::from_ref(&direct)).await.expect("register");
    let in_lane = world.submitted(registration()).await;
    let mut both = vec![direct.id, in_lane.id];
    both.sort_unstable();
    assert_eq!(world.queued().await, both);
    assert_eq!(world.granted(9).await, [in_lane.id]);
    assert_eq!(world.queued().await, [direct.id]);
}

#[tokio::test]
async fn a_record_without_a_registration_is_listed_until_it_is_dropped() {
    let world = World::new();
    let orphan = submission_of(registration()).record;
    let in_lane = world.submitted(registration()).await;
    world.state.put_invocations(std::slice::from_ref(&orphan)).await.expect("put");
    let listing = Listing::PutBefore(Duration::ZERO);
    assert_eq!(world.state.list(&listing, None, 9).await.expect("list").items, [orphan.id]);
    world.state.forget(&[orphan.id, in_lane.id]).await.expect("forget");
    assert_eq!(world.state.list(&listing, None, 9).await.expect("list").items, []);
    assert_eq!(world.state.invocations(&[in_lane.id]).await.expect("read"), [None]);
}
