//! The trials of the outbox, of retention and of `purge`.

use futures_util::StreamExt;
use pynenc_core::orchestrator::{ClaimReply, Counts, OutboxEntry, OutboxInterest, Registered, Tracked};
use pynenc_core::record::{IdempotencyKey, Registration, Retention};
use pynenc_core::{Digest, InvocationId, Reason, RunnerId, Status};

use super::super::sample::{HOUR, SECOND, limited, registration, registration_key, task};
use super::super::trials;
use super::Given;

trials! { pub(super) Given:
    "without an interest nothing is written to the outbox" => nothing_is_written,
    "an interest ends when it isn't renewed" => interests_end,
    "an entry is offered once, and again when it isn't done in time" => entries_are_offered_again,
    "an entry is offered to no other listener" => entries_are_addressed,
    "what is done isn't offered again" => done_is_gone,
    "an ended invocation is listed when its retention is over, and not before" => retention_holds,
    "what is kept for longer is listed when that is over" => kept_for_longer,
    "what is forgotten is unknown, and its idempotency key is free" => forgotten_is_unknown,
    "what is forgotten leaves no entry in the outbox" => forgotten_is_not_offered,
    "what hasn't ended isn't forgotten" => living_stays,
    "after a purge nothing is known" => purged_is_unknown,
    "a purge leaves interests in place" => interests_outlive_a_purge,
}

impl Given {
    async fn wants(&self, task: &str, status: Status, seconds: u32) {
        let interest = OutboxInterest { listener: "listener".into(), task: task.into(), statuses: vec![status] };
        self.want(&[interest], SECOND * seconds).await.expect("want");
    }

    async fn success(&self) -> Tracked {
        let running = self.running(RunnerId::new()).await;
        self.succeeded(&running).await
    }

    async fn offered(&self, limit: usize) -> Vec<OutboxEntry> {
        self.outbox(&["listener".into()], limit, SECOND * 5).await.expect("outbox")
    }
}

fn ended(entries: &[OutboxEntry]) -> Vec<InvocationId> {
    entries.iter().map(|entry| entry.id).collect()
}

async fn nothing_is_written(orchestrator: Given) {
    orchestrator.success().await;
    orchestrator.wants("testkit::else", Status::Success, 100).await;
    orchestrator.wants(task().as_str(), Status::Failed, 100).await;
    orchestrator.success().await;
    assert_eq!(orchestrator.offered(10).await, []);
}

async fn interests_end(orchestrator: Given) {
    orchestrator.wants(task().as_str(), Status::Success, 10).await;
    orchestrator.advance(SECOND * 6).await;
    orchestrator.wants(task().as_str(), Status::Success, 10).await;
    orchestrator.advance(SECOND * 6).await;
    let wanted = orchestrator.success().await;
    orchestrator.advance(SECOND * 6).await;
    orchestrator.success().await;
    assert_eq!(ended(&orchestrator.offered(10).await), [wanted.id]);
}

async fn entries_are_offered_again(orchestrator: Given) {
    orchestrator.wants(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    assert_eq!(ended(&orchestrator.offered(1).await), [first.id]);
    assert_eq!(ended(&orchestrator.offered(10).await), [second.id]);
    orchestrator.advance(SECOND * 4).await;
    assert_eq!(orchestrator.offered(10).await, []);
    orchestrator.advance(SECOND).await;
    let again = orchestrator.offered(10).await;
    assert_eq!(ended(&again), [first.id, second.id]);
    assert!(again[0].sequence < again[1].sequence);
    assert_eq!((&again[0].task, &again[0].record), (&first.task, &first.record));
    assert_eq!(orchestrator.offered(10).await, []);
}

async fn entries_are_addressed(orchestrator: Given) {
    orchestrator.wants(task().as_str(), Status::Success, 100).await;
    let ended_one = orchestrator.success().await;
    assert_eq!(orchestrator.outbox(&["other".into()], 10, SECOND).await.expect("outbox"), []);
    assert_eq!(orchestrator.outbox(&[], 10, SECOND).await.expect("outbox"), []);
    assert_eq!(ended(&orchestrator.offered(10).await), [ended_one.id]);
}

async fn forgotten_is_not_offered(orchestrator: Given) {
    orchestrator.wants(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    let (third, fourth) = (orchestrator.success().await, orchestrator.success().await);
    assert_eq!(ended(&orchestrator.offered(2).await), [first.id, second.id]);
    orchestrator.forget(&[first.id, third.id]).await.expect("forget");
    orchestrator.advance(SECOND * 5).await;
    assert_eq!(ended(&orchestrator.offered(10).await), [second.id, fourth.id]);
}

async fn interests_outlive_a_purge(orchestrator: Given) {
    orchestrator.wants(task().as_str(), Status::Success, 100).await;
    orchestrator.success().await;
    orchestrator.purge().await.expect("purge");
    let wanted = orchestrator.success().await;
    assert_eq!(ended(&orchestrator.offered(10).await), [wanted.id]);
}

async fn done_is_gone(orchestrator: Given) {
    orchestrator.wants(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    let entries = orchestrator.offered(10).await;
    assert_eq!(ended(&entries), [first.id, second.id]);
    orchestrator.outbox_done(&[entries[0].sequence, u64::MAX]).await.expect("outbox_done");
    orchestrator.advance(SECOND * 5).await;
    assert_eq!(ended(&orchestrator.offered(10).await), [second.id]);
}

async fn retention_holds(orchestrator: Given) {
    let retention = Retention { results: HOUR, failures: HOUR * 2 };
    let kept = || Registration { retention, ..registration() };
    let [good, bad, dropped, living] = [kept(), kept(), kept(), kept()];
    for registration in [&good, &bad, &dropped, &living] {
        orchestrator.accepted(registration).await;
    }
    let running = orchestrator.started(good.id, RunnerId::new()).await;
    orchestrator.succeeded(&running).await;
    let running = orchestrator.started(bad.id, RunnerId::new()).await;
    orchestrator.moved(&running, Status::Failed, Reason::Raised).await;
    orchestrator.cancel(&[dropped.id]).await.expect("cancel");
    orchestrator.advance(SECOND * 3599).await;
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), []);
    orchestrator.advance(SECOND).await;
    let mut outlived = orchestrator.outlived(10).await.expect("outlived");
    outlived.sort_unstable();
    assert_eq!(outlived, [good.id, dropped.id]);
    assert_eq!(orchestrator.outlived(1).await.expect("outlived").len(), 1);
    orchestrator.forget(&outlived).await.expect("forget");
    orchestrator.advance(HOUR).await;
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), [bad.id]);
}

