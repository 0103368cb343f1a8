//! The life cycle against a model: the moves as the documentation lists them, and a record that is never kept but told
//! from all that has happened.

use std::time::Duration;

use proptest::prelude::*;
use pynenc_core::status::{By, Change, Due, EDGES, Expect, Refusal, StatusRecord, Verdict, judge};
use pynenc_core::{Reason, RunnerId, Status, Timestamp};

/// From where whom goes where: claimers, the owner, anybody else.
const MOVES: [(&str, [&str; 3]); 8] = [
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

/// Two runners, each as a claimer and as an owner, and anybody else.
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
    let row = MOVES.iter().find(|(name, _)| *name == from.as_str());
    row.is_some_and(|(_, columns)| columns[column(by)].split(' ').any(|name| name == to.as_str()))
}

/// A move that was made.
#[derive(Debug, Clone)]
struct Made {
    before: Expect,
    change: Change,
    /// Where it led, which is elsewhere where a cancel was asked for.
    to: Status,
    due: Option<Timestamp>,
}

/// All that has happened to an invocation.
#[derive(Debug, Default)]
struct Model {
    made: Vec<Made>,
    cancel_asked: bool,
}

impl Model {
    fn status(&self) -> Status {
        self.made.last().map_or(Status::Registered, |made| made.to)
    }

    fn due(&self) -> Option<Timestamp> {
        self.made.last().and_then(|made| made.due)
    }

    fn owner(&self) -> Option<RunnerId> {
        let is_owned = ["pending", "running", "paused"].contains(&self.status().as_str());
        let claims = self.made.iter().rev().filter(|made| made.to == Status::Pending);
        claims.take(usize::from(is_owned)).find_map(|made| match made.change.by {
            By::Claimer(runner) => Some(runner),
            _ => None,
        })
    }

    /// Each move with the status that it left.
    fn steps(&self) -> impl Iterator<Item = (Status, &Made)> {
        let left = std::iter::once(Status::Registered).chain(self.made.iter().map(|made| made.to));
        left.zip(&self.made)
    }

    fn count(&self, is_counted: impl Fn(Status, &Made) -> bool) -> u64 {
        self.steps().filter(|(from, made)| is_counted(*from, made)).count() as u64
    }

    fn starts(&self) -> u64 {
        self.count(|from, made| from == Status::Pending && made.to == Status::Running)
    }

    /// Losses while the body ran, since it last came so far that it put itself aside.
    fn losses(&self) -> u64 {
        let steps: Vec<_> = self.steps().collect();
        let aside = steps.iter().rposition(|(_, made)| made.change.reason == Reason::PutAside);
        let since = &steps[aside.map_or(0, |place| place + 1)..];
        let is_lost = |reason| [Reason::OwnerLost, Reason::PoisonPill].contains(&reason);
        since.iter().filter(|(from, made)| *from == Status::Running && is_lost(made.change.reason)).count() as u64
    }

    fn expect(&self) -> Expect {
        let epoch = self.count(|_, made| !matches!(made.change.by, By::Owner(_)));
        Expect { version: self.made.len() as u64 + 1, epoch }
    }

    fn allows(&self, change: &Change, now: Timestamp) -> bool {
        let from = self.status();
        let is_owner = !matches!(change.by, By::Owner(runner) if self.owner() != Some(runner));
        let due_is_right = match change.to {
            Status::Retry => change.due.is_some(),
            Status::Scheduled => true,
            _ => change.due.is_none(),
        };
        let is_asleep = from == Status::Scheduled && self.due().is_none();
        let is_drop_of_a_runaway = change.to == Status::ConcurrencyControlledFinal && self.starts() > 0;
        let may_claim = self.due().is_none_or(|due| due <= now) && !is_asleep && !is_drop_of_a_runaway;
        let claims = matches!(change.by, By::Claimer(_));
        is_listed(from, change.to, change.by) && is_owner && due_is_right && (!claims || may_claim)
    }

    fn make(&mut self, change: &Change, now: Timestamp) {
        let goes_back = ["registered", "scheduled", "rerouted", "retry"].contains(&change.to.as_str());
        let is_cancelled = self.cancel_asked && goes_back;
        let to = if is_cancelled { Status::Cancelled } else { change.to };
        let due = change.due.filter(|_| !is_cancelled).map(|due| due.at(now));
        self.made.push(Made { before: self.expect(), change: change.clone(), to, due });
        self.cancel_asked &= !to.is_final();
    }

