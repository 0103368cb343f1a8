//! Trials of `transition`.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{
    ClaimReply, Completion, OutboxInterest, OutboxTake, Tracked, Transition, TransitionReply,
};
use pynenc_core::record::{Registration, WhenBlocked};
use pynenc_core::status::{Actors, By, Change, Due, EDGES, Edge, Refusal, advance};
use pynenc_core::{Reason, RunnerId, Status, StatusRecord};

use super::super::sample::{HOUR, SECOND, limited, running_key, task};
use super::super::trials;
use super::given::{Given, hinted};

trials! { pub(super) Given:
    "every legal transition is made, with a line of history" => legal_transitions_are_made,
    "every illegal transition is refused and changes nothing" => illegal_transitions_are_refused,
    "a stale version or epoch is refused" => stale_is_refused,
    "a repeat answers `AlreadyMine` and changes nothing" => repeats_are_recognized,
    "a refused item doesn't stop the other items of its batch" => items_are_independent,
    "losses are reset when a task function is suspended" => losses_are_reset,
    "a slot is freed on every way out of pending, running and paused, and handed to the first parked invocation in the same step" => slots_are_handed_over,
    "a final transition notifies the watchers" => completions_notify_watchers,
    "a final transition writes one outbox entry for each listener that subscribed to it" => completions_write_outbox_entries,
}

/// The statuses that only a claim sets, because only a claim takes a slot.
const CLAIMS: [Status; 3] = [Status::Pending, Status::ConcurrencyControlled, Status::ConcurrencyControlledFinal];

fn change(to: Status, by: By) -> Change {
    let due = (to == Status::Retry).then_some(Due::In(SECOND));
    Change { to, by, due, reason: Reason::Raised, detail: Some("why".into()) }
}

fn actors_of(tracked: &Tracked) -> [By; 3] {
    let runner = tracked.record.owner.unwrap_or_else(RunnerId::new);
    [By::Owner(runner), By::Claimer(runner), By::System]
}

async fn losses_are_reset(orchestrator: Given) {
    let running = orchestrator.running(RunnerId::new()).await;
    let (lost, _) = orchestrator.done(&running, Change::new(Status::Rerouted, By::System, Reason::OwnerLost)).await;
    assert_eq!(lost.record.losses, 1);
    let running = orchestrator.started(lost.id, RunnerId::new()).await;
    let suspended = orchestrator.moved(&running, Status::Scheduled, Reason::Suspended).await;
    assert_eq!(suspended.record.losses, 0);
}

async fn legal_transitions_are_made(given: Given) {
    for edge in EDGES {
        if edge.actors == Actors::Claimer && CLAIMS.contains(&edge.to) {
            claim_edge(&given, edge).await;
        } else {
            plain_edge(&given, edge).await;
        }
        given.purge().await.expect("purge");
    }
}

async fn claim_edge(orchestrator: &Given, edge: &Edge) {
    let finishes = edge.to == Status::ConcurrencyControlledFinal;
    let when_blocked = if finishes { WhenBlocked::Drop } else { WhenBlocked::Park };
    let before = orchestrator.reached_as(edge.from, when_blocked).await;
    if edge.to != Status::Pending {
        orchestrator.occupied().await;
    }
    let was_granted = matches!(orchestrator.claimed(before.id, RunnerId::new()).await, ClaimReply::Granted(_));
    assert_eq!(was_granted, edge.to == Status::Pending, "{edge:?}");
    assert_eq!(orchestrator.status(before.id).await, edge.to, "{edge:?}");
    assert_last_line(orchestrator, &before, edge).await;
}

async fn plain_edge(orchestrator: &Given, edge: &Edge) {
    for actor in 0..3 {
        let before = orchestrator.reached(edge.from).await;
        let (change, now) = (change(edge.to, actors_of(&before)[actor]), orchestrator.now().await);
        if let Ok(expected) = advance(&before.record, &change, now) {
            let (after, _) = orchestrator.done(&before, change).await;
            assert_same_but_for_time(&after.record, &expected);
            assert_eq!(orchestrator.tracked(before.id).await.as_ref(), Some(&after));
            assert_last_line(orchestrator, &before, edge).await;
        }
        orchestrator.purge().await.expect("purge");
    }
}

/// The store's clock may advance between two replies.
fn assert_same_but_for_time(found: &StatusRecord, expected: &StatusRecord) {
    let due = found.due.and(expected.due);
    assert_eq!(found.due.is_some(), expected.due.is_some());
    let timeless = |record: &StatusRecord| StatusRecord { at: expected.at, due, ..record.clone() };
    assert_eq!(timeless(found), timeless(expected));
}

