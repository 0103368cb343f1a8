//! Trials of `block`, `watch` and `signals`.

use futures_util::{FutureExt, StreamExt};
use pynenc_core::orchestrator::{Blocked, ClaimReply, OutboxInterest, Signal, Tracked};
use pynenc_core::record::{Priority, Registration};
use pynenc_core::status::Refusal;
use pynenc_core::{InvocationId, Reason, RunnerId, Status};

use super::super::sample::{HOUR, limited, registration, task};
use super::super::trials;
use super::given::{Given, hinted};

trials! { pub(super) Given:
    "a running waiter is paused, and the priority of an awaited invocation rises with the number of its waiters" => waiter_is_paused,
    "a paused waiter waits for more invocations without another transition" => paused_waits_for_more,
    "finished and unknown invocations aren't waited for" => finished_are_not_awaited,
    "a wait that closes a wait cycle is refused with the cycle" => wait_cycles_are_refused,
    "a wait cycle through a concurrency slot is found: a parked child of the slot's holder" => wait_cycles_through_slots,
    "a wait is over with the waiter's next transition" => waits_are_over,
    "a stale waiter is refused" => stale_is_refused,
    "a later completion is pushed to the watcher" => later_completion_is_pushed,
    "an earlier completion is reported at once" => earlier_completion_is_reported,
    "an unknown invocation is reported as unknown" => unknown_is_reported,
    "a cancel request is signalled to the owner alone" => cancel_is_signalled,
    "a new outbox entry is signalled" => outbox_is_signalled,
}

impl Given {
    async fn body(&self) -> Tracked {
        self.running(RunnerId::new()).await
    }
}

async fn waiter_is_paused(orchestrator: Given) {
    let (first, second) = (orchestrator.body().await, orchestrator.body().await);
    let child = orchestrator.accepted(&Registration { priority: Priority::new(3), ..registration() }).await;
    let owned = orchestrator.body().await;
    let (paused, raised) = orchestrator.paused(&first, &[child.id, owned.id, child.id]).await;
    assert_eq!((paused.record.status, paused.record.reason), (Status::Paused, Reason::Waiting));
    assert_eq!(orchestrator.tracked(first.id).await, Some(paused));
    assert_eq!(hinted(&raised), [child.id], "an owned invocation is in no queue");
    assert_eq!(raised[0].priority, child.priority.raised(1));
    let (_, raised) = orchestrator.paused(&second, &[child.id]).await;
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].priority, &raised[0].queue), (child.priority.raised(2), &child.queue));
}

async fn paused_waits_for_more(orchestrator: Given) {
    let body = orchestrator.body().await;
    let (first, second) = (orchestrator.fresh().await, orchestrator.fresh().await);
    let (paused, _) = orchestrator.paused(&body, &[first.id]).await;
    let (still, raised) = orchestrator.paused(&paused, &[second.id]).await;
    assert_eq!(still, paused);
    assert_eq!(hinted(&raised), [second.id]);
    let (repeated, _) = orchestrator.paused(&body, &[first.id]).await;
    assert_eq!(repeated, paused, "a repeat after a lost reply");
    let second = orchestrator.started(second.id, RunnerId::new()).await;
    let closes = orchestrator.blocked(&second, &[body.id]).await;
    assert_eq!(closes, Blocked::Cycle(vec![second.id, body.id, second.id]), "both waits are edges");
}

async fn finished_are_not_awaited(orchestrator: Given) {
    let (body, finished) = (orchestrator.body().await, orchestrator.body().await);
    orchestrator.succeeded(&finished).await;
    assert_eq!(orchestrator.blocked(&body, &[finished.id, InvocationId::new()]).await, Blocked::Ready);
    assert_eq!(orchestrator.blocked(&body, &[]).await, Blocked::Ready);
    assert_eq!(orchestrator.tracked(body.id).await, Some(body), "it continues without a transition");
}

async fn wait_cycles_are_refused(orchestrator: Given) {
    let bodies = [orchestrator.body().await, orchestrator.body().await, orchestrator.body().await];
    let [first, second, third] = &bodies;
    assert_eq!(orchestrator.blocked(first, &[first.id]).await, Blocked::Cycle(vec![first.id, first.id]));
    orchestrator.paused(first, &[second.id]).await;
    orchestrator.paused(second, &[third.id]).await;
    let fresh = orchestrator.fresh().await;
    let closes = orchestrator.blocked(third, &[fresh.id, first.id]).await;
    assert_eq!(closes, Blocked::Cycle(vec![third.id, first.id, second.id, third.id]));
    assert_eq!(orchestrator.tracked(third.id).await.as_ref(), Some(third), "a refused wait changes nothing");
    orchestrator.paused(third, &[fresh.id]).await;
}

async fn wait_cycles_through_slots(orchestrator: Given) {
    let holder = orchestrator.accepted(&limited(1)).await;
    let holder = orchestrator.started(holder.id, RunnerId::new()).await;
    let child = orchestrator.accepted(&limited(1)).await;
    assert_eq!(orchestrator.claimed(child.id, RunnerId::new()).await, ClaimReply::Busy);
    let body = orchestrator.body().await;
    orchestrator.paused(&body, &[child.id]).await;
    let closes = orchestrator.blocked(&holder, &[body.id]).await;
    assert_eq!(closes, Blocked::Cycle(vec![holder.id, body.id, child.id, holder.id]));
    assert_eq!(orchestrator.status(holder.id).await, Status::Running);
    holders_of_two_slots(&orchestrator).await;
}

