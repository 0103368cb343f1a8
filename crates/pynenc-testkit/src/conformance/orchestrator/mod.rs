//! The trials of [`Orchestrator`].

mod cancelling;
mod claiming;
mod ending;
mod listing;
mod registering;
mod running;
mod transitions;
mod waiting;
mod walk;

use std::time::Duration;

use pynenc_core::broker::Message;
use pynenc_core::orchestrator::{
    Block, Blocked, Claim, ClaimReply, Find, Heartbeat, HeartbeatReply, Registered, Tracked, Transition,
    TransitionReply,
};
use pynenc_core::record::Registration;
use pynenc_core::status::{By, Change, Due, Expect};
use pynenc_core::{ClaimToken, InvocationId, Orchestrator, Reason, RunnerId, Status};

use super::sample::{SECOND, registration};
use super::{Harness, Trial, suite};

pub(crate) type Given = Harness<dyn Orchestrator>;

suite!($ Orchestrator, orchestrator, orchestrator_conformance);

/// The trials, in the order of the trait's documentation.
pub fn trials() -> Vec<Trial<Given>> {
    let groups = [
        registering::trials(),
        claiming::trials(),
        transitions::trials(),
        cancelling::trials(),
        listing::trials(),
        waiting::trials(),
        running::trials(),
        ending::trials(),
    ];
    groups.into_iter().flatten().collect()
}

/// The steps that most trials take.
impl Given {
    async fn registered(&self, registration: &Registration) -> Registered {
        self.register(std::slice::from_ref(registration)).await.expect("register").remove(0)
    }

    async fn accepted(&self, registration: &Registration) -> Tracked {
        match self.registered(registration).await {
            Registered::New(tracked) => tracked,
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// A new invocation without keys.
    async fn fresh(&self) -> Tracked {
        self.accepted(&registration()).await
    }

    async fn claimed_with(&self, id: InvocationId, runner: RunnerId, token: ClaimToken) -> ClaimReply {
        self.claim(&Claim { token, ..Claim::new(vec![id], runner) }).await.expect("claim").remove(0)
    }

    async fn claimed(&self, id: InvocationId, runner: RunnerId) -> ClaimReply {
        self.claimed_with(id, runner, ClaimToken::new()).await
    }

    async fn granted(&self, id: InvocationId, runner: RunnerId) -> Tracked {
        match self.claimed(id, runner).await {
            ClaimReply::Granted(tracked) => tracked,
            other => panic!("not granted: {other:?}"),
        }
    }

    async fn transitioned(&self, tracked: &Tracked, change: Change) -> TransitionReply {
        let transition = Transition { id: tracked.id, expect: Expect::from(&tracked.record), change };
        self.transition(&[transition]).await.expect("transition").remove(0)
    }

    /// Makes a transition that has to be made, and gives what was handed a slot.
    async fn done(&self, tracked: &Tracked, change: Change) -> (Tracked, Vec<Message>) {
        match self.transitioned(tracked, change).await {
            TransitionReply::Done { record, handed } => (Tracked { record, ..tracked.clone() }, handed),
            other => panic!("not done: {other:?}"),
        }
    }

    /// Lets the owner make a transition.
    async fn moved(&self, tracked: &Tracked, to: Status, reason: Reason) -> Tracked {
        let owner = tracked.record.owner.expect("somebody owns it");
        self.done(tracked, Change::new(to, By::Owner(owner), reason)).await.0
    }

    async fn started(&self, id: InvocationId, runner: RunnerId) -> Tracked {
        let pending = self.granted(id, runner).await;
        self.moved(&pending, Status::Running, Reason::Started).await
    }

    /// A new invocation, claimed and started.
    async fn running(&self, runner: RunnerId) -> Tracked {
        let fresh = self.fresh().await;
        self.started(fresh.id, runner).await
    }

    async fn succeeded(&self, running: &Tracked) -> Tracked {
        self.moved(running, Status::Success, Reason::Returned).await
    }

    async fn retried(&self, running: &Tracked, after: Duration) -> Tracked {
        let owner = running.record.owner.expect("somebody owns it");
        let change = Change::new(Status::Retry, By::Owner(owner), Reason::Raised).due(Due::In(after));
        self.done(running, change).await.0
    }

    async fn tracked(&self, id: InvocationId) -> Option<Tracked> {
        self.records(&[id]).await.expect("records").remove(0)
    }

    async fn status(&self, id: InvocationId) -> Status {
        self.tracked(id).await.expect("it is known").record.status
    }

    async fn blocked(&self, waiter: &Tracked, on: &[InvocationId]) -> Blocked {
        let runner = waiter.record.owner.expect("somebody owns it");
        let block = Block { waiter: waiter.id, expect: Expect::from(&waiter.record), runner, on: on.to_vec() };
        self.block(&block).await.expect("block")
    }

    /// Lets a body wait, which it has to be able to.
    async fn paused(&self, waiter: &Tracked, on: &[InvocationId]) -> (Tracked, Vec<Message>) {
        match self.blocked(waiter, on).await {
            Blocked::Waiting { record, raised } => (Tracked { record, ..waiter.clone() }, raised),
            other => panic!("doesn't wait: {other:?}"),
        }
    }

    async fn beat(&self, runner: RunnerId) -> HeartbeatReply {
        let description = "testkit".into();
        let heartbeat = Heartbeat { runner, lease: SECOND * 15, interval: SECOND * 5, description };
        self.heartbeat(&heartbeat).await.expect("heartbeat")
    }

    async fn all(&self) -> Vec<Tracked> {
        let find = Find { limit: 1000, ..Find::default() };
        self.find(&find).await.expect("find").items
    }
}

fn ids(tracked: &[Tracked]) -> Vec<InvocationId> {
    tracked.iter().map(|tracked| tracked.id).collect()
}

fn hinted(messages: &[Message]) -> Vec<InvocationId> {
    messages.iter().map(|message| message.invocation).collect()
}