async fn assert_last_line(orchestrator: &Given, before: &Tracked, edge: &Edge) {
    let history = orchestrator.history(before.id).await;
    let record = orchestrator.tracked(before.id).await.expect("the invocation exists").record;
    let line = history.last().expect("a history has a line");
    assert_eq!(history.len() as u64, before.record.version + 1, "{edge:?}");
    let (status, version, epoch, at) = (record.status, record.version, record.epoch, record.at);
    assert_eq!((line.status, line.version, line.epoch, line.at), (status, version, epoch, at), "{edge:?}");
    assert_eq!((line.status, line.reason), (edge.to, record.reason), "{edge:?}");
}

async fn illegal_transitions_are_refused(orchestrator: Given) {
    for &from in Status::ALL {
        let before = orchestrator.reached(from).await;
        let before = orchestrator.tracked(before.id).await.expect("the invocation exists");
        for &to in Status::ALL {
            for by in actors_of(&before) {
                refuses(&orchestrator, &before, to, by).await;
            }
        }
        orchestrator.purge().await.expect("purge");
    }
}

async fn refuses(orchestrator: &Given, before: &Tracked, to: Status, by: By) {
    let change = change(to, by);
    let is_claim = matches!(by, By::Claimer(_)) && CLAIMS.contains(&to);
    if advance(&before.record, &change, orchestrator.now().await).is_ok() && !is_claim {
        return;
    }
    let history = orchestrator.history(before.id).await;
    let reply = orchestrator.transitioned(before, change).await;
    assert!(matches!(reply, TransitionReply::Refused(_)), "{} to {to} by {by:?}: {reply:?}", before.record.status);
    assert_eq!(orchestrator.tracked(before.id).await.as_ref(), Some(before));
    assert_eq!(orchestrator.history(before.id).await, history);
}

async fn stale_is_refused(orchestrator: Given) {
    let runner = RunnerId::new();
    let running = orchestrator.running(runner).await;
    let (version, epoch) = (running.record.version, running.record.epoch);
    let settle = Change::new(Status::Success, By::Owner(runner), Reason::Returned);
    let stale = [(version - 1, epoch), (version + 1, epoch), (version, epoch - 1), (version, epoch + 1)];
    for (version, epoch) in stale {
        let seen = StatusRecord { version, epoch, ..running.record.clone() };
        let transition = Transition { id: running.id, seen, change: settle.clone() };
        let reply = orchestrator.transition(&[transition]).await.expect("transition").remove(0);
        assert!(matches!(reply, TransitionReply::Refused(Refusal::Stale { .. })), "{reply:?}");
    }
    let lost = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
    orchestrator.done(&running, lost).await;
    orchestrator.started(running.id, runner).await;
    let reply = orchestrator.transitioned(&running, settle).await;
    assert!(
        matches!(reply, TransitionReply::Refused(Refusal::Stale { .. })),
        "the same owner has claimed again: {reply:?}"
    );
    assert_eq!(orchestrator.status(running.id).await, Status::Running);
}

async fn repeats_are_recognized(orchestrator: Given) {
    let running = orchestrator.running(RunnerId::new()).await;
    let settle = Change::new(
        Status::Success,
        By::Owner(running.record.owner.expect("the invocation has an owner")),
        Reason::Returned,
    );
    let (done, _) = orchestrator.done(&running, settle.clone()).await;
    let reply = orchestrator.transitioned(&running, settle).await;
    assert_eq!(reply, TransitionReply::AlreadyMine(done.record.clone()));
    assert_eq!(orchestrator.tracked(running.id).await, Some(done));
    assert_eq!(orchestrator.history(running.id).await.len(), 4);
}

