//! Each oracle notices a breach that is made up.

use std::time::Duration;

use pynenc_core::orchestrator::{HistoryEntry, Inspected, Tracked};
use pynenc_core::record::{Outcome, Payload, Registration, RegistrationKey, RunningKey, WhenBlocked};
use pynenc_core::state_backend::{Journal, JournalEntry, Recorded};
use pynenc_core::status::{By, Change, StatusRecord, advance};
use pynenc_core::trigger_store::{Delivery, FiredRun, RunOutcome, Slot, TriggerRun};
use pynenc_core::{Digest, InvocationId, Reason, RunnerId, Status, Timestamp};

use super::{Evidence, Leftover, Log, Recovery, Witness};
use crate::ledger::Note;

/// A scenario with nothing wrong: two invocations that were lost once each, with notes of all their runs.
struct Scene {
    evidence: Evidence,
    ids: [InvocationId; 2],
}

/// A change, as many milliseconds after the one before.
type Step = (u64, Status, Reason);

const LOST_ONCE: [Step; 6] = [
    (5, Status::Pending, Reason::Claimed),
    (0, Status::Running, Reason::Started),
    (10, Status::Rerouted, Reason::OwnerLost),
    (5, Status::Pending, Reason::Claimed),
    (0, Status::Running, Reason::Started),
    (20, Status::Success, Reason::Returned),
];

/// A life that follows the table, from a time on.
fn life(id: InvocationId, from: u64, steps: &[Step]) -> Witness {
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
    witness(id, record, history)
}

fn line(record: &StatusRecord) -> HistoryEntry {
    let StatusRecord { status, at, version, epoch, reason, .. } = *record;
    HistoryEntry { status, at, version, epoch, runner: None, reason, detail: None }
}

fn witness(id: InvocationId, record: StatusRecord, history: Vec<HistoryEntry>) -> Witness {
    let registration = Registration::new(id, "task".into(), "default".into());
    let (task, queue, priority) = (registration.task.clone(), registration.queue.clone(), registration.priority);
    let tracked = Tracked { id, task, queue, priority, limited: false, record };
    let now = Timestamp::from_millis(0);
    let inspected =
        Inspected { tracked: tracked.clone(), registration, holders: vec![], parked_before: None, awaits: vec![], now };
    let value = Payload::Inline(b"7".as_slice().into());
    let outcome = Some(Outcome::Value { value, serializer: "JsonSerializer".into() });
    Witness { tracked, history, inspected: Some(inspected), outcome, has_record: true, journal: None }
}

fn note(id: InvocationId, what: &str, name: &str, epoch: u64) -> Note {
    let (what, name, at) = (what.to_owned(), name.to_owned(), Timestamp::from_millis(0));
    Note { what, name, process: 1, attempt: 1, invocation: id, epoch, at }
}

impl Scene {
    fn new() -> Self {
        let ids = [InvocationId::new(), InvocationId::new()];
        // One comes when the other is claimed, and is claimed when that has ended.
        let lives = [life(ids[0], 0, &LOST_ONCE), life(ids[1], 40, &LOST_ONCE)];
        let notes = ids.iter().flat_map(|id| {
            let epoch = lives[0].tracked.record.epoch;
            let lost = lives[0].history[1].epoch;
            [note(*id, "begin", "a", lost), note(*id, "begin", "a", epoch), note(*id, "end", "a", epoch)]
        });
        let evidence = Evidence {
            accepted: ids.into(),
            seen: vec![(ids[0], "7".to_owned())],
            notes: notes.collect(),
            counts: pynenc_core::orchestrator::Counts { statuses: [(Status::Success, 2)].into(), ..Default::default() },
            witnesses: ids.into_iter().zip(lives).collect(),
            ..Evidence::default()
        };
        Self { evidence, ids }
    }

    fn first(&mut self) -> &mut Witness {
        self.evidence.witnesses.get_mut(&self.ids[0]).expect("it was put there")
    }

    fn registration(&mut self, number: usize) -> &mut Registration {
        let witness = self.evidence.witnesses.get_mut(&self.ids[number]).expect("it was put there");
        &mut witness.inspected.as_mut().expect("it was put there").registration
    }

    /// Both hold one slot of a key, or wait with it, of which the second came so much later.
    fn sharing(&mut self, later: u64, waits: bool) {
        let key = Digest::of(b"key");
        let id = self.ids[1];
        self.evidence.witnesses.insert(id, life(id, later, &LOST_ONCE));
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
        let slot = Some(Slot { schedule: "s".into(), from: Timestamp::from_millis(0), to: at });
        let outcome = RunOutcome::Call { invocation, call: bytes::Bytes::new() };
        let run = TriggerRun { id: id.into(), trigger: "t".into(), cause: "".into(), outcome, consumes: vec![], slot };
        self.evidence.fired.push(FiredRun { run, at, delivery: Delivery::Submitted });
    }
}

/// Checks what is said of a scene that was tampered with.
fn check(tamper: impl FnOnce(&mut Scene), oracles: &[&str]) {
    let mut scene = Scene::new();
    tamper(&mut scene);
    let found = scene.evidence.breaches();
    let numbers: Vec<_> = found.iter().map(|breach| breach.oracle).collect();
    assert_eq!(numbers, oracles, "{found:#?}");
    assert!(found.iter().all(|breach| breach.to_string().len() > 30), "{found:?}");
}

#[test]
fn a_scene_with_nothing_wrong_has_no_breach() {
    check(|_| {}, &[]);
    check(|scene| scene.sharing(40, false), &[]);
    check(|scene| scene.sharing(5, true), &[]);
}

