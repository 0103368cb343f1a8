//! Tests that each oracle notices a made-up breach.

use std::time::Duration;

use pynenc_core::orchestrator::{HistoryEntry, Inspection, Tracked};
use pynenc_core::record::{Outcome, Payload, Registration, RegistrationKey, RunningKey, WhenBlocked};
use pynenc_core::state_backend::{Journal, JournalEntry, JournalRecord};
use pynenc_core::status::{By, Change, StatusRecord, advance};
use pynenc_core::trigger_store::{Delivery, FiredRun, RunOutcome, ScheduleSlot, TriggerRun};
use pynenc_core::{Digest, InvocationId, Reason, RunnerId, Status, Timestamp};

use super::evidence::{Evidence, InvocationEvidence, Leftover, Log, Recovery};
use crate::ledger::Note;

/// A correct scenario: two invocations that lost their owner once each, with a note for each run.
struct Scenario {
    evidence: Evidence,
    ids: [InvocationId; 2],
}

/// A status change, this many milliseconds after the one before.
type Step = (u64, Status, Reason);

const LOST_ONCE: [Step; 6] = [
    (5, Status::Pending, Reason::Claimed),
    (0, Status::Running, Reason::Started),
    (10, Status::Rerouted, Reason::OwnerLost),
    (5, Status::Pending, Reason::Claimed),
    (0, Status::Running, Reason::Started),
    (20, Status::Success, Reason::Returned),
];

/// An invocation's lifecycle that follows the transition table, from a start time.
fn lifecycle(id: InvocationId, from: u64, steps: &[Step]) -> InvocationEvidence {
    let mut now = Timestamp::from_millis(from);
    let mut record = StatusRecord::registered(None, now);
    let mut history = vec![line(&record)];
    let mut runner = RunnerId::new();
    for (later, to, reason) in steps {
        now = now + Duration::from_millis(*later);
        let by = match (to, reason) {
            (Status::Pending, _) => By::Claimer(runner),
            (_, Reason::OwnerLost) => By::System,
            _ => By::Owner(runner),
        };
        record = advance(&record, &Change::new(*to, by, *reason), now).expect("a legal step");
        let made_by = HistoryEntry { runner: (by != By::System).then_some(runner), ..line(&record) };
        history.push(made_by);
        if by == By::System {
            runner = RunnerId::new();
        }
    }
    invocation(id, record, history)
}

fn line(record: &StatusRecord) -> HistoryEntry {
    let StatusRecord { status, at, version, epoch, reason, .. } = *record;
    HistoryEntry { status, at, version, epoch, runner: None, reason, detail: None }
}

fn invocation(id: InvocationId, record: StatusRecord, history: Vec<HistoryEntry>) -> InvocationEvidence {
    let registration = Registration::new(id, "task".into(), "default".into());
    let (task, queue, priority) = (registration.task.clone(), registration.queue.clone(), registration.priority);
    let tracked = Tracked { id, task, queue, priority, limited: false, record };
    let now = Timestamp::from_millis(0);
    let inspected = Inspection {
        tracked: tracked.clone(),
        registration,
        history: history.clone(),
        holders: vec![],
        parked_before: None,
        awaits: vec![],
        now,
    };
    let value = Payload::Inline(b"7".as_slice().into());
    let outcome = Some(Outcome::Value { value, serializer: "JsonSerializer".into() });
    InvocationEvidence { tracked, history, inspected: Some(inspected), outcome, has_record: true, journal: None }
}

fn note(id: InvocationId, action: &str, name: &str, epoch: u64) -> Note {
    let (action, name, at) = (action.to_owned(), name.to_owned(), Timestamp::from_millis(0));
    Note { action, name, process: 1, attempt: 1, invocation: id, epoch, at }
}

impl Scenario {
    fn new() -> Self {
        let ids = [InvocationId::new(), InvocationId::new()];
        // The second invocation is submitted when the first is claimed, and is claimed when the first has finished.
        let lifecycles = [lifecycle(ids[0], 0, &LOST_ONCE), lifecycle(ids[1], 40, &LOST_ONCE)];
        let notes = ids.iter().flat_map(|id| {
            let epoch = lifecycles[0].tracked.record.epoch;
            let lost = lifecycles[0].history[1].epoch;
            [note(*id, "begin", "a", lost), note(*id, "begin", "a", epoch), note(*id, "end", "a", epoch)]
        });
        let evidence = Evidence {
            accepted: ids.into(),
            results: vec![(ids[0], "7".to_owned())],
            notes: notes.collect(),
            counts: pynenc_core::orchestrator::Counts { statuses: [(Status::Success, 2)].into(), ..Default::default() },
            invocations: ids.into_iter().zip(lifecycles).collect(),
            ..Evidence::default()
        };
        Self { evidence, ids }
    }

