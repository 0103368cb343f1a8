//! Tests of the lifecycle against a model.
//!
//! The model lists the transitions as the documentation does. It keeps no record: it computes each field from the history
//! of transitions.

use std::time::Duration;

use proptest::prelude::*;
use pynenc_core::status::{By, Change, CompareAndSet, Due, EDGES, Refusal, StatusRecord, compare_and_set};
use pynenc_core::{Reason, RunnerId, Status, Timestamp};

/// The legal transitions: a status, and its next statuses by claimers, by the owner and by the system.
const TRANSITIONS: [(&str, [&str; 3]); 8] = [
    (
        "registered",
        ["pending concurrency_controlled concurrency_controlled_final cancelled failed", "", "cancelled failed"],
    ),
    (
        "scheduled",
        [
            "pending concurrency_controlled concurrency_controlled_final cancelled failed",
            "",
            "rerouted cancelled failed",
        ],
    ),
    ("concurrency_controlled", ["", "", "rerouted cancelled failed"]),
    (
        "rerouted",
        ["pending concurrency_controlled concurrency_controlled_final cancelled failed", "", "cancelled failed"],
    ),
    ("pending", ["", "running rerouted cancelled failed", "rerouted cancelled failed"]),
    ("running", ["", "paused scheduled retry rerouted success failed cancelled", "rerouted cancelled failed"]),
    ("paused", ["", "running scheduled retry rerouted success failed cancelled", "rerouted cancelled failed"]),
    ("retry", ["pending concurrency_controlled cancelled failed", "", "cancelled failed"]),
];

/// Two runners, each as a claimer and as an owner, and the system.
fn actors() -> [By; 5] {
    let [one, other] = [1, 2].map(|number| RunnerId::from_bytes([number; 16]));
    [By::Claimer(one), By::Claimer(other), By::Owner(one), By::Owner(other), By::System]
}

fn column(by: By) -> usize {
    match by {
        By::Claimer(_) => 0,
        By::Owner(_) => 1,
        By::System => 2,
    }
}

fn is_listed(from: Status, to: Status, by: By) -> bool {
    let row = TRANSITIONS.iter().find(|(name, _)| *name == from.as_str());
    row.is_some_and(|(_, columns)| columns[column(by)].split(' ').any(|name| name == to.as_str()))
}

/// An applied transition.
#[derive(Debug, Clone)]
struct Applied {
    /// The version and the epoch before.
    before: (u64, u64),
    change: Change,
    /// The status that was entered: not `change.to` if a requested cancel won.
    to: Status,
    due: Option<Timestamp>,
}

/// The history of an invocation.
#[derive(Debug, Default)]
struct Model {
    applied: Vec<Applied>,
    cancel_requested: bool,
}

impl Model {
    fn status(&self) -> Status {
        self.applied.last().map_or(Status::Registered, |applied| applied.to)
    }

    fn due(&self) -> Option<Timestamp> {
        self.applied.last().and_then(|applied| applied.due)
    }

    fn owner(&self) -> Option<RunnerId> {
        let is_owned = ["pending", "running", "paused"].contains(&self.status().as_str());
        let claims = self.applied.iter().rev().filter(|applied| applied.to == Status::Pending);
        claims.take(usize::from(is_owned)).find_map(|claim| match claim.change.by {
            By::Claimer(runner) => Some(runner),
            _ => None,
        })
    }

    /// Each transition with the status before.
    fn transitions(&self) -> impl Iterator<Item = (Status, &Applied)> {
        let before = std::iter::once(Status::Registered).chain(self.applied.iter().map(|applied| applied.to));
        before.zip(&self.applied)
    }

    fn count(&self, is_counted: impl Fn(Status, &Applied) -> bool) -> u64 {
        self.transitions().filter(|(from, applied)| is_counted(*from, applied)).count() as u64
    }

    fn starts(&self) -> u64 {
        self.count(|from, applied| from == Status::Pending && applied.to == Status::Running)
    }

    /// Counts the losses while the task function ran, since the last suspension.
    fn losses(&self) -> u64 {
        let transitions: Vec<_> = self.transitions().collect();
        let suspended = transitions.iter().rposition(|(_, applied)| applied.change.reason == Reason::Suspended);
        let since = &transitions[suspended.map_or(0, |index| index + 1)..];
        let is_lost = |reason| [Reason::OwnerLost, Reason::PoisonPill].contains(&reason);
        since.iter().filter(|(from, applied)| *from == Status::Running && is_lost(applied.change.reason)).count() as u64
    }

    /// The present version and epoch.
    fn numbers(&self) -> (u64, u64) {
        let epoch = self.count(|_, applied| !matches!(applied.change.by, By::Owner(_)));
        (self.applied.len() as u64 + 1, epoch)
    }

    fn allows(&self, change: &Change, now: Timestamp) -> bool {
        let from = self.status();
        let is_owner = !matches!(change.by, By::Owner(runner) if self.owner() != Some(runner));
        let due_is_right = match change.to {
            Status::Retry => change.due.is_some(),
            Status::Scheduled => true,
            _ => change.due.is_none(),
        };
        let is_suspended = from == Status::Scheduled && self.due().is_none();
        let drops_started = change.to == Status::ConcurrencyControlledFinal && self.starts() > 0;
        let may_claim = self.due().is_none_or(|due| due <= now) && !is_suspended && !drops_started;
        let claims = matches!(change.by, By::Claimer(_));
        is_listed(from, change.to, change.by) && is_owner && due_is_right && (!claims || may_claim)
    }

