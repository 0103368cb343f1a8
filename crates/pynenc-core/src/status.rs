//! The life of an invocation: one table, one pure function, and nothing else that knows it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::RunnerId;

macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one spelling, in storage, configuration and messages.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    Error::invalid(concat!("unknown ", $what)).with("found", text).with("known", known.join(", "))
                })
            }
        }
    };
}

spelled!(
    /// Where an invocation stands.
    Status, "status" {
        /// Accepted, waiting.
        Registered = "registered",
        /// Due later, or put aside by its own body.
        Scheduled = "scheduled",
        /// Blocked by running control, parked until a slot is handed over.
        ConcurrencyControlled = "concurrency_controlled",
        /// Back in the queue.
        Rerouted = "rerouted",
        /// Claimed, not started.
        Pending = "pending",
        /// Its body runs.
        Running = "running",
        /// Its body waits for other invocations and holds no runner slot.
        Paused = "paused",
        /// Failed, will run again at its due time.
        Retry = "retry",
        /// Ended with a value.
        Success = "success",
        /// Ended with an error.
        Failed = "failed",
        /// Ended because somebody asked for it.
        Cancelled = "cancelled",
        /// Ended by running control before it ever ran.
        ConcurrencyControlledFinal = "concurrency_controlled_final",
    }
);

impl Status {
    /// Whether an invocation never leaves this status.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled | Self::ConcurrencyControlledFinal)
    }

    /// Whether a runner owns an invocation in this status.
    pub const fn is_owned(self) -> bool {
        matches!(self, Self::Pending | Self::Running | Self::Paused)
    }

    /// Whether an invocation in this status may be claimed, once it is due.
    pub const fn is_claimable(self) -> bool {
        matches!(self, Self::Registered | Self::Scheduled | Self::Rerouted | Self::Retry)
    }
}

spelled!(
    /// Why an invocation came to its status.
    Reason, "reason" {
        /// A client submitted it.
        Submitted = "submitted",
        /// A runner claimed it.
        Claimed = "claimed",
        /// Its body began.
        Started = "started",
        /// Its body waits for other invocations.
        Waiting = "waiting",
        /// What its body waited for has ended.
        Resumed = "resumed",
        /// Its body put it aside until a time or an event.
        PutAside = "put_aside",
        /// What it was put aside for has come.
        Woken = "woken",
        /// Every slot of its concurrency key is taken.
        SlotTaken = "slot_taken",
        /// A slot of its concurrency key was handed to it.
        SlotHandedOver = "slot_handed_over",
        /// Its body returned a value.
        Returned = "returned",
        /// Its body returned an error or panicked.
        Raised = "raised",
        /// Its body outlived its time limit.
        TimedOut = "timed_out",
        /// Somebody asked for its end.
        CancelRequested = "cancel_requested",
        /// Its runner is shutting down.
        Shutdown = "shutdown",
        /// Its runner's lease ran out.
        OwnerLost = "owner_lost",
        /// Its runner never learned that it had claimed it.
        ClaimLost = "claim_lost",
        /// It took down as many runners as one invocation may.
        PoisonPill = "poison_pill",
        /// No task of its name is known to the runner.
        UnknownTask = "unknown_task",
        /// Its record is missing or can't be understood.
        CorruptRecord = "corrupt_record",
        /// An externalized argument is gone or was altered.
        ArgumentsUnavailable = "arguments_unavailable",
        /// Its value couldn't be stored.
        ResultRejected = "result_rejected",
        /// Its wait closed a circle of invocations that wait for each other.
        WaitCycle = "wait_cycle",
        /// Its workflow's code no longer matches the journal.
        NonDeterminism = "non_determinism",
    }
);

/// Who makes a transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The runner that owns the invocation.
    Owner(RunnerId),
    /// A runner that tries to become its owner.
    Claimer(RunnerId),
    /// Anybody else: a client that cancels, recovery, a slot that is handed over.
    System,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(runner) => write!(f, "runner {runner}, as its owner,"),
            Self::Claimer(runner) => write!(f, "runner {runner}, which doesn't own it,"),
            Self::System => f.write_str("whoever isn't a runner"),
        }
    }
}

/// The statuses that may follow.
fn ways_from(from: Status) -> String {
    let ways: Vec<String> = EDGES.iter().filter(|edge| edge.from == from).map(|edge| edge.to.to_string()).collect();
    if ways.is_empty() { "no other, because it has ended".to_owned() } else { ways.join(", ") }
}

