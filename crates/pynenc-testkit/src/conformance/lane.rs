//! Trials of [`Lane`], over three components that fail at a chosen step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use pynenc_core::broker::{Pop, QueueState};
use pynenc_core::lane::{Called, Claimed, Found, Settlement, Submission};
use pynenc_core::orchestrator::{Block, Claim, ClaimReply, Registered, Tracked, Transition, TransitionReply};
use pynenc_core::record::Registration;
use pynenc_core::state_backend::OutcomeWrite;
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{
    Broker, InvocationId, Lane, Orchestrator, Reason, Result, RunnerId, StateBackend, Status, StatusRecord,
};
use pynenc_engine::StepLane;

use super::sample::{HOUR, limited, outcome, queue, record, registration, registration_key};
use super::trials;
use crate::failing::{FailingBroker, FailingOrchestrator, FailingStateBackend, Fails, Fuse};

type Given = LaneHarness;

trials! { pub Given:
    "a submission is stored, registered and hinted" => submission_is_complete,
    "without its record an invocation isn't registered, and without its registration it isn't hinted" => submission_stops_at_a_failure,
    "a call that another invocation takes the place of leaves no record and no hint" => collapsed_leaves_nothing,
    "a hint in a queue is found, and so is a hint that is pushed later" => waiting_is_found,
    "a granted invocation comes with its record" => granted_has_its_record,
    "a claim with a pop takes hints and grants their invocations, with their records" => popped_is_granted,
    "a call is submitted, and its caller is paused" => call_pauses,
    "a call that another invocation takes the place of pauses no caller" => collapsed_call_pauses_nobody,
    "a call by a stale caller is refused" => stale_call_is_refused,
    "a settlement stores its outcome and commits" => settlement_is_complete,
    "without its outcome a settlement doesn't commit" => settlement_stops_at_a_failure,
    "an invocation that returns to its queue is hinted" => requeued_is_hinted,
}

/// The components of a lane.
pub type Components = (Arc<dyn Broker>, Arc<dyn Orchestrator>, Arc<dyn StateBackend>);

/// Makes a lane over its components.
pub type MakeLane =
    Arc<dyn Fn(Arc<dyn Broker>, Arc<dyn Orchestrator>, Arc<dyn StateBackend>) -> Arc<dyn Lane> + Send + Sync>;

/// Makes the lane that the components' store offers, or the engine's: components that fail on purpose hide their store.
pub fn over_store(
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
) -> Arc<dyn Lane> {
    let lane = orchestrator.lane(&broker, &state);
    lane.unwrap_or_else(|| Arc::new(StepLane::new(broker, orchestrator, state)))
}

/// Three fresh components, with the function that makes a lane over them.
#[derive(Clone)]
pub struct LaneHarness {
    broker: Arc<dyn Broker>,
    orchestrator: Arc<dyn Orchestrator>,
    state: Arc<dyn StateBackend>,
    make: MakeLane,
}

impl fmt::Debug for LaneHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, orchestrator, state, .. } = self;
        f.debug_tuple("LaneHarness").field(broker).field(orchestrator).field(state).finish_non_exhaustive()
    }
}

impl LaneHarness {
    /// A harness for lanes over components that no other trial uses.
    pub fn new((broker, orchestrator, state): Components, make: MakeLane) -> Self {
        Self { broker, orchestrator, state, make }
    }
}

/// Runs the suite on lanes over fresh components for each trial.
pub fn check(components: impl AsyncFn() -> Components, make: &MakeLane) {
    super::run(&trials(), async || LaneHarness::new(components().await, make.clone()));
}

/// Defines a test that runs the suite.
///
/// Takes an async closure that makes a broker, an orchestrator and a state backend, each as an `Arc<dyn _>`, and a closure
/// that makes an `Arc<dyn Lane>` over three such components. Without the second closure, the lane is that of
/// [`over_store`].
#[macro_export]
macro_rules! lane_conformance {
    ($components:expr) => {
        $crate::lane_conformance!($components, $crate::conformance::lane::over_store);
    };
    ($components:expr, $lane:expr) => {
        #[test]
        fn lane_conformance() {
            let lane: $crate::conformance::lane::MakeLane = ::std::sync::Arc::new($lane);
            $crate::conformance::lane::check($components, &lane);
        }
    };
}

/// A component whose call can be made to fail.
#[derive(Debug, Clone, Copy)]
enum Step {
    Broker,
    Orchestrator,
    State,
}

impl Given {
    fn lane(&self) -> Arc<dyn Lane> {
        (self.make)(self.broker.clone(), self.orchestrator.clone(), self.state.clone())
    }

