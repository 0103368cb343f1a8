//! The promises that must hold in every simulation.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::PoisonError;

use futures_util::FutureExt;
use pynenc_core::orchestrator::{Find, HistoryEntry, Tracked};
use pynenc_core::reads::history;
use pynenc_core::record::{Outcome, Payload};
use pynenc_core::serializer::JsonSerializer;
use pynenc_core::state_backend::Listing;
use pynenc_core::{InvocationId, SerializerExt, Status};

use super::tasks::{LIMIT, Value};
use super::world::{Accepted, World};

/// A broken promise.
#[derive(Debug)]
pub struct Violation {
    /// The seed of the simulation.
    pub seed: u64,
    /// The promise.
    pub promise: &'static str,
    /// The observation that breaks the promise.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: not {}: {}", self.seed, self.promise, self.found)
    }
}

impl std::error::Error for Violation {}

/// Stores in memory answer at once.
fn now<T>(answer: impl Future<Output = pynenc_core::Result<T>>) -> T {
    answer.now_or_never().expect("a store in memory answers at once").expect("a store in memory has no faults")
}

fn all_invocations(world: &World) -> Vec<Tracked> {
    now(world.orchestrator().find(&Find { limit: usize::MAX, ..Find::default() })).items
}

fn accepted(world: &World) -> Vec<Accepted> {
    world.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether every invocation has finished.
pub(super) fn all_finished(world: &World) -> bool {
    let counts = now(world.orchestrator().count());
    counts.statuses.iter().all(|(status, count)| status.is_final() || *count == 0)
}

pub(super) fn unfinished(world: &World) -> Violation {
    let mut found = String::new();
    for item in all_invocations(world).into_iter().filter(|item| !item.record.status.is_final()) {
        let history = now(history(world.orchestrator(), item.id));
        let Tracked { id, task, record, .. } = item;
        // Writing into a string can't fail.
        let _ = write!(found, "\n{id} {task} {}:{}", record.status, shown(&history));
    }
    let runners = now(world.orchestrator().runners());
    violation(world, "every accepted invocation finishes", format!("{found}\nrunners {runners:#?}"))
}

/// Runs the oracles for a step that changed a record.
pub(super) fn check_step(world: &mut World) -> Result<(), Violation> {
    let counts = now(world.orchestrator().count());
    if counts == world.seen.counts {
        return Ok(());
    }
    world.seen.counts = counts;
    check_slots(world)?;
    check_new_completions(world)
}

fn with_statuses(world: &World, statuses: &[Status]) -> Vec<Tracked> {
    now(world.orchestrator().find(&Find { statuses: statuses.to_vec(), limit: usize::MAX, ..Find::default() })).items
}

/// Checks the concurrency limits.
fn check_slots(world: &mut World) -> Result<(), Violation> {
    let mut holders: BTreeMap<(String, u64), u32> = BTreeMap::new();
    for item in with_statuses(world, &[Status::Pending, Status::Running, Status::Paused]) {
        if item.limited {
            *holders.entry((item.task.to_string(), key(world, item.id))).or_default() += 1;
        }
    }
    for ((task, key), count) in holders {
        let limit = if task == "limited" { LIMIT } else { 1 };
        if count > limit {
            let found = format!("{count} holders of key {key} of {task}");
            return Err(violation(world, "concurrency limits are never exceeded", found));
        }
    }
    Ok(())
}

fn key(world: &mut World, id: InvocationId) -> u64 {
    if let Some(key) = world.seen.keys.get(&id) {
        return *key;
    }
    let record = now(world.stores.state.invocations(&[id])).pop().flatten();
    let key = match record.and_then(|record| record.arguments.first().map(|argument| argument.value.clone())) {
        Some(Payload::Inline(bytes)) => JsonSerializer.decode_as(&bytes).unwrap_or(u64::MAX),
        _ => u64::MAX,
    };
    world.seen.keys.insert(id, key);
    key
}

/// Checks that a success has its outcome from the start.
fn check_new_completions(world: &mut World) -> Result<(), Violation> {
    for item in with_statuses(world, &[Status::Success]) {
        if !world.seen.values.contains_key(&item.id) {
            let value = check_outcome(world, &item)?;
            world.seen.values.insert(item.id, value);
        }
    }
    Ok(())
}

/// Runs every oracle for a finished simulation.
pub(super) fn check(world: &World) -> Result<(), Violation> {
    for item in all_invocations(world) {
        check_history(world, &item)?;
        check_unchanged(world, &item)?;
    }
    for call in accepted(world) {
        check_accepted(world, call)?;
    }
    Ok(())
}

fn check_accepted(world: &World, call: Accepted) -> Result<(), Violation> {
    let found = now(world.orchestrator().records(&[call.id])).pop().flatten();
    let Some(item) = found else {
        return Err(violation(world, "no accepted invocation is lost", format!("{} is gone", call.id)));
    };
    if let Some(value) = value(world, &item)
        && item.task.as_str() != "single"
        && value.0 != call.n * 2
    {
        return Err(violation(world, "a result belongs to its own call", format!("{} returned {value:?}", call.id)));
    }
    Ok(())
}

fn check_history(world: &World, item: &Tracked) -> Result<(), Violation> {
    let history = now(history(world.orchestrator(), item.id));
    let finals = history.iter().filter(|entry| entry.status.is_final()).count();
    if finals != 1 || history.last().is_none_or(|entry| entry.status != item.record.status) {
        return Err(violation(world, "exactly one final outcome is recorded", shown(&history)));
    }
    let contiguous = history.iter().zip(1u64..).all(|(entry, version)| entry.version == version);
    if !contiguous {
        return Err(violation(world, "versions grow by one", shown(&history)));
    }
    let starts = world.ledger.starts(item.id);
    if starts > item.record.starts as usize {
        let found = format!("{} began {starts} times:{}", item.id, shown(&history));
        return Err(violation(world, "the history has each run of a task function", found));
    }
    Ok(())
}

fn check_outcome(world: &World, item: &Tracked) -> Result<Value, Violation> {
    match value(world, item) {
        Some((doubled, epoch)) if epoch == item.record.epoch => Ok((doubled, epoch)),
        found => {
            let history = now(history(world.orchestrator(), item.id));
            let found = format!("{} has {found:?} at epoch {}:{}", item.id, item.record.epoch, shown(&history));
            Err(violation(world, "a success has the outcome of the epoch that committed", found))
        }
    }
}

/// Checks that an outcome still is the first observed one.
fn check_unchanged(world: &World, item: &Tracked) -> Result<(), Violation> {
    let first = world.seen.values.get(&item.id).copied();
    let last = (item.record.status == Status::Success).then(|| check_outcome(world, item)).transpose()?;
    if first == last {
        Ok(())
    } else {
        Err(violation(world, "an outcome never changes", format!("{first:?}, {last:?}")))
    }
}

fn value(world: &World, item: &Tracked) -> Option<Value> {
    let epoch = if world.ignores_epochs() { 0 } else { item.record.epoch };
    match now(world.stores.state.outcome(item.id, epoch))? {
        Outcome::Value { value: Payload::Inline(bytes), .. } => JsonSerializer.decode_as(&bytes).ok(),
        _ => None,
    }
}

/// Checks that no store has anything left after every retention.
pub(super) fn check_nothing_is_left(world: &World) -> Result<(), Violation> {
    let left = all_invocations(world).len();
    let counts = now(world.orchestrator().count());
    let listing = Listing::PutBefore(std::time::Duration::ZERO);
    let records = now(world.stores.state.list(&listing, None, usize::MAX)).items.len();
    let is_clean = left == 0 && records == 0 && counts.statuses.values().chain(counts.queued.values()).all(|n| *n == 0);
    let found = format!("{left} invocations, {records} records, {counts:?}");
    if is_clean { Ok(()) } else { Err(violation(world, "nothing is left after its retention", found)) }
}

fn violation(world: &World, promise: &'static str, found: String) -> Violation {
    Violation { seed: world.seed, promise, found }
}

fn shown(history: &[HistoryEntry]) -> String {
    let line = |entry: &HistoryEntry| {
        let HistoryEntry { status, version, epoch, reason, at, .. } = entry;
        format!("\n  v{version} e{epoch} {status} ({reason}) at {}", at.as_millis() % 100_000_000)
    };
    history.iter().map(line).collect()
}
