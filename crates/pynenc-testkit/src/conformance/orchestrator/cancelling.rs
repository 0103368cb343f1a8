//! Trials of `cancel`.

use futures_util::{FutureExt, StreamExt};
use pynenc_core::orchestrator::{CancelReply, ClaimReply, HeartbeatReply, Signal};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{InvocationId, Reason, RunnerId, Status};

use super::super::sample::{SECOND, limited};
use super::super::trials;
use super::given::{Given, hinted};

trials! { pub(super) Given:
    "a waiting invocation is cancelled at once" => waiting_is_cancelled,
    "an owned invocation is marked, and its owner learns of that by a signal and by its heartbeat" => owned_is_marked,
    "a finished invocation is unchanged" => finished_is_unchanged,
    "a marked invocation finishes as cancelled instead of returning to its queue" => marked_does_not_return,
    "the reserved slot of a cancelled invocation goes to the next parked one" => reserved_slot_is_handed_over,
}

impl Given {
    async fn cancelled_one(&self, id: InvocationId) -> CancelReply {
        self.cancel(&[id]).await.expect("cancel").remove(0)
    }
}

async fn waiting_is_cancelled(orchestrator: Given) {
    use Status::{ConcurrencyControlled, Registered, Rerouted, Retry, Scheduled};
    for status in [Registered, Scheduled, ConcurrencyControlled, Rerouted, Retry] {
        let waiting = orchestrator.reached(status).await;
        assert_eq!(orchestrator.cancelled_one(waiting.id).await, CancelReply::Cancelled { handed: vec![] }, "{status}");
        let record = orchestrator.tracked(waiting.id).await.expect("the invocation exists").record;
        assert_eq!((record.status, record.reason), (Status::Cancelled, Reason::CancelRequested));
        orchestrator.purge().await.expect("purge");
    }
    assert_eq!(orchestrator.cancelled_one(InvocationId::new()).await, CancelReply::Missing);
}

async fn owned_is_marked(orchestrator: Given) {
    let runner = RunnerId::new();
    orchestrator.beat(runner).await;
    let mut signals = orchestrator.signals(runner).await.expect("signals");
    let running = orchestrator.running(runner).await;
    orchestrator.running(runner).await;
    assert_eq!(orchestrator.cancelled_one(running.id).await, CancelReply::Requested);
    let marked = orchestrator.tracked(running.id).await.expect("the invocation exists").record;
    assert!(marked.cancel_requested);
    assert_eq!((marked.status, marked.version), (Status::Running, running.record.version), "marking is no transition");
    assert_eq!(signals.next().await, Some(Signal::Cancel(running.id)));
    assert_eq!(
        orchestrator.beat(runner).await,
        HeartbeatReply::Alive { cancel: vec![running.id], is_introduced: false }
    );
    orchestrator.moved(&running, Status::Cancelled, Reason::CancelRequested).await;
    assert_eq!(orchestrator.beat(runner).await, HeartbeatReply::Alive { cancel: vec![], is_introduced: false });
    assert_eq!(signals.next().now_or_never(), None);
}

async fn finished_is_unchanged(orchestrator: Given) {
    for status in [Status::Success, Status::Failed, Status::Cancelled] {
        let ended = orchestrator.reached(status).await;
        assert_eq!(orchestrator.cancelled_one(ended.id).await, CancelReply::Final(status));
        assert_eq!(orchestrator.tracked(ended.id).await, Some(ended));
    }
}

async fn marked_does_not_return(orchestrator: Given) {
    let runner = RunnerId::new();
    for to in [Status::Retry, Status::Rerouted, Status::Scheduled] {
        let running = orchestrator.running(runner).await;
        orchestrator.cancelled_one(running.id).await;
        let change = Change::new(to, By::Owner(runner), Reason::Raised);
        let change = if to == Status::Retry { change.due(Due::In(SECOND)) } else { change };
        let (ended, _) = orchestrator.done(&running, change).await;
        assert_eq!((ended.record.status, ended.record.reason), (Status::Cancelled, Reason::CancelRequested));
        assert_eq!(orchestrator.claimed(running.id, runner).await, ClaimReply::Gone);
    }
    let lost = orchestrator.running(runner).await;
    orchestrator.cancelled_one(lost.id).await;
    orchestrator.done(&lost, Change::new(Status::Rerouted, By::System, Reason::OwnerLost)).await;
    assert_eq!(orchestrator.status(lost.id).await, Status::Cancelled, "recovery cancels it too");
}

async fn reserved_slot_is_handed_over(orchestrator: Given) {
    let holder = orchestrator.reached(Status::Running).await;
    let (first, second) = (orchestrator.accepted(&limited(1)).await, orchestrator.accepted(&limited(1)).await);
    for id in [first.id, second.id] {
        assert_eq!(orchestrator.claimed(id, RunnerId::new()).await, ClaimReply::Busy);
    }
    orchestrator.succeeded(&holder).await;
    let CancelReply::Cancelled { handed } = orchestrator.cancelled_one(first.id).await else {
        panic!("the invocation was waiting")
    };
    assert_eq!(hinted(&handed), [second.id]);
    orchestrator.granted(second.id, RunnerId::new()).await;
}