/// One legal edge of the life cycle, and who may take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The status that is left.
    pub from: Status,
    /// The status that is entered.
    pub to: Status,
    /// Who may take it.
    pub actors: Actors,
}

/// Who may take an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actors {
    /// A claiming runner alone.
    Claimer,
    /// The owner alone.
    Owner,
    /// Anybody but the owner, for there is none.
    System,
    /// The owner, or anybody else.
    OwnerOrSystem,
    /// A claiming runner that finds the invocation can't go on, or anybody else.
    ClaimerOrSystem,
}

impl Actors {
    fn include(self, by: By) -> bool {
        match by {
            By::Owner(_) => matches!(self, Self::Owner | Self::OwnerOrSystem),
            By::Claimer(_) => matches!(self, Self::Claimer | Self::ClaimerOrSystem),
            By::System => matches!(self, Self::System | Self::OwnerOrSystem | Self::ClaimerOrSystem),
        }
    }
}

const fn edge(from: Status, to: Status, actors: Actors) -> Edge {
    Edge { from, to, actors }
}

/// The life cycle: every edge that exists.
pub const EDGES: &[Edge] = {
    use Actors::{Claimer, ClaimerOrSystem, Owner, OwnerOrSystem, System};
    use Status::{
        Cancelled, ConcurrencyControlled, ConcurrencyControlledFinal, Failed, Paused, Pending, Registered, Rerouted,
        Retry, Running, Scheduled, Success,
    };
    &[
        edge(Registered, Pending, Claimer),
        edge(Registered, ConcurrencyControlled, Claimer),
        edge(Registered, ConcurrencyControlledFinal, Claimer),
        edge(Registered, Cancelled, ClaimerOrSystem),
        edge(Registered, Failed, ClaimerOrSystem),
        edge(Scheduled, Pending, Claimer),
        edge(Scheduled, Rerouted, System),
        edge(Scheduled, ConcurrencyControlled, Claimer),
        edge(Scheduled, ConcurrencyControlledFinal, Claimer),
        edge(Scheduled, Cancelled, ClaimerOrSystem),
        edge(Scheduled, Failed, ClaimerOrSystem),
        edge(ConcurrencyControlled, Rerouted, System),
        edge(ConcurrencyControlled, Cancelled, System),
        edge(ConcurrencyControlled, Failed, System),
        edge(Rerouted, Pending, Claimer),
        edge(Rerouted, ConcurrencyControlled, Claimer),
        edge(Rerouted, ConcurrencyControlledFinal, Claimer),
        edge(Rerouted, Cancelled, ClaimerOrSystem),
        edge(Rerouted, Failed, ClaimerOrSystem),
        edge(Pending, Running, Owner),
        edge(Pending, Rerouted, OwnerOrSystem),
        edge(Pending, Cancelled, OwnerOrSystem),
        edge(Pending, Failed, OwnerOrSystem),
        edge(Running, Paused, Owner),
        edge(Running, Scheduled, Owner),
        edge(Running, Retry, Owner),
        edge(Running, Rerouted, OwnerOrSystem),
        edge(Running, Success, Owner),
        edge(Running, Failed, OwnerOrSystem),
        edge(Running, Cancelled, OwnerOrSystem),
        edge(Paused, Running, Owner),
        edge(Paused, Success, Owner),
        edge(Paused, Retry, Owner),
        edge(Paused, Scheduled, Owner),
        edge(Paused, Rerouted, OwnerOrSystem),
        edge(Paused, Failed, OwnerOrSystem),
        edge(Paused, Cancelled, OwnerOrSystem),
        edge(Retry, Pending, Claimer),
        edge(Retry, ConcurrencyControlled, Claimer),
        edge(Retry, Cancelled, ClaimerOrSystem),
        edge(Retry, Failed, ClaimerOrSystem),
    ]
};

/// When something is due, by the store's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// This long after the store has the call.
    In(Duration),
    /// At this point.
    At(Timestamp),
}

impl Due {
    /// The point in time, when the store's clock shows `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(delay) => now + delay,
            Self::At(time) => time,
        }
    }
}

