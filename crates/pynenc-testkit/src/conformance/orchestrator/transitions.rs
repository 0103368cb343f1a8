//! The trials of `transition`.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{ClaimReply, Ended, OutboxInterest, Tracked, Transition, TransitionReply};
use pynenc_core::record::{Registration, WhenBlocked};
use pynenc_core::status::{Actors, By, Change, Due, EDGES, Edge, Expect, Refusal, advance};
use pynenc_core::{Reason, RunnerId, Status, StatusRecord};

use super::super::sample::{HOUR, SECOND, limited, running_key, task};
use super::super::trials;
use super::{Given, hinted};

trials! { pub(super) Given:
    "every legal edge is taken, with a line of history" => legal_edges_are_taken,
    "every illegal edge is refused and changes nothing" => illegal_edges_are_refused,
    "a stale version or epoch is refused" => stale_is_refused,
    "a repeat answers `AlreadyMine` and changes nothing" => repeats_are_known,
    "one refused item doesn't keep the others of its batch" => items_are_apart,
    "losses of runners don't count any more once the body has put itself aside" => losses_are_forgiven,
    "a slot is freed on every way out of pending, running and paused, and handed to the parked head in the same step" => slots_are_handed_on,
    "a final transition wakes whoever watches" => ends_wake_watchers,
    "a final transition of a wanted task and status writes one outbox entry for each who wants it" => ends_are_written_down,
}

/// The statuses that a claim decides on: a transition into one of them by a claimer would pass the slots by.
const CLAIMS: [Status; 3] = [Status::Pending, Status::ConcurrencyControlled, Status::ConcurrencyControlledFinal];

fn change(to: Status, by: By) -> Change {
    let due = (to == Status::Retry).then_some(Due::In(SECOND));
    Change { to, by, due, reason: Reason::Raised, detail: Some("why".into()) }
}

fn actors_of(tracked: &Tracked) -> [By; 3] {
    let runner = tracked.record.owner.unwrap_or_else(RunnerId::new);
    [By::Owner(runner), By::Claimer(runner), By::System]
}

async fn losses_are_forgiven(orchestrator: Given) {
    let running = orchestrator.running(RunnerId::new()).await;
    let (lost, _) = orchestrator.done(&running, Change::new(Status::Rerouted, By::System, Reason::OwnerLost)).await;
    assert_eq!(lost.record.losses, 1);
    let running = orchestrator.started(lost.id, RunnerId::new()).await;
    let aside = orchestrator.moved(&running, Status::Scheduled, Reason::PutAside).await;
    assert_eq!(aside.record.losses, 0);
}

