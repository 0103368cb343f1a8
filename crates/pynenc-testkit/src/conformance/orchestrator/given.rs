//! The harness of the orchestrator's trials, with the steps that most trials need.

use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{
    Block, Blocked, Claim, ClaimReply, Find, Heartbeat, HeartbeatReply, HistoryEntry, Introduction, Registered,
    Tracked, Transition, TransitionReply,
};
use pynenc_core::record::Registration;
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{ClaimToken, InvocationId, Orchestrator, Reason, RunnerId, Status};

use super::super::Harness;
use super::super::sample::{SECOND, registration};

/// The harness of a trial.
pub(crate) type Given = Harness<dyn Orchestrator>;

impl Given {
    pub(super) async fn registered(&self, registration: &Registration) -> Registered {
        self.register(std::slice::from_ref(registration)).await.expect("register").remove(0)
    }

    pub(super) async fn accepted(&self, registration: &Registration) -> Tracked {
        match self.registered(registration).await {
            Registered::New(tracked) => tracked,
            other => panic!("the call isn't accepted: {other:?}"),
        }
    }

    /// A new invocation without keys.
    pub(super) async fn fresh(&self) -> Tracked {
        self.accepted(&registration()).await
    }

    pub(super) async fn claimed_with(&self, id: InvocationId, runner: RunnerId, token: ClaimToken) -> ClaimReply {
        self.claim(&Claim { token, ..Claim::new(vec![id], runner) }).await.expect("claim").remove(0)
    }

    pub(super) async fn claimed(&self, id: InvocationId, runner: RunnerId) -> ClaimReply {
        self.claimed_with(id, runner, ClaimToken::new()).await
    }

    pub(super) async fn granted(&self, id: InvocationId, runner: RunnerId) -> Tracked {
        match self.claimed(id, runner).await {
            ClaimReply::Granted(tracked) => tracked,
            other => panic!("the claim isn't granted: {other:?}"),
        }
    }

    pub(super) async fn transitioned(&self, tracked: &Tracked, change: Change) -> TransitionReply {
        let transition = Transition { id: tracked.id, seen: tracked.record.clone(), change };
        self.transition(&[transition]).await.expect("transition").remove(0)
    }

    /// Makes a transition that must succeed. Returns the hints for invocations that were handed a slot.
    pub(super) async fn done(&self, tracked: &Tracked, change: Change) -> (Tracked, Vec<Message>) {
        match self.transitioned(tracked, change).await {
            TransitionReply::Done { record, handed } => (Tracked { record, ..tracked.clone() }, handed),
            other => panic!("the transition isn't made: {other:?}"),
        }
    }

    /// Makes a transition as the owner.
    pub(super) async fn moved(&self, tracked: &Tracked, to: Status, reason: Reason) -> Tracked {
        let owner = tracked.record.owner.expect("the invocation has an owner");
        self.done(tracked, Change::new(to, By::Owner(owner), reason)).await.0
    }

    pub(super) async fn started(&self, id: InvocationId, runner: RunnerId) -> Tracked {
        let pending = self.granted(id, runner).await;
        self.moved(&pending, Status::Running, Reason::Started).await
    }

    /// A new invocation that runs.
    pub(super) async fn running(&self, runner: RunnerId) -> Tracked {
        let fresh = self.fresh().await;
        self.started(fresh.id, runner).await
    }

    pub(super) async fn succeeded(&self, running: &Tracked) -> Tracked {
        self.moved(running, Status::Success, Reason::Returned).await
    }

    pub(super) async fn retried(&self, running: &Tracked, after: Duration) -> Tracked {
        let owner = running.record.owner.expect("the invocation has an owner");
        let change = Change::new(Status::Retry, By::Owner(owner), Reason::Raised).due(Due::In(after));
        self.done(running, change).await.0
    }

    pub(super) async fn tracked(&self, id: InvocationId) -> Option<Tracked> {
        self.records(&[id]).await.expect("records").remove(0)
    }

    pub(super) async fn status(&self, id: InvocationId) -> Status {
        self.tracked(id).await.expect("the invocation exists").record.status
    }

    pub(super) async fn blocked(&self, waiter: &Tracked, on: &[InvocationId]) -> Blocked {
        let runner = waiter.record.owner.expect("the invocation has an owner");
        let block = Block { waiter: waiter.id, seen: waiter.record.clone(), runner, on: on.to_vec() };
        self.block(&block).await.expect("block")
    }

    /// Pauses an invocation, which must succeed.
    pub(super) async fn paused(&self, waiter: &Tracked, on: &[InvocationId]) -> (Tracked, Vec<Message>) {
        match self.blocked(waiter, on).await {
            Blocked::Waiting { record, raised } => (Tracked { record, ..waiter.clone() }, raised),
            other => panic!("the waiter isn't paused: {other:?}"),
        }
    }

    pub(super) async fn history(&self, id: InvocationId) -> Vec<HistoryEntry> {
        let inspection = self.inspect(&[id]).await.expect("inspect").remove(0);
        inspection.map(|inspection| inspection.history).unwrap_or_default()
    }

    pub(super) async fn beat(&self, runner: RunnerId) -> HeartbeatReply {
        self.beat_with(runner, None).await
    }

    pub(super) async fn beat_with(&self, runner: RunnerId, introduction: Option<Introduction>) -> HeartbeatReply {
        let (lease, interval, description) = (SECOND * 15, SECOND * 5, "testkit".into());
        let heartbeat = Heartbeat { runner, lease, interval, description, introduction };
        self.heartbeat(&heartbeat).await.expect("heartbeat")
    }

    pub(super) async fn retire(&self, runner: RunnerId) {
        let reply = self.heartbeat(&Heartbeat::last(runner)).await.expect("heartbeat");
        assert_eq!(reply, HeartbeatReply::Retired);
    }

    pub(super) async fn owned(&self, runner: RunnerId) -> Vec<Tracked> {
        let find = Find { owner: Some(runner), limit: 1000, ..Find::default() };
        self.find(&find).await.expect("find").items
    }

    pub(super) async fn all(&self) -> Vec<Tracked> {
        let find = Find { limit: 1000, ..Find::default() };
        self.find(&find).await.expect("find").items
    }
}

pub(super) fn ids(tracked: &[Tracked]) -> Vec<InvocationId> {
    tracked.iter().map(|tracked| tracked.id).collect()
}

pub(super) fn hinted(messages: &[Message]) -> Vec<InvocationId> {
    messages.iter().map(|message| message.invocation).collect()
}