/// The state of one invocation, as the orchestrator holds it: the only commit point of the system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// Where it stands.
    pub status: Status,
    /// The runner that owns it while it is pending, running or paused.
    pub owner: Option<RunnerId>,
    /// Grows by one with every transition.
    pub version: u64,
    /// Grows with every claim and with every transition made by another than the owner: the fencing token.
    pub epoch: u64,
    /// How often it was claimed.
    pub deliveries: u32,
    /// How often its body began.
    pub starts: u32,
    /// How often its owner was lost while the body ran.
    pub losses: u32,
    /// Attempts that failed and were followed by another.
    pub retries: u32,
    /// Not to be claimed before this point.
    pub due: Option<Timestamp>,
    /// Somebody asked for its end while a runner owned it.
    pub cancel_requested: bool,
    /// Why it came to this status.
    pub reason: Reason,
    /// When it came to this status.
    pub at: Timestamp,
}

impl StatusRecord {
    /// The record of an invocation that is accepted at `now`.
    pub fn registered(due: Option<Due>, now: Timestamp) -> Self {
        let due = due.map(|due| due.at(now)).filter(|due| *due > now);
        Self {
            status: if due.is_some() { Status::Scheduled } else { Status::Registered },
            owner: None,
            version: 1,
            epoch: 0,
            deliveries: 0,
            starts: 0,
            losses: 0,
            retries: 0,
            due,
            cancel_requested: false,
            reason: Reason::Submitted,
            at: now,
        }
    }

    /// Whether it waits to be claimed and its hint belongs into a queue, now or at its due time.
    pub fn is_queued(&self) -> bool {
        self.status.is_claimable() && (self.status != Status::Scheduled || self.due.is_some())
    }

    /// Whether it could be claimed at `now`.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        self.is_queued() && self.due.is_none_or(|due| due <= now)
    }
}

/// A wish for a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The status to enter.
    pub to: Status,
    /// Who makes it.
    pub by: By,
    /// When the invocation is due: required for `retry`, allowed for `scheduled`, refused elsewhere.
    pub due: Option<Due>,
    /// Why.
    pub reason: Reason,
    /// What the history says beyond the reason, such as the error of an attempt.
    pub detail: Option<Box<str>>,
}

impl Change {
    /// A transition without due time and detail.
    pub fn new(to: Status, by: By, reason: Reason) -> Self {
        Self { to, by, due: None, reason, detail: None }
    }

    /// Adds the due time.
    #[must_use]
    pub fn due(mut self, due: Due) -> Self {
        self.due = Some(due);
        self
    }

    /// Adds what the history says.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// Why a transition was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The record has moved on since the caller saw it.
    #[error("stale: the record is at version {version}, epoch {epoch}")]
    Stale {
        /// The record's version.
        version: u64,
        /// The record's epoch.
        epoch: u64,
    },
    /// The table has no such edge.
    #[error("it can't go from {from} to {to}; from {from} it may go to {}", ways_from(*from))]
    NoEdge {
        /// The record's status.
        from: Status,
        /// The wished one.
        to: Status,
    },
    /// The edge isn't for this actor.
    #[error("{by} may not take it from {from} to {to}")]
    WrongActor {
        /// The record's status.
        from: Status,
        /// The wished one.
        to: Status,
        /// Who tried.
        by: By,
    },
    /// Its due time hasn't come.
    #[error("it is due at {due}, and now is {now}")]
    NotDue {
        /// The due time.
        due: Timestamp,
        /// The store's clock.
        now: Timestamp,
    },
    /// It is scheduled without a due time and waits for its event.
    #[error("waits for an event, not for a time")]
    Asleep,
    /// Running control ends only what has never run.
    #[error("has already run {starts} times and is parked, never dropped")]
    HasRun {
        /// How often its body began.
        starts: u32,
    },
    /// The due time is missing, or isn't allowed here.
    #[error("a due time is required for retry, allowed for scheduled, and refused for {to}")]
    WrongDue {
        /// The wished status.
        to: Status,
    },
    /// No such invocation.
    #[error("no such invocation")]
    Missing,
}

