//! Trials of `claim`.

use std::collections::VecDeque;

use pynenc_core::orchestrator::{Claim, ClaimReply, Tracked};
use pynenc_core::record::{Registration, WhenBlocked};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{ClaimToken, ErrorKind, InvocationId, Reason, RunnerId, Status};

use super::super::sample::{SECOND, limited, registration, running_key};
use super::super::trials;
use super::given::{Given, hinted};

trials! { pub(super) Given:
    "a waiting invocation is granted once, and its epoch and deliveries grow" => waiting_is_granted_once,
    "a candidate with fewer losses than the claim's limit runs at once, with both lines of history" => few_losses_run_at_once,
    "the same token gets the same reply again" => same_token_same_reply,
    "another token gets `Gone`, and so does another runner" => others_get_gone,
    "an invocation that isn't due is `Gone`, and so is an unknown or finished one" => not_due_is_gone,
    "of many claims at once exactly one is granted" => one_of_many_is_granted,
    "a claim takes a slot of the running key in the same step, and the limit of the key holds" => limit_holds,
    "freed slots go to parked invocations in the order in which they were parked, and no claim overtakes them" => parking_order_is_kept,
    "without a free slot an invocation is parked, or finished if its task says so and it never ran" => without_slot_it_is_parked,
    "a claim that would park an invocation in a wait cycle fails it, with the cycle in the detail" => deadlocks_fail,
    "an invocation of a task that the claim leaves out is `LeftOut` and unchanged" => left_out_stays,
    "a retired runner's claim is an error of kind `Retired`, and nothing is granted" => retired_gets_nothing,
}

async fn waiting_is_granted_once(orchestrator: Given) {
    let (fresh, runner) = (orchestrator.fresh().await, RunnerId::new());
    let granted = orchestrator.granted(fresh.id, runner).await;
    assert_eq!((granted.record.status, granted.record.owner), (Status::Pending, Some(runner)));
    assert!(granted.record.epoch > fresh.record.epoch);
    assert_eq!(granted.record.deliveries, 1);
    let back = orchestrator.moved(&granted, Status::Rerouted, Reason::Shutdown).await;
    let again = orchestrator.granted(fresh.id, runner).await;
    assert!(again.record.epoch > back.record.epoch);
    assert_eq!(again.record.deliveries, 2);
}

async fn few_losses_run_at_once(orchestrator: Given) {
    let (fresh, runner) = (orchestrator.fresh().await, RunnerId::new());
    let claim = Claim::new(vec![fresh.id], runner).running_below(1);
    let replies = orchestrator.claim(&claim).await.expect("claim");
    let [ClaimReply::Granted(granted)] = &replies[..] else { panic!("the claim isn't granted: {replies:?}") };
    assert_eq!((granted.record.status, granted.record.starts, granted.record.version), (Status::Running, 1, 3));
    assert_eq!(orchestrator.claim(&claim).await.expect("claim again"), replies);
    let entries = orchestrator.history(fresh.id).await;
    let lines: Vec<_> = entries.iter().map(|entry| (entry.status, entry.reason, entry.runner)).collect();
    assert_eq!(
        lines[1..],
        [(Status::Pending, Reason::Claimed, Some(runner)), (Status::Running, Reason::Started, Some(runner))]
    );
    let lost = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
    assert_eq!(orchestrator.done(granted, lost).await.0.record.losses, 1);
    let again = Claim::new(vec![fresh.id], RunnerId::new()).running_below(1);
    let replies = orchestrator.claim(&again).await.expect("claim");
    assert!(matches!(&replies[..], [ClaimReply::Granted(it)] if it.record.status == Status::Pending), "{replies:?}");
}

async fn same_token_same_reply(orchestrator: Given) {
    let (holder, parked) = (orchestrator.accepted(&limited(1)).await, orchestrator.accepted(&limited(1)).await);
    let claim = Claim::new(vec![holder.id, parked.id], RunnerId::new());
    let first = orchestrator.claim(&claim).await.expect("claim");
    assert!(matches!(first[..], [ClaimReply::Granted(_), ClaimReply::Busy]));
    assert_eq!(orchestrator.claim(&claim).await.expect("claim"), first);
    assert_eq!(orchestrator.history(holder.id).await.len(), 2);
    let granted = orchestrator.tracked(holder.id).await.expect("the invocation exists");
    orchestrator.moved(&granted, Status::Rerouted, Reason::Shutdown).await;
    let late = orchestrator.claimed_with(holder.id, claim.runner, claim.token).await;
    assert_eq!(late, ClaimReply::Gone, "a repeat doesn't claim again");
}