    /// A lane whose first call to a component fails.
    fn failing(&self, step: Step, fuse: &Fuse) -> Arc<dyn Lane> {
        let Self { mut broker, mut orchestrator, mut state, make } = self.clone();
        match step {
            Step::Broker => broker = Arc::new(FailingBroker::new(broker, fuse.clone())),
            Step::Orchestrator => orchestrator = Arc::new(FailingOrchestrator::new(orchestrator, fuse.clone())),
            Step::State => state = Arc::new(FailingStateBackend::new(state, fuse.clone())),
        }
        make(broker, orchestrator, state)
    }

    async fn tracked(&self, id: InvocationId) -> Option<Tracked> {
        self.orchestrator.records(&[id]).await.expect("records").remove(0)
    }

    async fn is_stored(&self, id: InvocationId) -> bool {
        self.state.invocations(&[id]).await.expect("invocations")[0].is_some()
    }

    async fn hints(&self) -> u64 {
        let QueueState { ready, delayed, .. } = self.broker.queue(&queue(), None).await.expect("queue");
        ready + delayed
    }

    async fn running(&self, registration: &Registration) -> Tracked {
        self.lane().submit(vec![submission(registration)]).await.expect("submit");
        self.broker.purge().await.expect("purge");
        let claim = Claim::new(vec![registration.id], RunnerId::new());
        self.orchestrator.claim(&claim).await.expect("claim");
        let pending = self.tracked(registration.id).await.expect("the invocation is registered");
        let start = transition(&pending, Status::Running, Reason::Started);
        self.orchestrator.transition(&[start]).await.expect("transition");
        self.tracked(registration.id).await.expect("the invocation is registered")
    }
}

fn submission(registration: &Registration) -> Submission {
    Submission { record: Arc::new(record(registration)), registration: registration.clone() }
}

fn transition(tracked: &Tracked, to: Status, reason: Reason) -> Transition {
    let owner = tracked.record.owner.expect("the invocation has an owner");
    let change = Change::new(to, By::Owner(owner), reason);
    Transition { id: tracked.id, seen: tracked.record.clone(), change }
}

fn settlement(running: &Tracked) -> Settlement {
    let write = OutcomeWrite { id: running.id, epoch: running.record.epoch, outcome: outcome("value") };
    let transition = transition(running, Status::Success, Reason::Returned);
    Settlement { outcome: Some(write), transition, requeue: None }
}

/// Whether a batch of one item failed, as a whole or in its item.
fn failed<T>(answer: Result<Vec<Result<T>>>) -> bool {
    answer.is_err() || answer.is_ok_and(|items| items.iter().all(Result::is_err))
}

async fn submission_is_complete(given: Given) {
    let registrations = [registration(), registration()];
    let answers = given.lane().submit(registrations.iter().map(submission).collect()).await.expect("submit");
    for (registration, answer) in registrations.iter().zip(answers) {
        let Registered::New(tracked) = answer.expect("an item is submitted") else { panic!("the call is new") };
        assert_eq!(given.tracked(registration.id).await, Some(tracked));
        assert!(given.is_stored(registration.id).await);
    }
    assert_eq!(given.hints().await, 2);
}

async fn submission_stops_at_a_failure(given: Given) {
    for fails in [Fails::Before, Fails::After] {
        let (unstored, unregistered, unhinted) = (registration(), registration(), registration());
        let fuse = Fuse::new(1, fails);
        assert!(failed(given.failing(Step::State, &fuse).submit(vec![submission(&unstored)]).await));
        assert!(fuse.is_blown());
        assert_eq!(given.tracked(unstored.id).await, None, "{fails:?}");
        let fuse = Fuse::new(1, fails);
        assert!(failed(given.failing(Step::Orchestrator, &fuse).submit(vec![submission(&unregistered)]).await));
        assert!(fuse.is_blown());
        assert_eq!(given.hints().await, 0, "{fails:?}");
        // A lane may report a lost hint as an error or not. The registration stays.
        drop(given.failing(Step::Broker, &Fuse::new(1, fails)).submit(vec![submission(&unhinted)]).await);
        assert!(given.tracked(unhinted.id).await.is_some() && given.is_stored(unhinted.id).await);
        given.broker.purge().await.expect("purge");
    }
}

