//! Trials of retention and of `purge`.

use std::time::Duration;

use futures_util::StreamExt;
use pynenc_core::orchestrator::{ClaimReply, Counts, Registered};
use pynenc_core::record::{IdempotencyKey, Registration, Retention};
use pynenc_core::{Digest, InvocationId, Reason, RunnerId, Status};

use super::super::sample::{HOUR, SECOND, limited, registration, registration_key, task};
use super::super::trials;
use super::given::Given;
use super::outbox::invocations;

trials! { pub(super) Given:
    "a finished invocation is offered when its retention is over, and not before" => retention_holds,
    "an outlived invocation that isn't forgotten is offered again after `again_after`" => outlived_is_offered_again,
    "a forgotten invocation is unknown, and its idempotency key is free" => forgotten_is_unknown,
    "a forgotten invocation leaves no entry in the outbox" => forgotten_is_not_offered,
    "an unfinished invocation isn't forgotten" => unfinished_stays,
    "after a purge no invocation, runner or lease is known" => purged_is_unknown,
    "a purge leaves outbox interests in place" => subscriptions_outlive_a_purge,
}

async fn forgotten_is_not_offered(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    let (third, fourth) = (orchestrator.success().await, orchestrator.success().await);
    assert_eq!(invocations(&orchestrator.offered(2).await), [first.id, second.id]);
    orchestrator.forget(&[first.id, third.id]).await.expect("forget");
    orchestrator.advance(SECOND * 5).await;
    assert_eq!(invocations(&orchestrator.offered(10).await), [second.id, fourth.id]);
}

async fn subscriptions_outlive_a_purge(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    orchestrator.success().await;
    orchestrator.purge().await.expect("purge");
    let wanted = orchestrator.success().await;
    assert_eq!(invocations(&orchestrator.offered(10).await), [wanted.id]);
}

async fn retention_holds(orchestrator: Given) {
    let retention = Retention { results: HOUR, failures: HOUR * 2 };
    let kept = || Registration { retention, ..registration() };
    let [good, bad, cancelled, unfinished] = [kept(), kept(), kept(), kept()];
    for registration in [&good, &bad, &cancelled, &unfinished] {
        orchestrator.accepted(registration).await;
    }
    let running = orchestrator.started(good.id, RunnerId::new()).await;
    orchestrator.succeeded(&running).await;
    let running = orchestrator.started(bad.id, RunnerId::new()).await;
    orchestrator.moved(&running, Status::Failed, Reason::Raised).await;
    orchestrator.cancel(&[cancelled.id]).await.expect("cancel");
    orchestrator.advance(SECOND * 3599).await;
    assert_eq!(orchestrator.outlived(10, Duration::ZERO).await.expect("outlived"), []);
    orchestrator.advance(SECOND).await;
    let mut outlived = orchestrator.outlived(10, Duration::ZERO).await.expect("outlived");
    outlived.sort_unstable();
    assert_eq!(outlived, [good.id, cancelled.id]);
    assert_eq!(orchestrator.outlived(1, Duration::ZERO).await.expect("outlived").len(), 1);
    orchestrator.forget(&outlived).await.expect("forget");
    orchestrator.advance(HOUR).await;
    assert_eq!(orchestrator.outlived(10, Duration::ZERO).await.expect("outlived"), [bad.id]);
}

async fn outlived_is_offered_again(orchestrator: Given) {
    let retention = Retention { results: HOUR, failures: HOUR };
    let (kept, other) = (Registration { retention, ..registration() }, Registration { retention, ..registration() });
    for registration in [&kept, &other] {
        orchestrator.accepted(registration).await;
        orchestrator.cancel(&[registration.id]).await.expect("cancel");
    }
    orchestrator.advance(HOUR).await;
    orchestrator.fresh().await;
    let outlived = async |limit| orchestrator.outlived(limit, HOUR * 2).await.expect("outlived");
    let mut offered = outlived(1).await;
    assert_eq!(offered.len(), 1);
    offered.extend(outlived(10).await);
    offered.sort_unstable();
    assert_eq!(offered, sorted([kept.id, other.id]), "each is offered once");
    orchestrator.forget(&[other.id]).await.expect("forget");
    orchestrator.advance(SECOND * 7199).await;
    assert_eq!(outlived(10).await, []);
    orchestrator.advance(SECOND).await;
    assert_eq!(outlived(10).await, [kept.id]);
    orchestrator.forget(&[kept.id]).await.expect("forget");
    orchestrator.advance(HOUR * 2).await;
    assert_eq!(outlived(10).await, []);
}

fn sorted(mut ids: [InvocationId; 2]) -> [InvocationId; 2] {
    ids.sort_unstable();
    ids
}

async fn forgotten_is_unknown(orchestrator: Given) {
    let idempotency = Some(IdempotencyKey { key: "name".into(), arguments: Digest::of(b"1") });
    let named = Registration { idempotency, ..registration() };
    orchestrator.accepted(&named).await;
    let running = orchestrator.started(named.id, RunnerId::new()).await;
    orchestrator.succeeded(&running).await;
    orchestrator.forget(&[named.id, InvocationId::new()]).await.expect("forget");
    assert_eq!(orchestrator.tracked(named.id).await, None);
    assert_eq!(orchestrator.history(named.id).await, []);
    assert_eq!(orchestrator.all().await, []);
    orchestrator.advance(HOUR * 10_000).await;
    assert_eq!(orchestrator.outlived(10, Duration::ZERO).await.expect("outlived"), []);
    orchestrator.accepted(&Registration { id: InvocationId::new(), ..named }).await;
}

async fn unfinished_stays(orchestrator: Given) {
    let (waiting, running) = (orchestrator.fresh().await, orchestrator.running(RunnerId::new()).await);
    orchestrator.forget(&[waiting.id, running.id]).await.expect("forget");
    assert_eq!(orchestrator.tracked(waiting.id).await, Some(waiting));
    assert_eq!(orchestrator.tracked(running.id).await, Some(running));
}

async fn purged_is_unknown(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    orchestrator.success().await;
    assert!(orchestrator.acquire_lease("testkit", runner, HOUR).await.expect("acquire_lease"));
    let keyed = Registration { registration: Some(registration_key("key", "1")), ..limited(1) };
    orchestrator.accepted(&keyed).await;
    let holder = orchestrator.occupied().await;
    let mut watched = orchestrator.watch(&[holder.id]).await.expect("watch");
    orchestrator.purge().await.expect("purge");
    assert_eq!(watched.next().await, Some((holder.id, None)), "no watcher waits for ever");
    assert_eq!(orchestrator.all().await, []);
    let Counts { mut statuses, mut queued, .. } = orchestrator.count().await.expect("count");
    statuses.retain(|_, count| *count > 0);
    queued.retain(|_, count| *count > 0);
    assert_eq!((statuses.len(), queued.len()), (0, 0));
    assert_eq!(orchestrator.runners().await.expect("runners"), []);
    assert_eq!(orchestrator.offered(10).await, []);
    let again = Registration { id: InvocationId::new(), ..keyed };
    assert!(matches!(orchestrator.registered(&again).await, Registered::New(_)), "the registration key is free");
    assert!(
        matches!(orchestrator.claimed(again.id, RunnerId::new()).await, ClaimReply::Granted(_)),
        "the slot is free"
    );
}