    fn apply(&mut self, change: &Change, now: Timestamp) {
        let returns_to_queue = ["registered", "scheduled", "rerouted", "retry"].contains(&change.to.as_str());
        let is_cancelled = self.cancel_requested && returns_to_queue;
        let to = if is_cancelled { Status::Cancelled } else { change.to };
        let due = change.due.filter(|_| !is_cancelled).map(|due| due.at(now));
        self.applied.push(Applied { before: self.numbers(), change: change.clone(), to, due });
        self.cancel_requested &= !to.is_final();
    }

    fn check(&self, record: &StatusRecord) {
        assert_eq!((record.status, record.owner), (self.status(), self.owner()));
        assert_eq!((record.version, record.epoch), self.numbers());
        assert_eq!(u64::from(record.deliveries), self.count(|_, applied| applied.to == Status::Pending));
        assert_eq!(u64::from(record.starts), self.starts());
        assert_eq!(u64::from(record.losses), self.losses());
        assert_eq!(u64::from(record.retries), self.count(|_, applied| applied.to == Status::Retry));
        assert_eq!((record.due, record.cancel_requested), (self.due(), self.cancel_requested));
    }
}

/// One step of a generated test case.
#[derive(Debug, Clone)]
enum Step {
    /// Attempts any transition.
    Any(Change),
    /// Attempts the legal transition with this number.
    Legal(usize),
    /// Repeats the last transition, as after a lost reply.
    Repeat,
    /// Attempts any transition with the version and the epoch before the last transitions; the number says how many.
    Stale(Change, usize),
    RequestCancel,
    /// Moves the clock ahead by this many seconds.
    Wait(u64),
}

fn any_change() -> impl Strategy<Value = Change> {
    let due = prop_oneof![Just(None), (0..20_u64).prop_map(|secs| Some(Due::In(Duration::from_secs(secs))))];
    let reason = prop::sample::select(vec![
        Reason::Claimed,
        Reason::OwnerLost,
        Reason::PoisonPill,
        Reason::Suspended,
        Reason::Shutdown,
    ]);
    let parts = (prop::sample::select(Status::ALL), prop::sample::select(actors().to_vec()), due, reason);
    parts.prop_map(|(to, by, due, reason)| Change { to, by, due, reason, detail: None })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any_change().prop_map(Step::Any),
        5 => any::<usize>().prop_map(Step::Legal),
        1 => Just(Step::Repeat),
        1 => (any_change(), 2..9_usize).prop_map(|(change, transitions)| Step::Stale(change, transitions)),
        1 => Just(Step::RequestCancel),
        2 => (0..30_u64).prop_map(Step::Wait),
    ]
}

/// Every transition that the model allows now.
fn legal(model: &Model, now: Timestamp) -> Vec<Change> {
    let pairs = Status::ALL.iter().flat_map(|to| actors().map(|by| (*to, by)));
    let changes = pairs.map(|(to, by)| {
        let due = (to == Status::Retry).then_some(Due::In(Duration::from_secs(5)));
        Change { to, by, due, reason: Reason::Claimed, detail: None }
    });
    changes.filter(|change| model.allows(change, now)).collect()
}

/// A record of which only the version and the epoch count.
fn seen((version, epoch): (u64, u64)) -> StatusRecord {
    StatusRecord { version, epoch, ..StatusRecord::registered(None, Timestamp::from_millis(0)) }
}

fn attempt(model: &mut Model, record: &mut StatusRecord, change: &Change, now: Timestamp) {
    let allowed = model.allows(change, now);
    match compare_and_set(record, &seen(model.numbers()), change, now) {
        CompareAndSet::Advanced(next) => {
            assert!(allowed, "{change:?} isn't allowed after {:?}", model.applied);
            model.apply(change, now);
            *record = next;
        }
        verdict => assert!(!allowed && matches!(verdict, CompareAndSet::Refused(_)), "{change:?}: {verdict:?}"),
    }
}

fn perform(step: Step, model: &mut Model, record: &mut StatusRecord, now: &mut Timestamp) {
    match step {
        Step::Wait(seconds) => *now = *now + Duration::from_secs(seconds),
        Step::RequestCancel => {
            record.cancel_requested |= model.owner().is_some();
            model.cancel_requested = record.cancel_requested;
        }
        Step::Any(change) => attempt(model, record, &change, *now),
        Step::Legal(number) => {
            let legal = legal(model, *now);
            if let Some(change) = legal.get(number % legal.len().max(1)) {
                attempt(model, record, change, *now);
            }
        }
        Step::Repeat => {
            if let Some(Applied { before, change, .. }) = model.applied.last() {
                assert_eq!(compare_and_set(record, &seen(*before), change, *now), CompareAndSet::AlreadyMine);
            }
        }
        Step::Stale(change, transitions) => {
            if let Some(Applied { before, .. }) = model.applied.iter().rev().nth(transitions - 1) {
                let verdict = compare_and_set(record, &seen(*before), &change, *now);
                assert!(matches!(verdict, CompareAndSet::Refused(Refusal::Stale { .. })), "{verdict:?}");
            }
        }
    }
}

#[test]
fn the_table_has_exactly_the_documented_transitions() {
    for &from in Status::ALL {
        for &to in Status::ALL {
            let edge = EDGES.iter().find(|edge| edge.from == from && edge.to == to);
            let listed = actors().iter().any(|by| is_listed(from, to, *by));
            assert_eq!(edge.is_some(), listed, "{from} to {to}");
        }
    }
}

proptest! {
    #[test]
    fn every_record_agrees_with_the_model(steps in prop::collection::vec(any_step(), 0..120)) {
        let mut now = Timestamp::from_millis(1_000_000);
        let (mut model, mut record) = (Model::default(), StatusRecord::registered(None, now));
        for step in steps {
            perform(step, &mut model, &mut record, &mut now);
            model.check(&record);
        }
    }
}