    fn first(&mut self) -> &mut InvocationEvidence {
        self.evidence.invocations.get_mut(&self.ids[0]).expect("the scenario has the invocation")
    }

    fn registration(&mut self, number: usize) -> &mut Registration {
        let invocation = self.evidence.invocations.get_mut(&self.ids[number]).expect("the scenario has the invocation");
        &mut invocation.inspected.as_mut().expect("the scenario has the invocation").registration
    }

    /// Makes both invocations share one slot of a key, or wait with it. The second comes `later` milliseconds after the
    /// first.
    fn sharing(&mut self, later: u64, waits: bool) {
        let key = Digest::of(b"key");
        let id = self.ids[1];
        self.evidence.invocations.insert(id, lifecycle(id, later, &LOST_ONCE));
        for number in [0, 1] {
            let registration = self.registration(number);
            if waits {
                registration.registration = Some(RegistrationKey { key, arguments: key });
            } else {
                registration.running = Some(RunningKey { key, limit: 1, when_blocked: WhenBlocked::Park });
            }
        }
    }

    fn fire(&mut self, id: &str, slot: u64, invocation: InvocationId) {
        let at = Timestamp::from_millis(slot);
        let slot = Some(ScheduleSlot { schedule: "s".into(), from: Timestamp::from_millis(0), to: at });
        let outcome = RunOutcome::Call { invocation, call: bytes::Bytes::new() };
        let run = TriggerRun { id: id.into(), trigger: "t".into(), cause: "".into(), outcome, consumes: vec![], slot };
        self.evidence.fired.push(FiredRun { run, at, delivery: Delivery::Submitted });
    }
}

/// Checks the breaches of a scenario after a change.
fn check(change: impl FnOnce(&mut Scenario), oracles: &[&str]) {
    let mut scenario = Scenario::new();
    change(&mut scenario);
    let found = scenario.evidence.breaches();
    let numbers: Vec<_> = found.iter().map(|breach| breach.oracle).collect();
    assert_eq!(numbers, oracles, "{found:#?}");
    assert!(found.iter().all(|breach| breach.to_string().len() > 30), "{found:?}");
}

#[test]
fn a_correct_scenario_has_no_breach() {
    check(|_| {}, &[]);
    check(|scenario| scenario.sharing(40, false), &[]);
    check(|scenario| scenario.sharing(5, true), &[]);
}

#[test]
fn a_lost_or_unfinished_invocation_is_noticed() {
    check(|scenario| scenario.evidence.accepted.push(InvocationId::new()), &["I1"]);
    check(
        |scenario| {
            let id = scenario.ids[0];
            scenario.evidence.results.clear();
            scenario.evidence.counts.statuses = [(Status::Success, 1), (Status::Running, 1)].into();
            *scenario.first() = lifecycle(id, 0, &LOST_ONCE[..5]);
        },
        &["I1"],
    );
}

#[test]
fn a_second_completion_and_a_changed_outcome_are_noticed() {
    check(
        |scenario| {
            let last = scenario.first().history.last().expect("the history has lines").clone();
            scenario.first().tracked.record.version += 1;
            scenario.first().history.push(HistoryEntry { version: last.version + 1, ..last });
        },
        &["I2"],
    );
    check(|scenario| scenario.first().history[3].version = 9, &["I2"]);
    check(|scenario| scenario.evidence.results[0].1 = "8".to_owned(), &["I2"]);
    check(|scenario| scenario.first().outcome = None, &["I2"]);
}

#[test]
fn a_run_without_a_history_line_is_noticed() {
    check(
        |scenario| {
            let again = scenario.evidence.notes[0].clone();
            scenario.evidence.notes.push(again);
        },
        &["I3"],
    );
    check(|scenario| scenario.evidence.notes[0].epoch = 99, &["I3"]);
}

#[test]
fn a_commit_by_an_earlier_owner_is_noticed() {
    check(|scenario| scenario.evidence.notes.retain(|note| note.epoch == 1), &["I4", "I4"]);
    check(|scenario| scenario.first().history[6].runner = Some(RunnerId::new()), &["I4"]);
    check(|scenario| scenario.first().history[6].epoch = 1, &["I4"]);
}

