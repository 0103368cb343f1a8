use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::id::RunnerId;

#[test]
fn a_refusal_lists_the_legal_transitions() {
    let refusal = |from, to| Refusal::NoEdge { from, to }.to_string();
    assert_eq!(
        refusal(Status::Registered, Status::Success),
        "an invocation can't go from registered to success: from registered it can go to pending, \
         concurrency_controlled, concurrency_controlled_final, cancelled, failed"
    );
    let final_status = refusal(Status::Success, Status::Running);
    assert_eq!(final_status, "an invocation can't go from success to running: success is final");
    let due = Refusal::NotDue { due: Timestamp::from_millis(2000), now: Timestamp::from_millis(1000) };
    assert_eq!(
        due.to_string(),
        "the invocation is due at 1970-01-01T00:00:02.000Z, and the store's clock shows 1970-01-01T00:00:01.000Z"
    );
}

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn record(status: Status, owner: RunnerId) -> StatusRecord {
    StatusRecord {
        status,
        owner: status.is_owned().then_some(owner),
        due: (status == Status::Scheduled || status == Status::Retry).then_some(NOW),
        ..StatusRecord::registered(None, NOW)
    }
}

fn change(to: Status, by: By) -> Change {
    let due = (to == Status::Retry).then_some(Due::In(Duration::from_secs(1)));
    Change { to, by, due, reason: Reason::Submitted, detail: None }
}

fn actors(runner: RunnerId) -> [By; 3] {
    [By::Owner(runner), By::Claimer(runner), By::System]
}

#[test]
fn advance_allows_exactly_the_transitions_of_the_table() {
    let runner = RunnerId::new();
    for &from in Status::ALL {
        for &to in Status::ALL {
            for by in actors(runner) {
                let taken = advance(&record(from, runner), &change(to, by), NOW).is_ok();
                let listed = EDGES.iter().any(|edge| edge.from == from && edge.to == to && edge.actors.include(by));
                assert_eq!(taken, listed, "{from} to {to} by {by:?}");
            }
        }
    }
}

#[test]
fn only_final_statuses_have_no_next_status() {
    for &status in Status::ALL {
        assert_eq!(EDGES.iter().any(|edge| edge.from == status), !status.is_final(), "{status}");
    }
}

#[test]
fn another_runner_cannot_finish_an_owned_invocation() {
    let (owner, other) = (RunnerId::new(), RunnerId::new());
    let refused = advance(&record(Status::Running, owner), &change(Status::Success, By::Owner(other)), NOW);
    assert!(matches!(refused, Err(Refusal::WrongActor { .. })));
}

#[test]
fn an_invocation_is_not_claimed_before_it_is_due() {
    let runner = RunnerId::new();
    let later = StatusRecord::registered(Some(Due::In(Duration::from_secs(1))), NOW);
    let claim = change(Status::Pending, By::Claimer(runner));
    assert!(matches!(advance(&later, &claim, NOW), Err(Refusal::NotDue { .. })));
    assert!(advance(&later, &claim, NOW + Duration::from_secs(1)).is_ok());
    let suspended = StatusRecord { due: None, ..later };
    assert_eq!(advance(&suspended, &claim, NOW), Err(Refusal::Suspended));
}

#[test]
fn an_invocation_that_has_run_is_never_dropped() {
    let mut ran = record(Status::Rerouted, RunnerId::new());
    ran.starts = 1;
    let drop = change(Status::ConcurrencyControlledFinal, By::Claimer(RunnerId::new()));
    assert_eq!(advance(&ran, &drop, NOW), Err(Refusal::HasRun { starts: 1 }));
}

#[test]
fn a_requested_cancel_wins_over_a_return_to_the_queue() {
    let owner = RunnerId::new();
    let mut running = record(Status::Running, owner);
    running.cancel_requested = true;
    for to in [Status::Retry, Status::Rerouted, Status::Scheduled] {
        let next = advance(&running, &change(to, By::Owner(owner)), NOW).unwrap();
        assert_eq!((next.status, next.reason, next.due), (Status::Cancelled, Reason::CancelRequested, None));
    }
    assert_eq!(advance(&running, &change(Status::Success, By::Owner(owner)), NOW).unwrap().status, Status::Success);
}

#[test]
fn only_a_loss_while_running_is_counted() {
    let owner = RunnerId::new();
    let lost = Change::new(Status::Rerouted, By::System, Reason::OwnerLost);
    let shutdown = Change::new(Status::Rerouted, By::Owner(owner), Reason::Shutdown);
    let losses =
        |status, change: &Change| advance(&record(status, owner), change, NOW).map(|next| next.losses).unwrap();
    assert_eq!(losses(Status::Running, &lost), 1);
    assert_eq!(losses(Status::Pending, &lost), 0);
    assert_eq!(losses(Status::Paused, &lost), 0);
    assert_eq!(losses(Status::Running, &shutdown), 0);
}

#[test]
fn a_suspension_resets_the_losses() {
    let owner = RunnerId::new();
    let running = StatusRecord { losses: 2, ..record(Status::Running, owner) };
    let suspend = Change::new(Status::Scheduled, By::Owner(owner), Reason::Suspended);
    assert_eq!(advance(&running, &suspend, NOW).unwrap().losses, 0);
}

#[test]
fn a_repeat_is_recognized_and_a_stale_owner_is_refused() {
    let owner = RunnerId::new();
    let running = record(Status::Running, owner);
    let settle = change(Status::Success, By::Owner(owner));
    let CompareAndSet::Advanced(done) = compare_and_set(&running, &running, &settle, NOW) else { panic!("legal") };
    assert_eq!(compare_and_set(&done, &running, &settle, NOW), CompareAndSet::AlreadyMine);

    let reroute = change(Status::Rerouted, By::System);
    let CompareAndSet::Advanced(lost) = compare_and_set(&running, &running, &reroute, NOW) else { panic!("legal") };
    assert!(matches!(compare_and_set(&lost, &running, &settle, NOW), CompareAndSet::Refused(Refusal::Stale { .. })));
}

fn any_change(runner: RunnerId) -> impl Strategy<Value = Change> {
    (0..Status::ALL.len(), 0..3usize).prop_map(move |(to, by)| change(Status::ALL[to], actors(runner)[by]))
}

proptest! {
    /// After any sequence of attempted transitions: versions count transitions, epochs never decrease, no final status
    /// is left, and the record has an owner exactly in owned statuses.
    #[test]
    fn any_sequence_of_transitions_keeps_the_invariants(
        changes in prop::collection::vec(any_change(RunnerId::from_bytes([7; 16])), 0..60),
    ) {
        let mut record = StatusRecord::registered(None, NOW);
        let mut now = NOW;
        for change in changes {
            now = now + Duration::from_secs(2);
            let Ok(next) = advance(&record, &change, now) else { continue };
            prop_assert!(!record.status.is_final());
            prop_assert_eq!(next.version, record.version + 1);
            prop_assert_eq!(next.epoch > record.epoch, !matches!(change.by, By::Owner(_)));
            prop_assert_eq!(next.owner.is_some(), next.status.is_owned());
            prop_assert!(next.starts <= next.deliveries);
            record = next;
        }
    }
}
