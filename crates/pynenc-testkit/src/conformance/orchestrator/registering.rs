//! The trials of `register`.

use pynenc_core::orchestrator::{ClaimReply, Registered};
use pynenc_core::record::{IdempotencyKey, Registration, Retention};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{Digest, InvocationId, Reason, RunnerId, Status};

use super::super::sample::{HOUR, SECOND, limited, registration, registration_key};
use super::super::trials;
use super::Given;

trials! { pub(super) Given:
    "a new id is accepted, waiting or scheduled, with a first line of history" => new_is_accepted,
    "registering the same id again answers `New` and changes nothing" => same_id_changes_nothing,
    "while one with the registration key waits, another is answered with it, and told whether the arguments differ" => key_stands_for_one,
    "a registration key is free again once its holder is claimed or has ended" => key_is_freed,
    "one that comes back to waiting takes its registration key again if it is free, and else waits without it" => key_is_taken_again,
    "one that its body has put aside stands for no other call" => aside_stands_for_none,
    "an idempotency key gives the same invocation back, until its retention ends, even when that has ended" => name_gives_the_same,
    "an idempotency key with other arguments is a conflict" => name_with_other_arguments,
    "idempotency keys of different tasks are different" => names_are_scoped,
    "items of one batch see each other, in order" => batch_sees_itself,
}

fn keyed(key: &str, arguments: &str) -> Registration {
    Registration { registration: Some(registration_key(key, arguments)), ..registration() }
}

fn named(name: &str, arguments: &str) -> Registration {
    let idempotency = IdempotencyKey { key: name.into(), arguments: Digest::of(arguments.as_bytes()) };
    Registration { idempotency: Some(idempotency), ..registration() }
}

fn existing(id: InvocationId, same_arguments: bool) -> Registered {
    Registered::Existing { id, same_arguments }
}

impl Given {
    async fn assert_stands(&self, id: InvocationId, key: &str) {
        assert_eq!(self.registered(&keyed(key, "1")).await, existing(id, true));
    }
}

async fn new_is_accepted(orchestrator: Given) {
    let now = orchestrator.now().await;
    let waiting = orchestrator.fresh().await;
    let later = Registration { due: Some(Due::At(now + HOUR)), ..limited(1) };
    let scheduled = orchestrator.accepted(&later).await;
    assert_eq!((waiting.record.status, waiting.record.due, waiting.limited), (Status::Registered, None, false));
    assert_eq!(scheduled.record.status, Status::Scheduled);
    assert_eq!((scheduled.record.due, scheduled.limited), (Some(now + HOUR), true));
    for tracked in [waiting, scheduled] {
        assert_eq!(orchestrator.tracked(tracked.id).await.as_ref(), Some(&tracked));
        let history = orchestrator.history(tracked.id).await.expect("history");
        let lines: Vec<_> = history.iter().map(|line| (line.status, line.version, line.reason)).collect();
        assert_eq!(lines, [(tracked.record.status, 1, Reason::Submitted)]);
    }
}

async fn same_id_changes_nothing(orchestrator: Given) {
    let first = registration();
    orchestrator.accepted(&first).await;
    let running = orchestrator.started(first.id, RunnerId::new()).await;
    assert_eq!(orchestrator.registered(&first).await, Registered::New(running.clone()));
    assert_eq!(orchestrator.tracked(first.id).await, Some(running));
    let keyed = keyed("key", "1");
    orchestrator.accepted(&keyed).await;
    orchestrator.accepted(&keyed).await;
    assert_eq!(orchestrator.all().await.len(), 2);
}

async fn key_stands_for_one(orchestrator: Given) {
    let holder = orchestrator.accepted(&keyed("key", "1")).await;
    let others = [keyed("key", "1"), keyed("key", "2")];
    let answers = orchestrator.register(&others).await.expect("register");
    assert_eq!(answers, [existing(holder.id, true), existing(holder.id, false)]);
    assert_eq!(orchestrator.tracked(others[0].id).await, None, "what another stands for doesn't exist");
    orchestrator.accepted(&keyed("else", "1")).await;
}

async fn key_is_freed(orchestrator: Given) {
    let first = orchestrator.accepted(&keyed("key", "1")).await;
    orchestrator.granted(first.id, RunnerId::new()).await;
    let second = orchestrator.accepted(&keyed("key", "1")).await;
    orchestrator.cancel(&[second.id]).await.expect("cancel");
    let third = orchestrator.accepted(&keyed("key", "1")).await;
    orchestrator.assert_stands(third.id, "key").await;
}

async fn key_is_taken_again(orchestrator: Given) {
    for key in ["retry", "reroute", "parked"] {
        let back = comes_back(&orchestrator, key).await;
        orchestrator.assert_stands(back, key).await;
    }
    let first = orchestrator.accepted(&keyed("taken", "1")).await;
    let running = orchestrator.started(first.id, RunnerId::new()).await;
    let second = orchestrator.accepted(&keyed("taken", "1")).await;
    orchestrator.retried(&running, SECOND).await;
    orchestrator.assert_stands(second.id, "taken").await;
    orchestrator.cancel(&[second.id]).await.expect("cancel");
    orchestrator.accepted(&keyed("taken", "1")).await;
    sleeps_without_its_key(&orchestrator).await;
}

