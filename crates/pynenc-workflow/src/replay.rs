//! Replay: decides which operation gets which journal entry, and when. It performs no I/O.
//!
//! Entries are replayed in the order in which they were appended, whichever operation asks first. So concurrent
//! operations complete in the same order in every run. New operations are performed after all recorded entries have
//! been replayed.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::record::{Payload, TaskError};
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::state_backend::{Journal, JournalEntry, JournalRecord};
use pynenc_core::trigger_store::EventWait;
use pynenc_core::{Digest, InvocationId, Serializer, SerializerExt, Timestamp};
use pynenc_engine::Mismatch;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::operation_kind;

/// A wait for a time or an event, during which the run may be suspended.
#[derive(Debug, Clone, Default)]
pub(crate) struct DurableWait {
    /// The time, by the store's clock.
    pub(crate) until: Option<Timestamp>,
    pub(crate) event: Option<EventWait>,
}

/// An operation that was called and whose future isn't dropped.
#[derive(Debug)]
struct OpenOperation {
    branch: Box<str>,
    position: Box<str>,
    description: String,
    /// Whether the future was polled. Operations that were only called don't wait for anything.
    is_polled: bool,
    awaits_turn: bool,
    wait: Option<DurableWait>,
}

impl OpenOperation {
    fn is_at(&self, position: &str) -> bool {
        let position = repeated_position(position).unwrap_or(position);
        *self.position == *position || position.strip_suffix(END) == Some(&*self.position)
    }
}

/// The suffix of a position at which the end of an operation is recorded.
pub(crate) const END: &str = ".end";

/// The separator between a position and the number of the attempt that repeated its operation.
const REPEATED: char = '~';

/// Returns the original position of an operation that was repeated after its failure.
fn repeated_position(position: &str) -> Option<&str> {
    let (before, number) = position.rsplit_once(REPEATED)?;
    number.bytes().all(|digit| digit.is_ascii_digit()).then_some(before)
}

/// The number and the position of a called operation.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) position: Box<str>,
    /// An open operation of the same branch, which makes the order of operations unstable.
    pub(crate) overlaps: Option<String>,
}

/// The reply to an operation that asks for its entry.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// The operation's entry.
    Replay(JournalRecord),
    /// The operation isn't recorded, and all recorded entries have been replayed.
    Perform,
    /// Other operations come first.
    Wait,
}

/// A journal, and how far a run has replayed it.
#[derive(Debug)]
pub(crate) struct Replay {
    /// The invocation that began the journal.
    pub(crate) origin: InvocationId,
    /// The number of attempts that opened the journal.
    pub(crate) attempts: u32,
    /// How far the store's clock is ahead of this process's clock, in milliseconds.
    clock_offset: i64,
    entries: Vec<JournalRecord>,
    /// The indexes of the entries that count, by position.
    indexes: FxHashMap<Box<str>, usize>,
    /// For each entry, whether it has been replayed or is skipped.
    passed: Vec<bool>,
    /// The positions of recorded failures that are tried again.
    repeated: FxHashSet<Box<str>>,
    /// The index of the next entry to replay.
    next: usize,
    /// The number of entries that this run has appended.
    appended: usize,
    open: BTreeMap<u64, OpenOperation>,
    last_number: u64,
    /// The number of operations that were called, by branch.
    branches: FxHashMap<Box<str>, u64>,
    /// Failures that the task function got. They are recorded if the function calls another operation.
    failures: Vec<JournalEntry>,
    /// Failures that the task function has handled, and that aren't recorded yet.
    handled: Vec<JournalEntry>,
    /// The sequence number of the last received event, by name and key.
    received: FxHashMap<(Box<str>, Option<Box<str>>), u64>,
}

impl Replay {
    /// Makes the replay of a run that hasn't opened its journal.
    pub(crate) fn unopened(id: InvocationId) -> Self {
        Self {
            origin: id,
            attempts: 1,
            clock_offset: 0,
            entries: Vec::new(),
            indexes: FxHashMap::default(),
            passed: Vec::new(),
            repeated: FxHashSet::default(),
            next: 0,
            appended: 0,
            open: BTreeMap::new(),
            last_number: 0,
            branches: FxHashMap::default(),
            failures: Vec::new(),
            handled: Vec::new(),
            received: FxHashMap::default(),
        }
    }

    /// Takes over a journal that was read at the time `local` of this process's clock.
    ///
    /// `errors` are those with which earlier attempts ended. An operation is tried again if its recorded failure ended one
    /// of them: an error contains its message, and no later entry is in the same branch, an outer or an inner one.
    pub(crate) fn open(&mut self, journal: Journal, local: Timestamp, errors: &[Box<str>]) {
        let Journal { origin, tries, entries, now } = journal;
        (self.origin, self.attempts) = (origin, tries);
        self.clock_offset =
            i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - i64::try_from(local.as_millis()).unwrap_or(i64::MAX);
        self.passed = vec![false; entries.len()];
        self.entries = entries;
        for index in 0..self.entries.len() {
            let position = self.original_position(index);
            if let Some(earlier) = self.indexes.insert(position.clone(), index) {
                self.passed[earlier] = true;
                self.repeated.insert(position);
            }
        }
        self.skip_final_failures(errors);
        self.advance();
    }