async fn items_are_independent(orchestrator: Given) {
    let [first, stale, last] = [orchestrator.fresh().await, orchestrator.fresh().await, orchestrator.fresh().await];
    let transition = |tracked: &Tracked, version| Transition {
        id: tracked.id,
        seen: StatusRecord { version, ..tracked.record.clone() },
        change: Change::new(Status::Cancelled, By::System, Reason::CancelRequested),
    };
    let batch = [transition(&first, 1), transition(&stale, 9), transition(&last, 1)];
    let replies = orchestrator.transition(&batch).await.expect("transition");
    let done = replies.iter().map(|reply| matches!(reply, TransitionReply::Done { .. }));
    assert_eq!(done.collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(orchestrator.status(stale.id).await, Status::Registered);
    assert_eq!(orchestrator.status(last.id).await, Status::Cancelled);
    let missing = Transition { id: pynenc_core::InvocationId::new(), ..transition(&first, 1) };
    let reply = orchestrator.transition(&[missing]).await.expect("transition").remove(0);
    assert_eq!(reply, TransitionReply::Refused(Refusal::Missing));
}

async fn slots_are_handed_over(orchestrator: Given) {
    for edge in EDGES.iter().filter(|edge| edge.from.is_owned() && !edge.to.is_owned()) {
        hands_over(&orchestrator, edge).await;
        orchestrator.purge().await.expect("purge");
    }
    hands_over_the_reserved_slot(&orchestrator).await;
}

async fn hands_over(orchestrator: &Given, edge: &Edge) {
    let holder = orchestrator.reached(edge.from).await;
    let (first, second) = (orchestrator.accepted(&limited(1)).await, orchestrator.accepted(&limited(1)).await);
    for id in [first.id, second.id] {
        assert_eq!(orchestrator.claimed(id, RunnerId::new()).await, ClaimReply::Busy);
    }
    let by = By::Owner(holder.record.owner.expect("the invocation has an owner"));
    let (_, handed) = orchestrator.done(&holder, change(edge.to, by)).await;
    assert_eq!(hinted(&handed), [first.id], "{edge:?}");
    let head = orchestrator.tracked(first.id).await.expect("the invocation exists");
    assert_eq!((head.record.status, head.record.reason), (Status::Rerouted, Reason::SlotHandedOver));
    assert_eq!(handed, [head.message()]);
    assert_eq!(handed[0].priority, head.priority.raised(1), "the slot is idle until it is claimed");
    let newcomer = orchestrator.accepted(&limited(1)).await;
    assert_eq!(orchestrator.claimed(newcomer.id, RunnerId::new()).await, ClaimReply::Busy, "the slot is reserved");
    orchestrator.granted(first.id, RunnerId::new()).await;
    assert_eq!(orchestrator.status(second.id).await, Status::ConcurrencyControlled);
}

/// An invocation that is handed a slot and finishes before its claim hands the slot over.
async fn hands_over_the_reserved_slot(orchestrator: &Given) {
    let holder = orchestrator.reached(Status::Running).await;
    let mut parked = Vec::new();
    for _ in 0..3 {
        let fresh = orchestrator.accepted(&limited(1)).await;
        assert_eq!(orchestrator.claimed(fresh.id, RunnerId::new()).await, ClaimReply::Busy);
        parked.push(orchestrator.tracked(fresh.id).await.expect("the invocation exists"));
    }
    let failed = Change::new(Status::Failed, By::System, Reason::CorruptRecord);
    let (_, handed) = orchestrator.done(&parked[0], failed.clone()).await;
    assert_eq!(hinted(&handed), [], "a parked invocation has no slot");
    orchestrator.succeeded(&holder).await;
    let head = orchestrator.tracked(parked[1].id).await.expect("the invocation exists");
    let (_, handed) = orchestrator.done(&head, failed).await;
    assert_eq!(hinted(&handed), [parked[2].id]);
    orchestrator.granted(parked[2].id, RunnerId::new()).await;
}

async fn completions_notify_watchers(orchestrator: Given) {
    for end in [Status::Success, Status::Failed, Status::Cancelled] {
        let body = orchestrator.running(RunnerId::new()).await;
        let ended = orchestrator.watch(&[body.id]).await.expect("watch");
        orchestrator.moved(&body, end, Reason::Raised).await;
        assert_reports(ended, end).await;
    }
    orchestrator.occupied().await;
    let ends = Registration { running: Some(running_key(1, WhenBlocked::Drop)), ..limited(1) };
    let ends = orchestrator.accepted(&ends).await;
    let ended = orchestrator.watch(&[ends.id]).await.expect("watch");
    assert_eq!(orchestrator.claimed(ends.id, RunnerId::new()).await, ClaimReply::Busy);
    assert_reports(ended, Status::ConcurrencyControlledFinal).await;
}

async fn assert_reports(completions: BoxStream<'static, Completion>, end: Status) {
    let reported: Vec<_> = completions.map(|(_, record)| record.map(|record| record.status)).collect().await;
    assert_eq!(reported, [Some(end)]);
}

async fn completions_write_outbox_entries(orchestrator: Given) {
    let listeners: [Box<str>; 2] = ["one".into(), "other".into()];
    let statuses = vec![Status::Success];
    let interests =
        listeners.clone().map(|listener| OutboxInterest { listener, task: task(), statuses: statuses.clone() });
    orchestrator.subscribe(&interests, HOUR).await.expect("subscribe");
    let wanted = orchestrator.running(RunnerId::new()).await;
    let done = orchestrator.succeeded(&wanted).await;
    let settle = Change::new(
        Status::Success,
        By::Owner(wanted.record.owner.expect("the invocation has an owner")),
        Reason::Returned,
    );
    orchestrator.transitioned(&wanted, settle).await;
    let failed = orchestrator.running(RunnerId::new()).await;
    orchestrator.moved(&failed, Status::Failed, Reason::Raised).await;
    let take = OutboxTake { listeners: listeners.to_vec(), limit: 10, again_after: HOUR, ..OutboxTake::default() };
    let entries = orchestrator.take_outbox(&take).await.expect("take_outbox");
    let entries: Vec<_> =
        entries.into_iter().map(|entry| (entry.listener, entry.id, entry.task, entry.record)).collect();
    let expected = listeners.map(|listener| (listener, done.id, task(), done.record.clone()));
    assert_eq!(entries, expected, "one for each listener, and none for the repeat");
}
