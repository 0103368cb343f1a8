//! Two processes on one store.

use futures_util::{FutureExt, StreamExt};
use pynenc_core::broker::Pop;
use pynenc_core::orchestrator::{Claim, OutboxInterest, Registered, Signal, Tracked};
use pynenc_core::trigger_store::{NewEvent, Notification, TriggerUpdate};
use pynenc_core::{InvocationId, RunnerId, Status, TriggerStore};
use pynenc_kv::Transaction;

use pynenc_testkit::conformance::sample::{HOUR, pop, settlement, submission, task};

use crate::World;

async fn submitted(world: &World) -> InvocationId {
    let submission = submission();
    let id = submission.registration.id;
    world.lane.submit(vec![submission]).await.expect("submit");
    id
}

/// Submits, and claims in the same process.
async fn running(world: &World) -> Tracked {
    let id = submitted(world).await;
    let claim = Claim::new(vec![id], RunnerId::new()).running_below(1);
    world.lane.claim(&claim, None).await.expect("claim");
    world.orchestrator.records(&[id]).await.expect("records").remove(0).expect("it is registered")
}

async fn succeed(world: &World, running: &Tracked) {
    world.lane.settle(vec![settlement(running)]).await.expect("settle");
}

fn event() -> NewEvent {
    NewEvent { name: "paid".into(), key: None, payload: bytes::Bytes::new(), serializer: "JsonSerializer".into() }
}

#[tokio::test]
async fn a_completion_is_pushed_to_a_watcher_in_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let running = running(&here).await;
    let mut watched = there.orchestrator.watch(&[running.id]).await.expect("watch");
    assert!(watched.next().now_or_never().is_none());
    succeed(&here, &running).await;
    let (id, record) = watched.next().now_or_never().flatten().expect("the completion was pushed");
    assert_eq!((id, record.map(|record| record.status)), (running.id, Some(Status::Success)));
    assert!(watched.next().now_or_never().flatten().is_none(), "each completion is reported once");
}

#[tokio::test]
async fn many_completions_of_one_step_reach_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let mut all = Vec::new();
    for _ in 0..200 {
        all.push(running(&here).await);
    }
    let ids: Vec<InvocationId> = all.iter().map(|one| one.id).collect();
    let watched = there.orchestrator.watch(&ids).await.expect("watch");
    here.lane.settle(all.iter().map(settlement).collect()).await.expect("settle");
    assert_eq!(tokio::task::unconstrained(watched.count()).now_or_never(), Some(200));
}

#[tokio::test]
async fn a_hint_wakes_a_consumer_in_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let pop = Pop { wait: HOUR, ..pop(1) };
    let mut popping = there.broker.pop(&pop);
    assert!((&mut popping).now_or_never().is_none());
    let id = submitted(&here).await;
    assert_eq!(popping.now_or_never().expect("it was woken").expect("pop"), [id]);
}

#[tokio::test]
async fn a_lane_that_found_its_queue_empty_is_woken_by_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let (runner, pop) = (RunnerId::new(), Pop { wait: HOUR, ..pop(4) });
    let claim = || Claim::new(Vec::new(), runner).running_below(1);
    assert!(there.lane.find(&pop).now_or_never().is_some(), "it doesn't know yet that the queue is empty");
    assert!(there.lane.claim(&claim(), Some(&pop)).await.expect("claim").is_empty());
    let mut finding = there.lane.find(&pop);
    assert!((&mut finding).now_or_never().is_none());
    let id = submitted(&here).await;
    assert!(finding.now_or_never().is_some());
    let claimed = there.lane.claim(&claim(), Some(&pop)).await.expect("claim");
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn a_hint_between_a_claim_and_the_next_find_is_not_overlooked() {
    let here = World::new();
    let pop = Pop { wait: HOUR, ..pop(4) };
    let claim = Claim::new(Vec::new(), RunnerId::new());
    assert!(here.lane.claim(&claim, Some(&pop)).await.expect("claim").is_empty());
    submitted(&here).await;
    assert!(here.lane.find(&pop).now_or_never().is_some());
}

