//! Trials of the outbox.

use pynenc_core::orchestrator::{OutboxEntry, OutboxInterest, OutboxTake, Tracked};
use pynenc_core::{InvocationId, RunnerId, Status};

use super::super::sample::{SECOND, task};
use super::super::trials;
use super::given::Given;

trials! { pub(super) Given:
    "without a subscription nothing is written to the outbox" => nothing_is_written,
    "a subscription expires when it isn't renewed" => subscriptions_expire,
    "an entry is offered once, and again when it isn't acknowledged in time" => entries_are_offered_again,
    "an entry is offered to no other listener" => entries_are_addressed,
    "an acknowledged entry isn't offered again" => acknowledged_is_gone,
    "a take acknowledges entries and offers others in the same call" => take_acknowledges_and_offers,
}

impl Given {
    pub(super) async fn subscribed(&self, task: &str, status: Status, seconds: u32) {
        let interest = OutboxInterest { listener: "listener".into(), task: task.into(), statuses: vec![status] };
        self.subscribe(&[interest], SECOND * seconds).await.expect("subscribe");
    }

    pub(super) async fn success(&self) -> Tracked {
        let running = self.running(RunnerId::new()).await;
        self.succeeded(&running).await
    }

    pub(super) async fn offered(&self, limit: usize) -> Vec<OutboxEntry> {
        self.taken(&["listener"], limit, Vec::new()).await
    }

    async fn taken(&self, listeners: &[&str], limit: usize, done: Vec<u64>) -> Vec<OutboxEntry> {
        let listeners = listeners.iter().map(|listener| (*listener).into()).collect();
        let take = OutboxTake { listeners, done, limit, again_after: SECOND * 5 };
        self.take_outbox(&take).await.expect("take_outbox")
    }
}

pub(super) fn invocations(entries: &[OutboxEntry]) -> Vec<InvocationId> {
    entries.iter().map(|entry| entry.id).collect()
}

async fn nothing_is_written(orchestrator: Given) {
    orchestrator.success().await;
    orchestrator.subscribed("testkit::else", Status::Success, 100).await;
    orchestrator.subscribed(task().as_str(), Status::Failed, 100).await;
    orchestrator.success().await;
    assert_eq!(orchestrator.offered(10).await, []);
}

async fn subscriptions_expire(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 10).await;
    orchestrator.advance(SECOND * 6).await;
    orchestrator.subscribed(task().as_str(), Status::Success, 10).await;
    orchestrator.advance(SECOND * 6).await;
    let wanted = orchestrator.success().await;
    orchestrator.advance(SECOND * 6).await;
    orchestrator.success().await;
    assert_eq!(invocations(&orchestrator.offered(10).await), [wanted.id]);
}

async fn entries_are_offered_again(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    assert_eq!(invocations(&orchestrator.offered(1).await), [first.id]);
    assert_eq!(invocations(&orchestrator.offered(10).await), [second.id]);
    orchestrator.advance(SECOND * 4).await;
    assert_eq!(orchestrator.offered(10).await, []);
    orchestrator.advance(SECOND).await;
    let again = orchestrator.offered(10).await;
    assert_eq!(invocations(&again), [first.id, second.id]);
    assert!(again[0].sequence < again[1].sequence);
    assert_eq!((&again[0].task, &again[0].record), (&first.task, &first.record));
    assert_eq!(orchestrator.offered(10).await, []);
}

async fn entries_are_addressed(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    let finished = orchestrator.success().await;
    assert_eq!(orchestrator.taken(&["other"], 10, Vec::new()).await, []);
    assert_eq!(orchestrator.taken(&[], 10, Vec::new()).await, []);
    assert_eq!(invocations(&orchestrator.offered(10).await), [finished.id]);
}

async fn acknowledged_is_gone(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    let entries = orchestrator.offered(10).await;
    assert_eq!(invocations(&entries), [first.id, second.id]);
    let done = OutboxTake::done(vec![entries[0].sequence, u64::MAX]);
    assert_eq!(orchestrator.take_outbox(&done).await.expect("take_outbox"), []);
    orchestrator.advance(SECOND * 5).await;
    assert_eq!(invocations(&orchestrator.offered(10).await), [second.id]);
}

async fn take_acknowledges_and_offers(orchestrator: Given) {
    orchestrator.subscribed(task().as_str(), Status::Success, 100).await;
    let (first, second) = (orchestrator.success().await, orchestrator.success().await);
    let entries = orchestrator.offered(1).await;
    assert_eq!(invocations(&entries), [first.id]);
    orchestrator.advance(SECOND * 5).await;
    let taken = orchestrator.taken(&["listener"], 10, vec![entries[0].sequence]).await;
    assert_eq!(invocations(&taken), [second.id], "the first one is due again, and acknowledged by the same call");
    assert_eq!(orchestrator.taken(&["listener"], 0, vec![taken[0].sequence]).await, []);
    orchestrator.advance(SECOND * 5).await;
    assert_eq!(orchestrator.offered(10).await, []);
}
