//! Trials of `register`.

use std::time::Duration;

use pynenc_core::orchestrator::{ClaimReply, Registered};
use pynenc_core::record::{IdempotencyKey, Registration, Retention};
use pynenc_core::status::{By, Change, Due};
use pynenc_core::{Digest, InvocationId, Reason, RunnerId, Status};

use super::super::sample::{HOUR, SECOND, limited, registration, registration_key};
use super::super::trials;
use super::given::Given;

trials! { pub(super) Given:
    "a new invocation is accepted as registered or scheduled, with its first line of history" => new_is_accepted,
    "registering the same id again answers `New` and changes nothing" => same_id_changes_nothing,
    "while an invocation with the registration key waits, a second call gets it and learns whether the arguments differ" => key_gives_the_holder,
    "a registration key is free again once its holder is claimed or has finished" => key_is_freed,
    "an invocation that returns to its queue takes its registration key again if the key is free" => key_is_taken_again,
    "a suspended invocation doesn't hold its registration key" => suspended_holds_no_key,
    "an idempotency key gives the same invocation back until its retention is over, even if it has finished" => idempotency_key_gives_the_same,
    "an idempotency key with other arguments is a conflict" => idempotency_key_with_other_arguments,
    "idempotency keys of different tasks are different" => idempotency_keys_are_scoped,
    "items of one batch see each other, in order" => batch_sees_itself,
}

fn keyed(key: &str, arguments: &str) -> Registration {
    Registration { registration: Some(registration_key(key, arguments)), ..registration() }
}

fn idempotent(name: &str, arguments: &str) -> Registration {
    let idempotency = IdempotencyKey { key: name.into(), arguments: Digest::of(arguments.as_bytes()) };
    Registration { idempotency: Some(idempotency), ..registration() }
}

fn existing(id: InvocationId, same_arguments: bool) -> Registered {
    Registered::Existing { id, same_arguments }
}

impl Given {
    async fn assert_holds_key(&self, id: InvocationId, key: &str) {
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
        let history = orchestrator.history(tracked.id).await;
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

async fn key_gives_the_holder(orchestrator: Given) {
    let holder = orchestrator.accepted(&keyed("key", "1")).await;
    let others = [keyed("key", "1"), keyed("key", "2")];
    let answers = orchestrator.register(&others).await.expect("register");
    assert_eq!(answers, [existing(holder.id, true), existing(holder.id, false)]);
    assert_eq!(orchestrator.tracked(others[0].id).await, None, "the second call has no invocation of its own");
    orchestrator.accepted(&keyed("else", "1")).await;
}

async fn key_is_freed(orchestrator: Given) {
    let first = orchestrator.accepted(&keyed("key", "1")).await;
    orchestrator.granted(first.id, RunnerId::new()).await;
    let second = orchestrator.accepted(&keyed("key", "1")).await;
    orchestrator.cancel(&[second.id]).await.expect("cancel");
    let third = orchestrator.accepted(&keyed("key", "1")).await;
    orchestrator.assert_holds_key(third.id, "key").await;
}

async fn key_is_taken_again(orchestrator: Given) {
    for key in ["retry", "reroute", "parked"] {
        let back = requeued(&orchestrator, key).await;
        orchestrator.assert_holds_key(back, key).await;
    }
    let first = orchestrator.accepted(&keyed("taken", "1")).await;
    let running = orchestrator.started(first.id, RunnerId::new()).await;
    let second = orchestrator.accepted(&keyed("taken", "1")).await;
    orchestrator.retried(&running, SECOND).await;
    orchestrator.assert_holds_key(second.id, "taken").await;
    orchestrator.cancel(&[second.id]).await.expect("cancel");
    orchestrator.accepted(&keyed("taken", "1")).await;
    suspended_takes_its_key_again(&orchestrator).await;
}

/// An invocation that is waiting again after a claim, or parked by one.
async fn requeued(orchestrator: &Given, key: &str) -> InvocationId {
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

async fn suspended_holds_no_key(orchestrator: Given) {
    let suspended = orchestrator.accepted(&keyed("suspended", "1")).await;
    let running = orchestrator.started(suspended.id, RunnerId::new()).await;
    let owner = running.record.owner.expect("the invocation runs");
    let suspend = Change::new(Status::Scheduled, By::Owner(owner), Reason::Suspended).due(Due::In(SECOND));
    orchestrator.done(&running, suspend).await;
    let other = orchestrator.accepted(&keyed("suspended", "1")).await;
    orchestrator.advance(SECOND).await;
    orchestrator.granted(suspended.id, RunnerId::new()).await;
    orchestrator.assert_holds_key(other.id, "suspended").await;
}

async fn suspended_takes_its_key_again(orchestrator: &Given) {
    let suspended = orchestrator.accepted(&keyed("suspended", "1")).await;
    let running = orchestrator.started(suspended.id, RunnerId::new()).await;
    let suspended = orchestrator.moved(&running, Status::Scheduled, Reason::Suspended).await;
    let other = orchestrator.accepted(&keyed("suspended", "1")).await;
    orchestrator.granted(other.id, RunnerId::new()).await;
    orchestrator.done(&suspended, Change::new(Status::Rerouted, By::System, Reason::Woken)).await;
    orchestrator.assert_holds_key(suspended.id, "suspended").await;
}

async fn idempotency_key_gives_the_same(orchestrator: Given) {
    let retention = Retention { results: HOUR, failures: HOUR };
    let first = Registration { retention, ..idempotent("key", "1") };
    orchestrator.accepted(&first).await;
    assert_eq!(orchestrator.registered(&idempotent("key", "1")).await, existing(first.id, true));
    let running = orchestrator.started(first.id, RunnerId::new()).await;
    assert_eq!(orchestrator.registered(&idempotent("key", "1")).await, existing(first.id, true));
    orchestrator.succeeded(&running).await;
    assert_eq!(orchestrator.registered(&idempotent("key", "1")).await, existing(first.id, true));
    orchestrator.advance(HOUR).await;
    let outlived = orchestrator.outlived(10, Duration::ZERO).await.expect("outlived");
    orchestrator.forget(&outlived).await.expect("forget");
    orchestrator.accepted(&idempotent("key", "2")).await;
}

async fn idempotency_key_with_other_arguments(orchestrator: Given) {
    let first = orchestrator.accepted(&idempotent("key", "1")).await;
    let other = idempotent("key", "2");
    assert_eq!(orchestrator.registered(&other).await, Registered::Conflict { id: first.id });
    assert_eq!(orchestrator.tracked(other.id).await, None);
}

async fn idempotency_keys_are_scoped(orchestrator: Given) {
    let first = orchestrator.accepted(&idempotent("key", "1")).await;
    let other = Registration { task: "testkit::other".into(), ..idempotent("key", "2") };
    let other = orchestrator.accepted(&other).await;
    assert_ne!(first.id, other.id);
}

async fn batch_sees_itself(orchestrator: Given) {
    let batch =
        [keyed("key", "1"), keyed("key", "2"), idempotent("key", "1"), idempotent("key", "1"), idempotent("key", "2")];
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
        winners += usize::from(matches!(racer.await.expect("a registration doesn't panic"), Registered::New(_)));
    }
    assert_eq!(winners, 1, "exactly one of many concurrent registrations is new");
}