    fn original_position(&self, index: usize) -> Box<str> {
        let position = &*self.entries[index].entry.position;
        repeated_position(position).unwrap_or(position).into()
    }

    fn skip_final_failures(&mut self, errors: &[Box<str>]) {
        for index in 0..self.entries.len() {
            if !self.passed[index] && self.is_final_failure(index, errors) {
                let position = self.original_position(index);
                self.passed[index] = true;
                self.indexes.remove(&position);
                self.repeated.insert(position);
            }
        }
    }

    /// Whether an entry is the failure that ended an earlier attempt.
    fn is_final_failure(&self, index: usize, errors: &[Box<str>]) -> bool {
        let entry = &self.entries[index].entry;
        let branch = branch_of(&entry.position);
        let may_follow = |other: &JournalRecord| {
            let other = branch_of(&other.entry.position);
            is_within(other, branch) || is_within(branch, other)
        };
        operation_kind::is_failure(entry)
            && errors.iter().any(|error| contains_failure(error, entry))
            && !self.entries[index + 1..].iter().any(may_follow)
    }

    /// Returns the position at which to record an operation: another one if its failure is recorded and tried again.
    pub(crate) fn recording_position(&self, position: &str) -> Box<str> {
        if self.repeated.contains(position) {
            format!("{position}{REPEATED}{}", self.attempts).into()
        } else {
            position.into()
        }
    }

    /// Converts a time of the store's clock to this process's clock.
    pub(crate) fn local(&self, store: Timestamp) -> Timestamp {
        let offset = Duration::from_millis(self.clock_offset.unsigned_abs());
        if self.clock_offset > 0 { store - offset } else { store + offset }
    }

    /// Converts a time of this process's clock to the store's clock.
    pub(crate) fn in_store(&self, local: Timestamp) -> Timestamp {
        let offset = Duration::from_millis(self.clock_offset.unsigned_abs());
        if self.clock_offset > 0 { local + offset } else { local - offset }
    }

    /// Calls an operation. The task function has handled the failures that it got before.
    pub(crate) fn call(&mut self, branch: &str, kind: &str, name: &str) -> Call {
        self.handled.append(&mut self.failures);
        let open = self.open.values().find(|operation| operation.is_polled && *operation.branch == *branch);
        let overlaps = open.map(|operation| format!("{} at {}", operation.description, operation.position));
        let last = self.branches.entry(branch.into()).or_default();
        *last += 1;
        self.last_number += 1;
        let (number, position): (_, Box<str>) = (self.last_number, format!("{branch}{last}").into());
        let operation = OpenOperation {
            branch: branch.into(),
            position: position.clone(),
            description: operation_kind::describe(kind, name),
            is_polled: false,
            awaits_turn: false,
            wait: None,
        };
        self.open.insert(number, operation);
        Call { number, position, overlaps }
    }

    pub(crate) fn mark_polled(&mut self, number: u64) {
        if let Some(operation) = self.open.get_mut(&number) {
            operation.is_polled = true;
        }
    }

    /// Closes an operation that has completed or was dropped. Its entries are skipped.
    pub(crate) fn close(&mut self, number: u64) {
        let Some(operation) = self.open.remove(&number) else { return };
        for position in [operation.position.clone(), format!("{}{END}", operation.position).into()] {
            if let Some(index) = self.indexes.get(&position) {
                self.passed[*index] = true;
            }
        }
        self.advance();
    }

    /// Returns the entry at a position if its turn has come, and moves on to the next entry.
    pub(crate) fn turn(&mut self, number: u64, position: &str) -> Turn {
        let turn = match self.indexes.get(position) {
            Some(index) if *index == self.next => Turn::Replay(self.entries[*index].clone()),
            None if self.is_over() => Turn::Perform,
            Some(_) | None => Turn::Wait,
        };
        if matches!(turn, Turn::Replay(_)) {
            self.passed[self.next] = true;
            self.advance();
        }
        if let Some(operation) = self.open.get_mut(&number) {
            operation.awaits_turn = turn == Turn::Wait;
        }
        turn
    }

    /// Whether no other operation is open.
    pub(crate) fn is_alone(&self, number: u64) -> bool {
        self.open.keys().all(|other| *other == number)
    }

    /// Whether no other operation will be open in the next run either. An operation that has failed is open there until
    /// its failure is replayed, which is recorded later.
    pub(crate) fn stays_alone(&self, number: u64) -> bool {
        self.is_alone(number) && self.failures.is_empty() && self.handled.is_empty()
    }