/// An invocation that was claimed, or tried to be, and waits again.
async fn comes_back(orchestrator: &Given, key: &str) -> InvocationId {
    let registration = Registration { running: limited(1).running, ..keyed(key, "1") };
    if key == "parked" {
        orchestrator.occupied().await;
        let parked = orchestrator.accepted(&registration).await;
        assert_eq!(orchestrator.claimed(parked.id, RunnerId::new()).await, ClaimReply::Busy);
        return parked.id;
    }
    orchestrator.accepted(&registration).await;
    let running = orchestrator.started(registration.id, RunnerId::new()).await;
    match key {
        "retry" => orchestrator.retried(&running, SECOND).await,
        _ => orchestrator.moved(&running, Status::Rerouted, Reason::Shutdown).await,
    };
    registration.id
}

async fn aside_stands_for_none(orchestrator: Given) {
    let asleep = orchestrator.accepted(&keyed("aside", "1")).await;
    let running = orchestrator.started(asleep.id, RunnerId::new()).await;
    let owner = running.record.owner.expect("it runs");
    let aside = Change::new(Status::Scheduled, By::Owner(owner), Reason::PutAside).due(Due::In(SECOND));
    orchestrator.done(&running, aside).await;
    let other = orchestrator.accepted(&keyed("aside", "1")).await;
    orchestrator.advance(SECOND).await;
    orchestrator.granted(asleep.id, RunnerId::new()).await;
    orchestrator.assert_stands(other.id, "aside").await;
}

async fn sleeps_without_its_key(orchestrator: &Given) {
    let asleep = orchestrator.accepted(&keyed("asleep", "1")).await;
    let running = orchestrator.started(asleep.id, RunnerId::new()).await;
    let asleep = orchestrator.moved(&running, Status::Scheduled, Reason::PutAside).await;
    let other = orchestrator.accepted(&keyed("asleep", "1")).await;
    orchestrator.granted(other.id, RunnerId::new()).await;
    orchestrator.done(&asleep, Change::new(Status::Rerouted, By::System, Reason::Woken)).await;
    orchestrator.assert_stands(asleep.id, "asleep").await;
}

async fn name_gives_the_same(orchestrator: Given) {
    let retention = Retention { results: HOUR, failures: HOUR };
    let first = Registration { retention, ..named("name", "1") };
    orchestrator.accepted(&first).await;
    assert_eq!(orchestrator.registered(&named("name", "1")).await, existing(first.id, true));
    let running = orchestrator.started(first.id, RunnerId::new()).await;
    assert_eq!(orchestrator.registered(&named("name", "1")).await, existing(first.id, true));
    orchestrator.succeeded(&running).await;
    assert_eq!(orchestrator.registered(&named("name", "1")).await, existing(first.id, true));
    orchestrator.advance(HOUR).await;
    let outlived = orchestrator.outlived(10).await.expect("outlived");
    orchestrator.forget(&outlived).await.expect("forget");
    orchestrator.accepted(&named("name", "2")).await;
}

async fn name_with_other_arguments(orchestrator: Given) {
    let first = orchestrator.accepted(&named("name", "1")).await;
    let other = named("name", "2");
    assert_eq!(orchestrator.registered(&other).await, Registered::Conflict { id: first.id });
    assert_eq!(orchestrator.tracked(other.id).await, None);
}

async fn names_are_scoped(orchestrator: Given) {
    let first = orchestrator.accepted(&named("name", "1")).await;
    let other = Registration { task: "testkit::other".into(), ..named("name", "2") };
    let other = orchestrator.accepted(&other).await;
    assert_ne!(first.id, other.id);
}

async fn batch_sees_itself(orchestrator: Given) {
    let batch = [keyed("key", "1"), keyed("key", "2"), named("name", "1"), named("name", "1"), named("name", "2")];
    let answers = orchestrator.register(&batch).await.expect("register");
    assert!(matches!(&answers[0], Registered::New(tracked) if tracked.id == batch[0].id));
    assert_eq!(answers[1], existing(batch[0].id, false));
    assert!(matches!(&answers[2], Registered::New(tracked) if tracked.id == batch[2].id));
    assert_eq!(answers[3], existing(batch[2].id, true));
    assert_eq!(answers[4], Registered::Conflict { id: batch[2].id });
    races_have_one_winner(&orchestrator).await;
}

async fn races_have_one_winner(orchestrator: &Given) {
    let racers = (0..16).map(|_| {
        let orchestrator = orchestrator.clone();
        tokio::spawn(async move { orchestrator.registered(&keyed("race", "1")).await })
    });
    let mut winners = 0;
    for racer in racers.collect::<Vec<_>>() {
        winners += usize::from(matches!(racer.await.expect("no panic"), Registered::New(_)));
    }
    assert_eq!(winners, 1, "of many registrations at once exactly one is new");
}