#[test]
fn too_many_holders_are_noticed() {
    check(|scenario| scenario.sharing(0, false), &["I5"]);
    check(|scenario| scenario.sharing(4, true), &["I6"]);
}

#[test]
fn leftovers_of_finished_invocations_are_noticed() {
    let inspected = |scenario: &mut Scenario, change: fn(&mut Inspection, InvocationId)| {
        let id = scenario.ids[0];
        change(scenario.first().inspected.as_mut().expect("the scenario has the invocation"), id);
    };
    check(|scenario| inspected(scenario, |it, id| it.holders.push(id)), &["I7"]);
    check(|scenario| inspected(scenario, |it, _| it.parked_before = Some(0)), &["I7"]);
    check(|scenario| inspected(scenario, |it, id| it.awaits.push(id)), &["I7"]);
    check(|scenario| scenario.first().has_record = false, &["I7"]);
    check(|scenario| scenario.evidence.orphaned_records.push(InvocationId::new()), &["I7"]);
    check(|scenario| scenario.evidence.counts.queued = [("default".into(), 1)].into(), &["I7"]);
    check(|scenario| scenario.evidence.counts.statuses = [(Status::Success, 3)].into(), &["I7"]);
    check(
        |scenario| scenario.evidence.leftovers.push(Leftover { key: "{app}:o:i".into(), of: "an invocation".into() }),
        &["I8"],
    );
}

#[test]
fn a_slot_that_fires_twice_is_noticed() {
    let two = [InvocationId::new(), InvocationId::new()];
    check(|scenario| (scenario.fire("a", 1, two[0]), scenario.fire("b", 2, two[1])).0, &[]);
    check(|scenario| (scenario.fire("a", 1, two[0]), scenario.fire("b", 1, two[1])).0, &["I9"]);
    check(|scenario| (scenario.fire("a", 1, two[0]), scenario.fire("b", 2, two[0])).0, &["I9"]);
    check(
        |scenario| {
            scenario.fire("a", 1, two[0]);
            scenario.evidence.fired[0].delivery = Delivery::Open;
        },
        &["I9"],
    );
}

#[test]
fn an_operation_with_two_values_is_noticed() {
    check(
        |scenario| {
            let entry = JournalEntry {
                position: "1".into(),
                kind: "step".into(),
                name: "a".into(),
                arguments: Digest::of(b""),
                value: Payload::Inline(bytes::Bytes::new()),
            };
            let at = Timestamp::from_millis(0);
            let entries = vec![JournalRecord { entry: entry.clone(), at }, JournalRecord { entry, at }];
            scenario.first().journal = Some(Journal { origin: InvocationId::new(), tries: 1, entries, now: at });
        },
        &["I10"],
    );
    check(
        |scenario| {
            let (id, epoch) = (scenario.ids[0], scenario.evidence.notes[1].epoch);
            scenario.evidence.notes.extend([note(id, "got", "1=7", epoch), note(id, "got", "1=8", epoch)]);
        },
        &["I10"],
    );
}

#[test]
fn a_late_recovery_is_noticed() {
    let took = |seconds| Recovery {
        after: "a restart".to_owned(),
        took: Duration::from_secs(seconds),
        bound: Duration::from_secs(5),
    };
    check(|scenario| scenario.evidence.recoveries.push(took(5)), &[]);
    check(|scenario| scenario.evidence.recoveries.push(took(6)), &["I11"]);
}

#[test]
fn panics_and_floods_are_noticed() {
    let log = |lines: &[&str], disturbances| {
        let log = Log { name: "worker".to_owned(), text: lines.join("\n"), disturbances };
        move |scenario: &mut Scenario| scenario.evidence.logs.push(log)
    };
    let line = |second, text| format!("2026-01-31T10:20:{second:02}.000001Z  WARN pynenc: {text}");
    let (first, second, later) = (line(1, "no answer 17"), line(20, "no answer 4"), line(59, "no answer 5"));
    check(log(&[&first, &later], 0), &[]);
    check(log(&[&first, &second], 1), &[]);
    check(log(&[&first, &second], 0), &["I12"]);
    let of_one = line(2, "failed invocation=1");
    check(log(&[&of_one, &of_one], 0), &[]);
    check(log(&[&line(3, "will be retried due=Some(Timestamp(7))")], 9), &["I12"]);
    check(log(&["thread 'main' panicked at src/lib.rs:1:1:", "a reason"], 9), &["I12"]);
}