async fn collapsed_leaves_nothing(given: Given) {
    let keyed = || Registration { registration: Some(registration_key("key", "1")), ..registration() };
    let (first, second, third) = (keyed(), keyed(), keyed());
    given.lane().submit(vec![submission(&first), submission(&second)]).await.expect("submit");
    let answers = given.lane().submit(vec![submission(&third)]).await.expect("submit");
    let existing = Registered::Existing { id: first.id, same_arguments: true };
    assert_eq!(*answers[0].as_ref().expect("an item is submitted"), existing);
    for registration in [second, third] {
        assert!(!given.is_stored(registration.id).await);
        assert_eq!(given.tracked(registration.id).await, None);
    }
    assert!(given.is_stored(first.id).await);
    assert_eq!(given.hints().await, 1);
    let answers = given.lane().submit(vec![submission(&first)]).await.expect("submit again");
    assert!(matches!(answers[0], Ok(Registered::New(_))), "a repeat");
    assert!(given.is_stored(first.id).await, "a repeat keeps the record");
}

async fn granted_has_its_record(given: Given) {
    let (good, recordless) = (registration(), registration());
    given.lane().submit(vec![submission(&good)]).await.expect("submit");
    given.orchestrator.register(std::slice::from_ref(&recordless)).await.expect("register");
    let ids = vec![InvocationId::new(), good.id, recordless.id];
    let claim = Claim::new(ids.clone(), RunnerId::new());
    let claimed = given.lane().claim(&claim, None).await.expect("claim");
    assert_eq!(claimed.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), ids);
    let granted = claimed.iter().map(|claimed| matches!(claimed.reply, ClaimReply::Granted(_)));
    assert_eq!(granted.collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(claimed[1].record.as_deref(), Some(&record(&good)));
    assert!(claimed[0].record.is_none() && claimed[2].record.is_none());
}

fn pop(max: usize) -> Pop {
    Pop { queues: vec![queue()], max, wait: Duration::from_secs(60) }
}

impl Given {
    /// Finds and claims invocations.
    async fn picked_up(lane: &Arc<dyn Lane>) -> Vec<Claimed> {
        loop {
            let claim = Claim::new(Vec::new(), RunnerId::new());
            let claimed = match lane.find(&pop(10)).await.expect("find") {
                Found::Hints(ids) => lane.claim(&Claim { ids, ..claim }, None).await.expect("claim"),
                Found::Waiting => lane.claim(&claim, Some(&pop(10))).await.expect("claim"),
            };
            if !claimed.is_empty() {
                return claimed;
            }
        }
    }
}

async fn waiting_is_found(given: Given) {
    let lane = given.lane();
    let (first, second) = (registration(), registration());
    lane.submit(vec![submission(&first)]).await.expect("submit");
    assert_eq!(Given::picked_up(&lane).await[0].id, first.id);
    let (picked_up, submitted) = tokio::join!(Given::picked_up(&lane), lane.submit(vec![submission(&second)]));
    submitted.expect("submit");
    assert_eq!(picked_up[0].id, second.id);
}

async fn popped_is_granted(given: Given) {
    let lane = given.lane();
    let claim = Claim::new(Vec::new(), RunnerId::new()).running_below(1);
    assert!(lane.claim(&claim, Some(&pop(10))).await.expect("claim").is_empty());
    let registrations = [registration(), registration(), registration()];
    lane.submit(registrations.iter().map(submission).collect()).await.expect("submit");
    let mut claimed = lane.claim(&claim, Some(&pop(2))).await.expect("claim");
    let other = Claim::new(Vec::new(), RunnerId::new()).running_below(1);
    claimed.extend(lane.claim(&other, Some(&pop(2))).await.expect("claim"));
    assert_eq!(given.hints().await, 0);
    for (claimed, registration) in claimed.iter().zip(&registrations) {
        assert_eq!((claimed.id, claimed.record.as_deref()), (registration.id, Some(&record(registration))));
        let granted = given.tracked(registration.id).await.expect("the invocation is registered");
        assert_eq!((granted.record.status, &claimed.reply), (Status::Running, &ClaimReply::Granted(granted.clone())));
    }
    assert_eq!(claimed.len(), 3);
    assert_eq!(given.tracked(claimed[2].id).await.and_then(|it| it.record.owner), Some(other.runner));
}

fn waiter(running: &Tracked) -> Block {
    let runner = running.record.owner.expect("the invocation has an owner");
    Block { waiter: running.id, seen: running.record.clone(), runner, on: Vec::new() }
}