#[tokio::test]
async fn a_cancel_and_an_outbox_entry_are_signalled_to_runners_in_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let interest = OutboxInterest { listener: "triggers".into(), task: task(), statuses: vec![Status::Success] };
    here.orchestrator.subscribe(&[interest], HOUR).await.expect("subscribe");
    let running = running(&there).await;
    let owner = running.record.owner.expect("it runs");
    let mut signals = there.orchestrator.signals(owner).await.expect("signals");
    here.orchestrator.cancel(&[running.id]).await.expect("cancel");
    assert_eq!(signals.next().now_or_never(), Some(Some(Signal::Cancel(running.id))));
    let other = self::running(&here).await;
    succeed(&here, &other).await;
    assert_eq!(signals.next().now_or_never(), Some(Some(Signal::Outbox)));
}

#[tokio::test]
async fn events_and_definitions_are_announced_to_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let mut notifications = there.triggers.notifications().await.expect("notifications");
    here.triggers.append_events(&[event()]).await.expect("append");
    assert_eq!(notifications.next().now_or_never(), Some(Some(Notification::Events)));
    here.triggers.update_definitions(&[TriggerUpdate::Remove("trigger".into())]).await.expect("update");
    assert_eq!(notifications.next().now_or_never(), Some(Some(Notification::Definitions)));
}

#[tokio::test]
async fn a_process_that_looks_again_makes_up_for_lost_notifications() {
    let here = World::new();
    let there = here.in_another_process();
    let running = running(&here).await;
    let mut watched = there.orchestrator.watch(&[running.id]).await.expect("watch");
    let mut notifications = there.triggers.notifications().await.expect("notifications");
    let pop = Pop { wait: HOUR, ..pop(1) };
    here.broker.purge().await.expect("purge");
    let mut popping = there.broker.pop(&pop);
    assert!((&mut popping).now_or_never().is_none());
    there.map.lose_notifications();
    succeed(&here, &running).await;
    here.triggers.append_events(&[event()]).await.expect("append");
    let id = submitted(&here).await;
    assert!(watched.next().now_or_never().is_none() && notifications.next().now_or_never().is_none());
    assert!((&mut popping).now_or_never().is_none());
    there.map.look_again();
    assert_eq!(watched.next().now_or_never().flatten().map(|(id, _)| id), Some(running.id));
    assert_eq!(notifications.next().now_or_never(), Some(Some(Notification::Events)));
    assert_eq!(popping.now_or_never().expect("it was woken").expect("pop"), [id]);
}

#[tokio::test]
async fn a_call_is_submitted_in_a_transaction_of_the_caller() {
    let here = World::new();
    let there = here.in_another_process();
    let pop = Pop { wait: HOUR, ..pop(1) };
    let mut popping = there.broker.pop(&pop);
    assert!((&mut popping).now_or_never().is_none());
    for commits in [false, true] {
        let submission = submission();
        let id = submission.registration.id;
        let submit = |transaction: &mut dyn Transaction| (here.store.submit_in(transaction, &[submission]), commits);
        let (registered, announcement) = here.map.transact(submit).expect("submit");
        assert!(matches!(&registered[..], [Registered::New(tracked)] if tracked.id == id));
        announcement.send();
        assert_eq!(here.orchestrator.records(&[id]).await.expect("records")[0].is_some(), commits);
        assert_eq!(here.state.invocations(&[id]).await.expect("invocations")[0].is_some(), commits);
        assert_eq!((&mut popping).now_or_never().map(|ids| ids.expect("pop")), commits.then(|| vec![id]));
    }
}

#[tokio::test]
async fn a_record_and_an_outcome_are_read_in_another_process() {
    let here = World::new();
    let there = here.in_another_process();
    let id = submitted(&here).await;
    assert!(there.state.invocations(&[id]).await.expect("invocations")[0].is_some());
    there.clock.advance(HOUR);
    assert_eq!(here.orchestrator.count().await.expect("count").statuses[&Status::Registered], 1);
}