#[test]
fn what_was_lost_or_never_ended_is_noticed() {
    check(|scene| scene.evidence.accepted.push(InvocationId::new()), &["I1"]);
    check(
        |scene| {
            let id = scene.ids[0];
            scene.evidence.seen.clear();
            scene.evidence.counts.statuses = [(Status::Success, 1), (Status::Running, 1)].into();
            *scene.first() = life(id, 0, &LOST_ONCE[..5]);
        },
        &["I1"],
    );
}

#[test]
fn a_second_end_and_a_changed_outcome_are_noticed() {
    check(
        |scene| {
            let last = scene.first().history.last().expect("it has lines").clone();
            scene.first().tracked.record.version += 1;
            scene.first().history.push(HistoryEntry { version: last.version + 1, ..last });
        },
        &["I2"],
    );
    check(|scene| scene.first().history[3].version = 9, &["I2"]);
    check(|scene| scene.evidence.seen[0].1 = "8".to_owned(), &["I2"]);
    check(|scene| scene.first().outcome = None, &["I2"]);
}

#[test]
fn a_run_that_the_history_does_not_explain_is_noticed() {
    check(
        |scene| {
            let again = scene.evidence.notes[0].clone();
            scene.evidence.notes.push(again);
        },
        &["I3"],
    );
    check(|scene| scene.evidence.notes[0].epoch = 99, &["I3"]);
}

#[test]
fn a_commit_of_another_than_the_last_owner_is_noticed() {
    check(|scene| scene.evidence.notes.retain(|note| note.epoch == 1), &["I4", "I4"]);
    check(|scene| scene.first().history[6].runner = Some(RunnerId::new()), &["I4"]);
    check(|scene| scene.first().history[6].epoch = 1, &["I4"]);
}

#[test]
fn too_many_holders_are_noticed() {
    check(|scene| scene.sharing(0, false), &["I5"]);
    check(|scene| scene.sharing(4, true), &["I6"]);
}

#[test]
fn what_is_left_of_the_ended_is_noticed() {
    let inspected = |scene: &mut Scene, change: fn(&mut Inspected, InvocationId)| {
        let id = scene.ids[0];
        change(scene.first().inspected.as_mut().expect("it was put there"), id);
    };
    check(|scene| inspected(scene, |it, id| it.holders.push(id)), &["I7"]);
    check(|scene| inspected(scene, |it, _| it.parked_before = Some(0)), &["I7"]);
    check(|scene| inspected(scene, |it, id| it.awaits.push(id)), &["I7"]);
    check(|scene| scene.first().has_record = false, &["I7"]);
    check(|scene| scene.evidence.strays.push(InvocationId::new()), &["I7"]);
    check(|scene| scene.evidence.counts.queued = [("default".into(), 1)].into(), &["I7"]);
    check(|scene| scene.evidence.counts.statuses = [(Status::Success, 3)].into(), &["I7"]);
    check(
        |scene| scene.evidence.leftovers.push(Leftover { key: "{app}:o:i".into(), of: "an invocation".into() }),
        &["I8"],
    );
}

#[test]
fn a_slot_that_fires_twice_is_noticed() {
    let two = [InvocationId::new(), InvocationId::new()];
    check(|scene| (scene.fire("a", 1, two[0]), scene.fire("b", 2, two[1])).0, &[]);
    check(|scene| (scene.fire("a", 1, two[0]), scene.fire("b", 1, two[1])).0, &["I9"]);
    check(|scene| (scene.fire("a", 1, two[0]), scene.fire("b", 2, two[0])).0, &["I9"]);
    check(
        |scene| {
            scene.fire("a", 1, two[0]);
            scene.evidence.fired[0].delivery = Delivery::Open;
        },
        &["I9"],
    );
}

#[test]
fn an_operation_with_two_values_is_noticed() {
    check(
        |scene| {
            let entry = JournalEntry {
                position: "1".into(),
                kind: "step".into(),
                name: "a".into(),
                arguments: Digest::of(b""),
                value: Payload::Inline(bytes::Bytes::new()),
            };
            let at = Timestamp::from_millis(0);
            let entries = vec![Recorded { entry: entry.clone(), at }, Recorded { entry, at }];
            scene.first().journal = Some(Journal { origin: InvocationId::new(), tries: 1, entries, now: at });
        },
        &["I10"],
    );
    check(
        |scene| {
            let (id, epoch) = (scene.ids[0], scene.evidence.notes[1].epoch);
            scene.evidence.notes.extend([note(id, "got", "1=7", epoch), note(id, "got", "1=8", epoch)]);
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
    check(|scene| scene.evidence.recoveries.push(took(5)), &[]);
    check(|scene| scene.evidence.recoveries.push(took(6)), &["I11"]);
}

#[test]
fn panics_and_floods_are_noticed() {
    let told = |lines: &[&str], disturbances| {
        let log = Log { name: "worker".to_owned(), text: lines.join("\n"), disturbances };
        move |scene: &mut Scene| scene.evidence.logs.push(log)
    };
    let line = |second, text| format!("2026-01-31T10:20:{second:02}.000001Z  WARN pynenc: {text}");
    let (first, second, later) = (line(1, "no answer 17"), line(20, "no answer 4"), line(59, "no answer 5"));
    check(told(&[&first, &later], 0), &[]);
    check(told(&[&first, &second], 1), &[]);
    check(told(&[&first, &second], 0), &["I12"]);
    let of_one = line(2, "failed invocation=1");
    check(told(&[&of_one, &of_one], 0), &[]);
    check(told(&[&line(3, "will be retried due=Some(Timestamp(7))")], 9), &["I12"]);
    check(told(&["thread 'main' panicked at src/lib.rs:1:1:", "a reason"], 9), &["I12"]);
}