async fn call_pauses(given: Given) {
    let lane = given.lane();
    for wants_claim in [false, true] {
        let (caller, call) = (given.running(&registration()).await, registration());
        let block = waiter(&caller);
        let claim = wants_claim.then(|| Claim::new(Vec::new(), block.runner).running_below(1));
        let answer = lane.call(submission(&call), &block, claim.as_ref()).await.expect("call");
        let Called::Waiting { child, waiter, claimed, end } = answer else {
            panic!("the caller isn't paused: {answer:?}")
        };
        assert_eq!((child.id, waiter.status), (call.id, Status::Paused));
        assert_eq!(given.tracked(caller.id).await.map(|caller| caller.record), Some(waiter));
        assert!(given.is_stored(call.id).await);
        let claimed = if let Some(claimed) = claimed {
            assert_eq!((given.hints().await, wants_claim), (0, true), "a claimed call needs no hint");
            claimed
        } else {
            assert_eq!(given.hints().await, 1);
            let claim = Claim::new(Vec::new(), RunnerId::new()).running_below(1);
            lane.claim(&claim, Some(&pop(1))).await.expect("claim");
            given.tracked(call.id).await.expect("the invocation is registered")
        };
        lane.settle(vec![settlement(&claimed)]).await.expect("settle");
        if let Some(mut end) = end {
            let (id, record) = end.next().await.expect("the completion is reported");
            assert_eq!((id, record.map(|record| record.status)), (call.id, Some(Status::Success)));
        }
    }
}

async fn collapsed_call_pauses_nobody(given: Given) {
    let keyed = || Registration { registration: Some(registration_key("key", "1")), ..registration() };
    let (caller, first, second) = (given.running(&registration()).await, keyed(), keyed());
    given.lane().submit(vec![submission(&first)]).await.expect("submit");
    let answer = given.lane().call(submission(&second), &waiter(&caller), None).await.expect("call");
    let existing = Registered::Existing { id: first.id, same_arguments: true };
    assert!(matches!(answer, Called::Registered(registered) if registered == existing));
    assert_eq!(given.tracked(caller.id).await, Some(caller));
}

async fn stale_call_is_refused(given: Given) {
    let caller = given.running(&registration()).await;
    let seen = StatusRecord { version: 1, epoch: 0, ..caller.record.clone() };
    let block = Block { seen, ..waiter(&caller) };
    let answer = given.lane().call(submission(&registration()), &block, None).await.expect("call");
    assert!(matches!(answer, Called::Refused(_)));
    assert_eq!(given.tracked(caller.id).await, Some(caller));
}

async fn settlement_is_complete(given: Given) {
    let running = given.running(&limited(1)).await;
    let parked = limited(1);
    given.lane().submit(vec![submission(&parked)]).await.expect("submit");
    let claim = Claim::new(vec![parked.id], RunnerId::new());
    given.lane().claim(&claim, None).await.expect("claim");
    given.broker.purge().await.expect("purge");
    let answers = given.lane().settle(vec![settlement(&running)]).await.expect("settle");
    assert!(matches!(answers[0], Ok(TransitionReply::Done { .. })));
    assert_eq!(given.tracked(running.id).await.map(|tracked| tracked.record.status), Some(Status::Success));
    let left = given.state.outcome(running.id, running.record.epoch).await.expect("outcome");
    assert_eq!(left, Some(outcome("value")));
    assert_eq!(given.hints().await, 1, "the invocation that was handed the slot is hinted");
    let answers = given.lane().settle(vec![settlement(&running)]).await.expect("settle again");
    assert!(matches!(answers[0], Ok(TransitionReply::AlreadyMine(_))));
}

async fn settlement_stops_at_a_failure(given: Given) {
    for fails in [Fails::Before, Fails::After] {
        let (running, fuse) = (given.running(&registration()).await, Fuse::new(1, fails));
        assert!(failed(given.failing(Step::State, &fuse).settle(vec![settlement(&running)]).await));
        assert!(fuse.is_blown());
        assert_eq!(given.tracked(running.id).await, Some(running.clone()), "{fails:?}");
        let answers = given.lane().settle(vec![settlement(&running)]).await.expect("settle again");
        assert!(matches!(answers[0], Ok(TransitionReply::Done { .. })));
    }
}

async fn requeued_is_hinted(given: Given) {
    let (rerouted, retried) = (given.running(&registration()).await, given.running(&registration()).await);
    let cancelled = given.running(&registration()).await;
    given.orchestrator.cancel(&[cancelled.id]).await.expect("cancel");
    let back = |running: &Tracked| {
        let requeue = Some(running.message());
        Settlement { outcome: None, transition: transition(running, Status::Rerouted, Reason::Shutdown), requeue }
    };
    let mut retry = back(&retried);
    let owner = retried.record.owner.expect("the invocation has an owner");
    retry.transition.change = Change::new(Status::Retry, By::Owner(owner), Reason::Raised).due(Due::In(HOUR));
    given.lane().settle(vec![back(&rerouted), retry, back(&cancelled)]).await.expect("settle");
    let QueueState { ready, delayed, .. } = given.broker.queue(&queue(), None).await.expect("queue");
    assert_eq!((ready, delayed), (1, 1), "one is ready, one is delayed, and the cancelled one has no hint");
}