async fn kept_for_longer(orchestrator: Given) {
    let retention = Retention { results: HOUR, failures: HOUR };
    let (kept, other) = (Registration { retention, ..registration() }, Registration { retention, ..registration() });
    for registration in [&kept, &other] {
        orchestrator.accepted(registration).await;
        orchestrator.cancel(&[registration.id]).await.expect("cancel");
    }
    orchestrator.advance(HOUR).await;
    let living = orchestrator.fresh().await.id;
    orchestrator.keep(&[kept.id, living, InvocationId::new()], HOUR).await.expect("keep");
    orchestrator.keep(&[kept.id], SECOND).await.expect("keep");
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), [other.id]);
    orchestrator.forget(&[other.id]).await.expect("forget");
    orchestrator.advance(SECOND * 3599).await;
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), []);
    orchestrator.advance(SECOND).await;
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), [kept.id]);
    orchestrator.forget(&[kept.id]).await.expect("forget");
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), []);
}

async fn forgotten_is_unknown(orchestrator: Given) {
    let idempotency = Some(IdempotencyKey { key: "name".into(), arguments: Digest::of(b"1") });
    let named = Registration { idempotency, ..registration() };
    orchestrator.accepted(&named).await;
    let running = orchestrator.started(named.id, RunnerId::new()).await;
    orchestrator.succeeded(&running).await;
    orchestrator.forget(&[named.id, InvocationId::new()]).await.expect("forget");
    assert_eq!(orchestrator.tracked(named.id).await, None);
    assert_eq!(orchestrator.history(named.id).await.expect("history"), []);
    assert_eq!(orchestrator.all().await, []);
    orchestrator.advance(HOUR * 10_000).await;
    assert_eq!(orchestrator.outlived(10).await.expect("outlived"), []);
    orchestrator.accepted(&Registration { id: InvocationId::new(), ..named }).await;
}

async fn living_stays(orchestrator: Given) {
    let (waiting, running) = (orchestrator.fresh().await, orchestrator.running(RunnerId::new()).await);
    orchestrator.forget(&[waiting.id, running.id]).await.expect("forget");
    assert_eq!(orchestrator.tracked(waiting.id).await, Some(waiting));
    assert_eq!(orchestrator.tracked(running.id).await, Some(running));
}

async fn purged_is_unknown(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    orchestrator.wants(task().as_str(), Status::Success, 100).await;
    orchestrator.success().await;
    assert!(orchestrator.lease("testkit", runner, HOUR).await.expect("lease"));
    let keyed = Registration { registration: Some(registration_key("key", "1")), ..limited(1) };
    orchestrator.accepted(&keyed).await;
    let holder = orchestrator.occupied().await;
    let mut watched = orchestrator.watch(&[holder.id]).await.expect("watch");
    orchestrator.purge().await.expect("purge");
    assert_eq!(watched.next().await, Some((holder.id, None)), "nobody waits for ever");
    assert_eq!(orchestrator.all().await, []);
    let Counts { mut statuses, mut queued } = orchestrator.count().await.expect("count");
    statuses.retain(|_, count| *count > 0);
    queued.retain(|_, count| *count > 0);
    assert_eq!((statuses.len(), queued.len()), (0, 0));
    assert_eq!(orchestrator.runners().await.expect("runners"), []);
    assert_eq!(orchestrator.offered(10).await, []);
    let again = Registration { id: InvocationId::new(), ..keyed };
    assert!(matches!(orchestrator.registered(&again).await, Registered::New(_)), "keys are free");
    assert!(matches!(orchestrator.claimed(again.id, RunnerId::new()).await, ClaimReply::Granted(_)), "slots too");
}