/// The record after `change`, or why there is none.
///
/// Three rules go beyond the table. A record whose end was asked for while it was owned doesn't go back to waiting: the
/// transition that would put it back ends it as `cancelled`. A body is never charged for what its runner did: only
/// a loss while `running` counts as one. And a body that comes so far that it puts itself aside takes no runner down: the
/// losses before that don't count any more.
pub fn advance(record: &StatusRecord, change: &Change, now: Timestamp) -> Result<StatusRecord, Refusal> {
    check(record, change, now)?;
    let cancelled = record.cancel_requested && change.to.is_claimable();
    let to = if cancelled { Status::Cancelled } else { change.to };
    let claimed = to == Status::Pending;
    let by_owner = matches!(change.by, By::Owner(_));
    let lost = record.status == Status::Running && matches!(change.reason, Reason::OwnerLost | Reason::PoisonPill);
    Ok(StatusRecord {
        status: to,
        owner: owner_after(record, to, change.by),
        version: record.version + 1,
        epoch: record.epoch + u64::from(!by_owner),
        deliveries: record.deliveries + u32::from(claimed),
        starts: record.starts + u32::from(record.status == Status::Pending && to == Status::Running),
        losses: if change.reason == Reason::PutAside { 0 } else { record.losses + u32::from(lost) },
        retries: record.retries + u32::from(to == Status::Retry),
        due: if cancelled { None } else { change.due.map(|due| due.at(now)) },
        cancel_requested: record.cancel_requested && !to.is_final(),
        reason: if cancelled { Reason::CancelRequested } else { change.reason },
        at: now,
    })
}

fn owner_after(record: &StatusRecord, to: Status, by: By) -> Option<RunnerId> {
    match by {
        By::Claimer(runner) if to == Status::Pending => Some(runner),
        _ if to.is_owned() => record.owner,
        _ => None,
    }
}

fn check(record: &StatusRecord, change: &Change, now: Timestamp) -> Result<(), Refusal> {
    let (from, to, by) = (record.status, change.to, change.by);
    let edge = EDGES.iter().find(|edge| edge.from == from && edge.to == to).ok_or(Refusal::NoEdge { from, to })?;
    let owner_is_right = !matches!(by, By::Owner(runner) if record.owner != Some(runner));
    if !edge.actors.include(by) || !owner_is_right {
        return Err(Refusal::WrongActor { from, to, by });
    }
    let due_is_right = match to {
        Status::Retry => change.due.is_some(),
        Status::Scheduled => true,
        _ => change.due.is_none(),
    };
    if !due_is_right {
        return Err(Refusal::WrongDue { to });
    }
    check_claim(record, change, now)
}

/// What a claimer has to respect beyond the table.
fn check_claim(record: &StatusRecord, change: &Change, now: Timestamp) -> Result<(), Refusal> {
    if !matches!(change.by, By::Claimer(_)) {
        return Ok(());
    }
    if let Some(due) = record.due.filter(|due| *due > now) {
        return Err(Refusal::NotDue { due, now });
    }
    if record.status == Status::Scheduled && record.due.is_none() {
        return Err(Refusal::Asleep);
    }
    if change.to == Status::ConcurrencyControlledFinal && record.starts > 0 {
        return Err(Refusal::HasRun { starts: record.starts });
    }
    Ok(())
}

/// What a caller believes of the record that it wants to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// The version it saw.
    pub version: u64,
    /// The epoch it saw.
    pub epoch: u64,
}

impl From<&StatusRecord> for Expect {
    fn from(record: &StatusRecord) -> Self {
        Self { version: record.version, epoch: record.epoch }
    }
}

/// The answer to a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The record to store.
    Advanced(StatusRecord),
    /// The record already is what this very transition makes of it: a repeat whose first reply was lost.
    AlreadyMine,
    /// Nothing changes.
    Refused(Refusal),
}

/// Judges a compare-and-set: version and epoch first, then [`advance`].
pub fn judge(record: &StatusRecord, expect: Expect, change: &Change, now: Timestamp) -> Verdict {
    if is_repeat(record, expect, change) {
        return Verdict::AlreadyMine;
    }
    if record.version != expect.version || record.epoch != expect.epoch {
        return Verdict::Refused(Refusal::Stale { version: record.version, epoch: record.epoch });
    }
    match advance(record, change, now) {
        Ok(next) => Verdict::Advanced(next),
        Err(refusal) => Verdict::Refused(refusal),
    }
}