async fn legal_edges_are_taken(given: Given) {
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
    let ends = edge.to == Status::ConcurrencyControlledFinal;
    let when_blocked = if ends { WhenBlocked::End } else { WhenBlocked::Park };
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

/// A store's clock may move between two of its answers.
fn assert_same_but_for_time(found: &StatusRecord, expected: &StatusRecord) {
    let due = found.due.and(expected.due);
    assert_eq!(found.due.is_some(), expected.due.is_some());
    let timeless = |record: &StatusRecord| StatusRecord { at: expected.at, due, ..record.clone() };
    assert_eq!(timeless(found), timeless(expected));
}

async fn assert_last_line(orchestrator: &Given, before: &Tracked, edge: &Edge) {
    let history = orchestrator.history(before.id).await.expect("history");
    let record = orchestrator.tracked(before.id).await.expect("it is known").record;
    let line = history.last().expect("a history has a line");
    assert_eq!(history.len() as u64, before.record.version + 1, "{edge:?}");
    let (status, version, epoch, at) = (record.status, record.version, record.epoch, record.at);
    assert_eq!((line.status, line.version, line.epoch, line.at), (status, version, epoch, at), "{edge:?}");
    assert_eq!((line.status, line.reason), (edge.to, record.reason), "{edge:?}");
}

async fn illegal_edges_are_refused(orchestrator: Given) {
    for &from in Status::ALL {
        let before = orchestrator.reached(from).await;
        let before = orchestrator.tracked(before.id).await.expect("it is known");
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
    let history = orchestrator.history(before.id).await.expect("history");
    let reply = orchestrator.transitioned(before, change).await;
    assert!(matches!(reply, TransitionReply::Refused(_)), "{} to {to} by {by:?}: {reply:?}", before.record.status);
    assert_eq!(orchestrator.tracked(before.id).await.as_ref(), Some(before));
    assert_eq!(orchestrator.history(before.id).await.expect("history"), history);
}

async fn stale_is_refused(orchestrator: Given) {
    let runner = RunnerId::new();
    let running = orchestrator.running(runner).await;
    let Expect { version, epoch } = Expect::from(&running.record);
    let settle = Change::new(Status::Success, By::Owner(runner), Reason::Returned);
    let stale = [(version - 1, epoch), (version + 1, epoch), (version, epoch - 1), (version, epoch + 1)];
    for (version, epoch) in stale {
        let transition = Transition { id: running.id, expect: Expect { version, epoch }, change: settle.clone() };
        let reply = orchestrator.transition(&[transition]).await.expect("transition").remove(0);
        assert!(matches!(reply, TransitionReply::Refused(Refusal::Stale { .. })), "{reply:?}");
    }
    let lost = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
    orchestrator.done(&running, lost).await;
    orchestrator.started(running.id, runner).await;
    let reply = orchestrator.transitioned(&running, settle).await;
    assert!(
        matches!(reply, TransitionReply::Refused(Refusal::Stale { .. })),
        "the same owner, claimed anew: {reply:?}"
    );
    assert_eq!(orchestrator.status(running.id).await, Status::Running);
}

async fn repeats_are_known(orchestrator: Given) {
    let running = orchestrator.running(RunnerId::new()).await;
    let settle = Change::new(Status::Success, By::Owner(running.record.owner.expect("owned")), Reason::Returned);
    let (done, _) = orchestrator.done(&running, settle.clone()).await;
    let reply = orchestrator.transitioned(&running, settle).await;
    assert_eq!(reply, TransitionReply::AlreadyMine(done.record.clone()));
    assert_eq!(orchestrator.tracked(running.id).await, Some(done));
    assert_eq!(orchestrator.history(running.id).await.expect("history").len(), 4);
}

async fn items_are_apart(orchestrator: Given) {
    let [first, stale, last] = [orchestrator.fresh().await, orchestrator.fresh().await, orchestrator.fresh().await];
    let transition = |tracked: &Tracked, version| Transition {
        id: tracked.id,
        expect: Expect { version, epoch: 0 },
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

async fn slots_are_handed_on(orchestrator: Given) {
    for edge in EDGES.iter().filter(|edge| edge.from.is_owned() && !edge.to.is_owned()) {
        hands_on(&orchestrator, edge).await;
        orchestrator.purge().await.expect("purge");
    }
    keeps_the_reserved_slot(&orchestrator).await;
}

async fn hands_on(orchestrator: &Given, edge: &Edge) {
    let holder = orchestrator.reached(edge.from).await;
    let (first, second) = (orchestrator.accepted(&limited(1)).await, orchestrator.accepted(&limited(1)).await);
    for id in [first.id, second.id] {
        assert_eq!(orchestrator.claimed(id, RunnerId::new()).await, ClaimReply::Busy);
    }
    let by = By::Owner(holder.record.owner.expect("owned"));
    let (_, handed) = orchestrator.done(&holder, change(edge.to, by)).await;
    assert_eq!(hinted(&handed), [first.id], "{edge:?}");
    let head = orchestrator.tracked(first.id).await.expect("it is known");
    assert_eq!((head.record.status, head.record.reason), (Status::Rerouted, Reason::SlotHandedOver));
    assert_eq!(handed, [head.message()]);
    assert_eq!(handed[0].priority, head.priority.raised(1), "its slot stands idle until it is claimed");
    let newcomer = orchestrator.accepted(&limited(1)).await;
    assert_eq!(orchestrator.claimed(newcomer.id, RunnerId::new()).await, ClaimReply::Busy, "the slot is reserved");
    orchestrator.granted(first.id, RunnerId::new()).await;
    assert_eq!(orchestrator.status(second.id).await, Status::ConcurrencyControlled);
}

/// Who is handed a slot and ends before its claim hands it on.
async fn keeps_the_reserved_slot(orchestrator: &Given) {
    let holder = orchestrator.reached(Status::Running).await;
    let mut parked = Vec::new();
    for _ in 0..3 {
        let fresh = orchestrator.accepted(&limited(1)).await;
        assert_eq!(orchestrator.claimed(fresh.id, RunnerId::new()).await, ClaimReply::Busy);
        parked.push(orchestrator.tracked(fresh.id).await.expect("it is known"));
    }
    let failed = Change::new(Status::Failed, By::System, Reason::CorruptRecord);
    let (_, handed) = orchestrator.done(&parked[0], failed.clone()).await;
    assert_eq!(hinted(&handed), [], "who waits in the line has no slot to give");
    orchestrator.succeeded(&holder).await;
    let head = orchestrator.tracked(parked[1].id).await.expect("it is known");
    let (_, handed) = orchestrator.done(&head, failed).await;
    assert_eq!(hinted(&handed), [parked[2].id]);
    orchestrator.granted(parked[2].id, RunnerId::new()).await;
}

async fn ends_wake_watchers(orchestrator: Given) {
    for end in [Status::Success, Status::Failed, Status::Cancelled] {
        let body = orchestrator.running(RunnerId::new()).await;
        let ended = orchestrator.watch(&[body.id]).await.expect("watch");
        orchestrator.moved(&body, end, Reason::Raised).await;
        assert_tells(ended, end).await;
    }
    orchestrator.occupied().await;
    let ends = Registration { running: Some(running_key(1, WhenBlocked::End)), ..limited(1) };
    let ends = orchestrator.accepted(&ends).await;
    let ended = orchestrator.watch(&[ends.id]).await.expect("watch");
    assert_eq!(orchestrator.claimed(ends.id, RunnerId::new()).await, ClaimReply::Busy);
    assert_tells(ended, Status::ConcurrencyControlledFinal).await;
}

async fn assert_tells(ended: BoxStream<'static, Ended>, end: Status) {
    let told: Vec<_> = ended.map(|(_, record)| record.map(|record| record.status)).collect().await;
    assert_eq!(told, [Some(end)]);
}

async fn ends_are_written_down(orchestrator: Given) {
    let listeners: [Box<str>; 2] = ["one".into(), "other".into()];
    let statuses = vec![Status::Success];
    let interests =
        listeners.clone().map(|listener| OutboxInterest { listener, task: task(), statuses: statuses.clone() });
    orchestrator.want(&interests, HOUR).await.expect("want");
    let wanted = orchestrator.running(RunnerId::new()).await;
    let done = orchestrator.succeeded(&wanted).await;
    let settle = Change::new(Status::Success, By::Owner(wanted.record.owner.expect("owned")), Reason::Returned);
    orchestrator.transitioned(&wanted, settle).await;
    let failed = orchestrator.running(RunnerId::new()).await;
    orchestrator.moved(&failed, Status::Failed, Reason::Raised).await;
    let entries = orchestrator.outbox(&listeners, 10, HOUR).await.expect("outbox");
    let entries: Vec<_> =
        entries.into_iter().map(|entry| (entry.listener, entry.id, entry.task, entry.record)).collect();
    let expected = listeners.map(|listener| (listener, done.id, task(), done.record.clone()));
    assert_eq!(entries, expected, "one each for the wanted end, and none for its repeat");
}