    /// Whether all recorded entries have been replayed.
    fn is_over(&self) -> bool {
        self.next >= self.entries.len()
    }

    fn advance(&mut self) {
        while self.passed.get(self.next).is_some_and(|passed| *passed) {
            self.next += 1;
        }
    }

    /// Returns the next entry to replay.
    pub(crate) fn next_entry(&self) -> Option<&JournalEntry> {
        self.entries.get(self.next).map(|recorded| &recorded.entry)
    }

    /// Whether all open operations wait for their turn, and no operation asks for the next entry.
    pub(crate) fn is_stalled(&self) -> bool {
        let Some(next) = self.next_entry() else { return false };
        let mut polled = self.open.values().filter(|operation| operation.is_polled);
        polled.all(|operation| operation.awaits_turn)
            && !self.open.values().any(|operation| operation.is_at(&next.position))
    }

    pub(crate) fn set_wait(&mut self, number: u64, wait: Option<DurableWait>) {
        if let Some(operation) = self.open.get_mut(&number) {
            operation.wait = wait;
        }
    }

    /// Returns the waits of the open operations, if there are any and all of them wait for times or events.
    pub(crate) fn durable_waits(&self) -> Option<Vec<DurableWait>> {
        let open = self.open.values().filter(|operation| operation.is_polled);
        let waits: Vec<DurableWait> = open.map(|operation| operation.wait.clone()).collect::<Option<_>>()?;
        Some(waits).filter(|waits| !waits.is_empty())
    }

    /// Returns the number of entries in the journal.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.appended
    }

    /// Keeps a failure that the task function gets.
    pub(crate) fn failed(&mut self, entry: JournalEntry) {
        self.failures.push(entry);
    }

    /// Returns the handled failures, followed by `entry`.
    pub(crate) fn with_handled_failures(&self, entry: JournalEntry) -> Vec<JournalEntry> {
        self.handled.iter().cloned().chain([entry]).collect()
    }

    /// Notes that handled failures and one more entry were appended: `count` entries in total.
    pub(crate) fn appended(&mut self, count: usize) {
        self.handled.drain(..count.saturating_sub(1).min(self.handled.len()));
        self.appended += count;
    }

    /// Returns the sequence number of the last event that a wait for this name and key received; 0 if none did.
    pub(crate) fn last_received(&self, name: &str, key: Option<&str>) -> u64 {
        self.received.get(&(name.into(), key.map(Into::into))).copied().unwrap_or_default()
    }

    pub(crate) fn set_received(&mut self, name: &str, key: Option<&str>, sequence: u64) {
        self.received.insert((name.into(), key.map(Into::into)), sequence);
    }
}

fn branch_of(position: &str) -> &str {
    position.rsplit_once('/').map_or("", |(branch, _)| branch)
}

/// Whether a branch is another one, or inside it.
fn is_within(branch: &str, outer: &str) -> bool {
    let inner = branch.strip_prefix(outer);
    inner.is_some_and(|inner| inner.is_empty() || outer.is_empty() || inner.starts_with('/'))
}

/// Whether the error that ended an attempt was caused by the failure of an entry: the error contains the failure's
/// message, however the task function wrapped it.
fn contains_failure(error: &str, entry: &JournalEntry) -> bool {
    let Payload::Inline(bytes) = &entry.value else { return false };
    let failure = FAILURE_SERIALIZERS.iter().find_map(|serializer| serializer.decode_as::<TaskError>(bytes).ok());
    failure.is_some_and(|failure| !failure.message.is_empty() && error.contains(&failure.message))
}

/// The serializers that may have written a failure.
const FAILURE_SERIALIZERS: [&dyn Serializer; 2] = [&JsonSerializer, &MsgPackSerializer];

/// Compares an entry with the operation at its position, and returns the difference.
pub(crate) fn mismatch(entry: &JournalEntry, kind: &str, name: &str, arguments: Digest) -> Option<Mismatch> {
    let recorded = operation_kind::describe(operation_kind::of_entry(entry), &entry.name);
    let found = operation_kind::describe(kind, name);
    let found = if recorded != found {
        found
    } else if entry.arguments != arguments {
        format!("{found} with other arguments")
    } else {
        return None;
    };
    Some(Mismatch { position: entry.position.to_string(), recorded, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_within_itself_and_its_outer_branches_but_not_within_a_namesake() {
        for (branch, outer) in [("item1", "item1"), ("item1", ""), ("orders/item1", "orders"), ("", "")] {
            assert!(is_within(branch, outer), "{branch} in {outer}");
        }
        for (branch, outer) in [("item10", "item1"), ("item1", "item10"), ("orders", "orders/item1"), ("", "item1")] {
            assert!(!is_within(branch, outer), "{branch} in {outer}");
        }
    }
}