/// One of two holders may wait for a parked child, because the other may free its slot. Both may not.
async fn holders_of_two_slots(orchestrator: &Given) {
    orchestrator.purge().await.expect("purge");
    let mut holders = Vec::new();
    for _ in 0..2 {
        let holder = orchestrator.accepted(&limited(2)).await;
        holders.push(orchestrator.started(holder.id, RunnerId::new()).await);
    }
    let child = orchestrator.accepted(&limited(2)).await;
    assert_eq!(orchestrator.claimed(child.id, RunnerId::new()).await, ClaimReply::Busy);
    orchestrator.paused(&holders[0], &[child.id]).await;
    let closes = orchestrator.blocked(&holders[1], &[child.id]).await;
    assert_eq!(closes, Blocked::Cycle(vec![holders[1].id, child.id, holders[1].id]));
}

async fn waits_are_over(orchestrator: Given) {
    let (first, second) = (orchestrator.body().await, orchestrator.body().await);
    let (paused, _) = orchestrator.paused(&first, &[second.id]).await;
    let resumed = orchestrator.moved(&paused, Status::Running, Reason::Resumed).await;
    orchestrator.paused(&second, &[first.id]).await;
    let closes = orchestrator.blocked(&resumed, &[second.id]).await;
    assert_eq!(closes, Blocked::Cycle(vec![first.id, second.id, first.id]));
    let fresh = orchestrator.fresh().await;
    let (_, raised) = orchestrator.paused(&resumed, &[fresh.id]).await;
    assert_eq!(raised[0].priority, fresh.priority.raised(1));
}

async fn stale_is_refused(orchestrator: Given) {
    let (body, child) = (orchestrator.body().await, orchestrator.fresh().await);
    let (paused, _) = orchestrator.paused(&body, &[child.id]).await;
    let resumed = orchestrator.moved(&paused, Status::Running, Reason::Resumed).await;
    for stale in [&body, &paused] {
        let refused = orchestrator.blocked(stale, &[child.id]).await;
        assert!(matches!(refused, Blocked::Refused(Refusal::Stale { .. })), "{refused:?}");
    }
    let mut stranger = resumed.clone();
    stranger.record.owner = Some(RunnerId::new());
    assert!(matches!(orchestrator.blocked(&stranger, &[child.id]).await, Blocked::Refused(_)));
    let unknown = Tracked { id: InvocationId::new(), ..resumed.clone() };
    assert_eq!(orchestrator.blocked(&unknown, &[child.id]).await, Blocked::Refused(Refusal::Missing));
    assert_eq!(orchestrator.tracked(body.id).await, Some(resumed));
}

async fn later_completion_is_pushed(orchestrator: Given) {
    let (first, second) = (orchestrator.body().await, orchestrator.body().await);
    let mut completions = orchestrator.watch(&[first.id, second.id, first.id]).await.expect("watch");
    let mut other = orchestrator.watch(&[second.id]).await.expect("watch");
    let second = orchestrator.succeeded(&second).await;
    assert_eq!(completions.next().await, Some((second.id, Some(second.record.clone()))));
    assert_eq!(other.next().await, Some((second.id, Some(second.record))));
    assert_eq!(other.next().await, None, "the stream ends with the last completion");
    let first = orchestrator.moved(&first, Status::Failed, Reason::Raised).await;
    assert_eq!(completions.next().await, Some((first.id, Some(first.record))));
    assert_eq!(completions.next().await, None, "each completion is reported once");
}

async fn earlier_completion_is_reported(orchestrator: Given) {
    let body = orchestrator.body().await;
    let done = orchestrator.succeeded(&body).await;
    let completions = orchestrator.watch(&[done.id]).await.expect("watch");
    assert_eq!(completions.collect::<Vec<_>>().await, [(done.id, Some(done.record))]);
}

async fn unknown_is_reported(orchestrator: Given) {
    let id = InvocationId::new();
    let completions = orchestrator.watch(&[id]).await.expect("watch");
    assert_eq!(completions.collect::<Vec<_>>().await, [(id, None)]);
}

async fn cancel_is_signalled(orchestrator: Given) {
    let (runner, other) = (RunnerId::new(), RunnerId::new());
    let mut signals = orchestrator.signals(runner).await.expect("signals");
    let mut others = orchestrator.signals(other).await.expect("signals");
    let (mine, theirs) = (orchestrator.running(runner).await, orchestrator.running(other).await);
    orchestrator.cancel(&[mine.id]).await.expect("cancel");
    orchestrator.cancel(&[theirs.id]).await.expect("cancel");
    assert_eq!(signals.next().await, Some(Signal::Cancel(mine.id)));
    assert_eq!(others.next().await, Some(Signal::Cancel(theirs.id)));
    assert_eq!(signals.next().now_or_never(), None);
}

async fn outbox_is_signalled(orchestrator: Given) {
    let interest = OutboxInterest { listener: "listener".into(), task: task(), statuses: vec![Status::Success] };
    orchestrator.subscribe(&[interest], HOUR).await.expect("subscribe");
    let mut signals = orchestrator.signals(RunnerId::new()).await.expect("signals");
    for _ in 0..2 {
        let body = orchestrator.body().await;
        orchestrator.succeeded(&body).await;
        assert_eq!(signals.next().await, Some(Signal::Outbox));
    }
}