async fn others_get_gone(orchestrator: Given) {
    let (id, runner) = (orchestrator.fresh().await.id, RunnerId::new());
    let token = ClaimToken::new();
    assert!(matches!(orchestrator.claimed_with(id, runner, token).await, ClaimReply::Granted(_)));
    assert_eq!(orchestrator.claimed_with(id, runner, ClaimToken::new()).await, ClaimReply::Gone);
    assert_eq!(orchestrator.claimed_with(id, RunnerId::new(), ClaimToken::new()).await, ClaimReply::Gone);
    assert_eq!(orchestrator.claimed_with(id, RunnerId::new(), token).await, ClaimReply::Gone);
}

async fn not_due_is_gone(orchestrator: Given) {
    let runner = RunnerId::new();
    let due = Registration { due: Some(Due::In(SECOND * 2)), ..registration() };
    let due = orchestrator.accepted(&due).await;
    orchestrator.advance(SECOND).await;
    assert_eq!(orchestrator.claimed(due.id, runner).await, ClaimReply::Gone);
    orchestrator.advance(SECOND).await;
    let running = orchestrator.started(due.id, runner).await;
    assert_eq!(orchestrator.claimed(InvocationId::new(), runner).await, ClaimReply::Gone);
    orchestrator.moved(&running, Status::Scheduled, Reason::Suspended).await;
    assert_eq!(orchestrator.claimed(due.id, runner).await, ClaimReply::Gone, "it is suspended until its event arrives");
    let done = orchestrator.running(runner).await;
    orchestrator.succeeded(&done).await;
    assert_eq!(orchestrator.claimed(done.id, runner).await, ClaimReply::Gone);
}

/// Claims the same invocations by many runners at once, in different orders. Counts the grants of each invocation.
async fn raced(orchestrator: &Given, ids: &[InvocationId]) -> Vec<usize> {
    let claims = (0..16).map(|shift| {
        let (orchestrator, mut ids) = (orchestrator.clone(), ids.to_vec());
        let count = ids.len();
        ids.rotate_left(shift % count);
        let claim = Claim::new(ids, RunnerId::new());
        tokio::spawn(async move {
            let replies = orchestrator.claim(&claim).await.expect("claim");
            claim.ids.into_iter().zip(replies).collect::<Vec<_>>()
        })
    });
    let mut granted = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        let replies = claim.await.expect("a claim doesn't panic");
        granted.extend(replies.into_iter().filter(|(_, reply)| matches!(reply, ClaimReply::Granted(_))));
    }
    ids.iter().map(|id| granted.iter().filter(|(granted, _)| granted == id).count()).collect()
}

async fn one_of_many_is_granted(orchestrator: Given) {
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(orchestrator.fresh().await.id);
    }
    assert_eq!(raced(&orchestrator, &ids).await, [1; 20]);
}

async fn limit_holds(orchestrator: Given) {
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(orchestrator.accepted(&limited(3)).await.id);
    }
    assert_eq!(raced(&orchestrator, &ids).await.iter().sum::<usize>(), 3);
    let counts = orchestrator.count().await.expect("count").statuses;
    assert_eq!((counts[&Status::Pending], counts[&Status::ConcurrencyControlled]), (3, 7));
}

/// The first parked invocations have a smaller limit than the later ones, so a slot is free that they can't take yet.
async fn parking_order_is_kept(orchestrator: Given) {
    let mut holders = Vec::new();
    for _ in 0..2 {
        let holder = orchestrator.accepted(&limited(2)).await;
        holders.push(orchestrator.started(holder.id, RunnerId::new()).await);
    }
    let mut parked_order = Vec::new();
    for limit in [1, 1, 2, 2] {
        let parked = orchestrator.accepted(&limited(limit)).await;
        assert_eq!(orchestrator.claimed(parked.id, RunnerId::new()).await, ClaimReply::Busy);
        parked_order.push(parked.id);
    }
    let success = |of: &Tracked| {
        Change::new(Status::Success, By::Owner(of.record.owner.expect("the invocation has an owner")), Reason::Returned)
    };
    assert_eq!(
        hinted(&orchestrator.done(&holders[0], success(&holders[0])).await.1),
        [],
        "the first parked one has the limit 1"
    );
    let newcomer = orchestrator.accepted(&limited(2)).await;
    assert_eq!(
        orchestrator.claimed(newcomer.id, RunnerId::new()).await,
        ClaimReply::Busy,
        "a free slot isn't for a newcomer"
    );
    parked_order.push(newcomer.id);
    let mut handed = VecDeque::from(hinted(&orchestrator.done(&holders[1], success(&holders[1])).await.1));
    let mut order = Vec::new();
    while let Some(id) = handed.pop_front() {
        order.push(id);
        let next = orchestrator.started(id, RunnerId::new()).await;
        handed.extend(hinted(&orchestrator.done(&next, success(&next)).await.1));
    }
    assert_eq!(order, parked_order);
}