    fn check(&self, record: &StatusRecord) {
        let Expect { version, epoch } = self.expect();
        assert_eq!((record.status, record.owner), (self.status(), self.owner()));
        assert_eq!((record.version, record.epoch), (version, epoch));
        assert_eq!(u64::from(record.deliveries), self.count(|_, made| made.to == Status::Pending));
        assert_eq!(u64::from(record.starts), self.starts());
        assert_eq!(u64::from(record.losses), self.losses());
        assert_eq!(u64::from(record.retries), self.count(|_, made| made.to == Status::Retry));
        assert_eq!((record.due, record.cancel_requested), (self.due(), self.cancel_asked));
    }
}

/// What is done to an invocation.
#[derive(Debug, Clone)]
enum Act {
    /// Anything.
    Try(Change),
    /// The move of this number among those that are legal now.
    Go(usize),
    /// The last move once more, as after a lost reply.
    Repeat,
    /// Anything, with what was believed so many moves ago.
    TryLate(Change, usize),
    AskForItsEnd,
    Wait(u64),
}

fn any_change() -> impl Strategy<Value = Change> {
    let due = prop_oneof![Just(None), (0..20_u64).prop_map(|secs| Some(Due::In(Duration::from_secs(secs))))];
    let reason = prop::sample::select(vec![
        Reason::Claimed,
        Reason::OwnerLost,
        Reason::PoisonPill,
        Reason::PutAside,
        Reason::Shutdown,
    ]);
    let parts = (prop::sample::select(Status::ALL), prop::sample::select(actors().to_vec()), due, reason);
    parts.prop_map(|(to, by, due, reason)| Change { to, by, due, reason, detail: None })
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => any_change().prop_map(Act::Try),
        5 => any::<usize>().prop_map(Act::Go),
        1 => Just(Act::Repeat),
        1 => (any_change(), 2..9_usize).prop_map(|(change, moves)| Act::TryLate(change, moves)),
        1 => Just(Act::AskForItsEnd),
        2 => (0..30_u64).prop_map(Act::Wait),
    ]
}

/// Every change that the model allows now.
fn legal(model: &Model, now: Timestamp) -> Vec<Change> {
    let pairs = Status::ALL.iter().flat_map(|to| actors().map(|by| (*to, by)));
    let changes = pairs.map(|(to, by)| {
        let due = (to == Status::Retry).then_some(Due::In(Duration::from_secs(5)));
        Change { to, by, due, reason: Reason::Claimed, detail: None }
    });
    changes.filter(|change| model.allows(change, now)).collect()
}

fn attempt(model: &mut Model, record: &mut StatusRecord, change: &Change, now: Timestamp) {
    let allowed = model.allows(change, now);
    match judge(record, model.expect(), change, now) {
        Verdict::Advanced(next) => {
            assert!(allowed, "{change:?} isn't allowed after {:?}", model.made);
            model.make(change, now);
            *record = next;
        }
        verdict => assert!(!allowed && matches!(verdict, Verdict::Refused(_)), "{change:?}: {verdict:?}"),
    }
}

fn act(model: &mut Model, record: &mut StatusRecord, now: &mut Timestamp, act: Act) {
    match act {
        Act::Wait(seconds) => *now = *now + Duration::from_secs(seconds),
        Act::AskForItsEnd => {
            record.cancel_requested |= model.owner().is_some();
            model.cancel_asked = record.cancel_requested;
        }
        Act::Try(change) => attempt(model, record, &change, *now),
        Act::Go(number) => {
            let legal = legal(model, *now);
            if let Some(change) = legal.get(number % legal.len().max(1)) {
                attempt(model, record, change, *now);
            }
        }
        Act::Repeat => {
            if let Some(Made { before, change, .. }) = model.made.last() {
                assert_eq!(judge(record, *before, change, *now), Verdict::AlreadyMine);
            }
        }
        Act::TryLate(change, moves) => {
            if let Some(Made { before, .. }) = model.made.iter().rev().nth(moves - 1) {
                let verdict = judge(record, *before, &change, *now);
                assert!(matches!(verdict, Verdict::Refused(Refusal::Stale { .. })), "{verdict:?}");
            }
        }
    }
}

#[test]
fn the_table_is_what_is_written_of_it() {
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
    fn any_life_is_the_models(acts in prop::collection::vec(any_act(), 0..120)) {
        let mut now = Timestamp::from_millis(1_000_000);
        let (mut model, mut record) = (Model::default(), StatusRecord::registered(None, now));
        for one in acts {
            act(&mut model, &mut record, &mut now, one);
            model.check(&record);
        }
    }
}