/// An epoch has one owner and a version one transition, so the pair that a transition makes is made by nobody else.
fn is_repeat(record: &StatusRecord, expect: Expect, change: &Change) -> bool {
    let epoch = expect.epoch + u64::from(!matches!(change.by, By::Owner(_)));
    let reached = record.status == change.to && record.reason == change.reason;
    let cancelled_instead = record.status == Status::Cancelled && change.to.is_claimable();
    record.version == expect.version + 1 && record.epoch == epoch && (reached || cancelled_instead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_refusal_names_the_ways_that_there_are() {
        let refusal = |from, to| Refusal::NoEdge { from, to }.to_string();
        assert_eq!(
            refusal(Status::Registered, Status::Success),
            "it can't go from registered to success; from registered it may go to pending, concurrency_controlled, \
             concurrency_controlled_final, cancelled, failed"
        );
        assert!(refusal(Status::Success, Status::Running).ends_with("to no other, because it has ended"));
        let due = Refusal::NotDue { due: Timestamp::from_millis(2000), now: Timestamp::from_millis(1000) };
        assert_eq!(due.to_string(), "it is due at 1970-01-01T00:00:02.000Z, and now is 1970-01-01T00:00:01.000Z");
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
    fn exactly_the_edges_of_the_table_are_taken() {
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
    fn a_final_status_is_never_left_and_every_other_one_can_be() {
        for &status in Status::ALL {
            assert_eq!(EDGES.iter().any(|edge| edge.from == status), !status.is_final(), "{status}");
        }
    }

    #[test]
    fn only_the_owner_moves_what_it_owns() {
        let (owner, other) = (RunnerId::new(), RunnerId::new());
        let refused = advance(&record(Status::Running, owner), &change(Status::Success, By::Owner(other)), NOW);
        assert!(matches!(refused, Err(Refusal::WrongActor { .. })));
    }

    #[test]
    fn what_is_due_later_is_not_claimed() {
        let runner = RunnerId::new();
        let later = StatusRecord::registered(Some(Due::In(Duration::from_secs(1))), NOW);
        let claim = change(Status::Pending, By::Claimer(runner));
        assert!(matches!(advance(&later, &claim, NOW), Err(Refusal::NotDue { .. })));
        assert!(advance(&later, &claim, NOW + Duration::from_secs(1)).is_ok());
        let asleep = StatusRecord { due: None, ..later };
        assert_eq!(advance(&asleep, &claim, NOW), Err(Refusal::Asleep));
    }

    #[test]
    fn what_has_run_is_never_dropped() {
        let mut ran = record(Status::Rerouted, RunnerId::new());
        ran.starts = 1;
        let drop = change(Status::ConcurrencyControlledFinal, By::Claimer(RunnerId::new()));
        assert_eq!(advance(&ran, &drop, NOW), Err(Refusal::HasRun { starts: 1 }));
    }

    #[test]
    fn a_cancel_that_was_asked_for_ends_what_would_go_back() {
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
    fn only_a_loss_while_running_is_charged() {
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
    fn who_puts_itself_aside_has_taken_nobody_down() {
        let owner = RunnerId::new();
        let running = StatusRecord { losses: 2, ..record(Status::Running, owner) };
        let aside = Change::new(Status::Scheduled, By::Owner(owner), Reason::PutAside);
        assert_eq!(advance(&running, &aside, NOW).unwrap().losses, 0);
    }

    #[test]
    fn a_repeat_is_recognized_and_a_stale_owner_is_refused() {
        let owner = RunnerId::new();
        let running = record(Status::Running, owner);
        let settle = change(Status::Success, By::Owner(owner));
        let Verdict::Advanced(done) = judge(&running, Expect::from(&running), &settle, NOW) else { panic!("legal") };
        assert_eq!(judge(&done, Expect::from(&running), &settle, NOW), Verdict::AlreadyMine);

        let reroute = change(Status::Rerouted, By::System);
        let Verdict::Advanced(lost) = judge(&running, Expect::from(&running), &reroute, NOW) else { panic!("legal") };
        assert!(matches!(judge(&lost, Expect::from(&running), &settle, NOW), Verdict::Refused(Refusal::Stale { .. })));
    }

    fn any_change(runner: RunnerId) -> impl Strategy<Value = Change> {
        (0..Status::ALL.len(), 0..3usize).prop_map(move |(to, by)| change(Status::ALL[to], actors(runner)[by]))
    }

    proptest! {
        /// Whatever is tried, in any order: versions count transitions, epochs never fall, nothing leaves an end,
        /// and an owner is there exactly while the status says so.
        #[test]
        fn any_walk_keeps_the_books(changes in prop::collection::vec(any_change(RunnerId::from_bytes([7; 16])), 0..60)) {
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
}