async fn without_slot_it_is_parked(orchestrator: Given) {
    orchestrator.occupied().await;
    let parked = orchestrator.accepted(&limited(1)).await;
    assert_eq!(orchestrator.claimed(parked.id, RunnerId::new()).await, ClaimReply::Busy);
    let parked = orchestrator.tracked(parked.id).await.expect("the invocation exists").record;
    assert_eq!((parked.status, parked.reason), (Status::ConcurrencyControlled, Reason::SlotTaken));
    let ends = Registration { running: Some(running_key(1, WhenBlocked::Drop)), ..limited(1) };
    let ended = orchestrator.accepted(&ends).await;
    assert_eq!(orchestrator.claimed(ended.id, RunnerId::new()).await, ClaimReply::Busy);
    let ended = orchestrator.tracked(ended.id).await.expect("the invocation exists").record;
    assert_eq!((ended.status, ended.reason), (Status::ConcurrencyControlledFinal, Reason::SlotTaken));
}

async fn deadlocks_fail(orchestrator: Given) {
    let holder = orchestrator.accepted(&limited(1)).await;
    let holder = orchestrator.started(holder.id, RunnerId::new()).await;
    let middle = orchestrator.running(RunnerId::new()).await;
    let child = orchestrator.accepted(&limited(1)).await;
    orchestrator.paused(&holder, &[middle.id]).await;
    orchestrator.paused(&middle, &[child.id]).await;
    let reply = orchestrator.claimed(child.id, RunnerId::new()).await;
    assert!(!matches!(reply, ClaimReply::Granted(_)));
    let record = orchestrator.tracked(child.id).await.expect("the invocation exists").record;
    assert_eq!((record.status, record.reason), (Status::Failed, Reason::WaitCycle));
    let history = orchestrator.history(child.id).await;
    let cycle = [child.id, holder.id, middle.id, child.id].map(|id| id.to_string()).join(" -> ");
    assert_eq!(history.last().and_then(|line| line.detail.as_deref()), Some(cycle.as_str()));
    no_deadlock_while_a_slot_may_be_freed(&orchestrator).await;
}

async fn no_deadlock_while_a_slot_may_be_freed(orchestrator: &Given) {
    let key = running_key(2, WhenBlocked::Park);
    let two = |name: &[u8]| pynenc_core::record::RunningKey { key: pynenc_core::Digest::of(name), ..key };
    let of_two = || Registration { running: Some(two(b"two")), ..registration() };
    let waits = orchestrator.accepted(&of_two()).await;
    let waits = orchestrator.started(waits.id, RunnerId::new()).await;
    let free = orchestrator.accepted(&of_two()).await;
    orchestrator.granted(free.id, RunnerId::new()).await;
    let child = orchestrator.accepted(&of_two()).await;
    orchestrator.paused(&waits, &[child.id]).await;
    assert_eq!(orchestrator.claimed(child.id, RunnerId::new()).await, ClaimReply::Busy);
    assert_eq!(orchestrator.status(child.id).await, Status::ConcurrencyControlled);
}

async fn left_out_stays(orchestrator: Given) {
    let (one, other, runner) = (orchestrator.fresh().await, orchestrator.fresh().await, RunnerId::new());
    let claim = Claim::new(vec![one.id, InvocationId::new(), other.id], runner).running_below(1);
    let without =
        Claim { token: ClaimToken::new(), ..claim.clone() }.without(vec!["another::task".into(), one.task.clone()]);
    let left_out = [ClaimReply::LeftOut(one.clone()), ClaimReply::Gone, ClaimReply::LeftOut(other.clone())];
    assert_eq!(orchestrator.claim(&without).await.expect("claim"), left_out);
    assert_eq!(orchestrator.history(one.id).await.len(), 1);
    let replies = orchestrator.claim(&claim).await.expect("claim");
    assert!(matches!(&replies[..], [ClaimReply::Granted(_), ClaimReply::Gone, ClaimReply::Granted(_)]), "{replies:?}");
    let again = Claim { token: ClaimToken::new(), ..without };
    assert_eq!(
        orchestrator.claim(&again).await.expect("claim"),
        [ClaimReply::Gone, ClaimReply::Gone, ClaimReply::Gone]
    );
}

async fn retired_gets_nothing(orchestrator: Given) {
    let (runner, id) = (RunnerId::new(), orchestrator.fresh().await.id);
    orchestrator.beat(runner).await;
    orchestrator.retire(runner).await;
    let claim = Claim::new(vec![id], runner);
    assert_eq!(orchestrator.claim(&claim).await.expect_err("retired").kind(), ErrorKind::Retired);
    assert_eq!(orchestrator.status(id).await, Status::Registered);
    orchestrator.granted(id, RunnerId::new()).await;
}
