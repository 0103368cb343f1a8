//! Which operation of a body gets which entry of its journal, and when: decided without doing anything.
//!
//! Entries are given out in the order in which they were appended, whichever operation asks first: of several that are
//! open at once, they come to their ends in the same order in every run. What isn't recorded begins when everything that
//! is has been given out.

use std::collections::BTreeMap;
use std::time::Duration;

use pynenc_core::record::{Payload, TaskError};
use pynenc_core::serializer::{JsonSerializer, MsgPackSerializer};
use pynenc_core::state_backend::{Journal, JournalEntry, Recorded};
use pynenc_core::trigger_store::EventWait;
use pynenc_core::{Digest, InvocationId, Serializer, SerializerExt, Timestamp};
use pynenc_engine::Mismatch;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::kind;

/// What an operation waits for while its body needn't be in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wait {
    /// By the store's clock.
    pub(crate) until: Option<Timestamp>,
    pub(crate) event: Option<EventWait>,
}

/// An operation that was called, until its future is dropped.
#[derive(Debug)]
struct Called {
    branch: Box<str>,
    position: Box<str>,
    shown: String,
    is_polled: bool,
    awaits_turn: bool,
    wait: Option<Wait>,
}

impl Called {
    fn is_at(&self, position: &str) -> bool {
        let position = again_at(position).unwrap_or(position);
        *self.position == *position || position.strip_suffix(END) == Some(&*self.position)
    }
}

/// What is behind the position of an operation where its end is recorded beside its beginning.
pub(crate) const END: &str = ".end";

/// The position that another one stands for, whose failure ended an earlier try.
fn again_at(position: &str) -> Option<&str> {
    let (before, number) = position.rsplit_once(AGAIN)?;
    number.bytes().all(|digit| digit.is_ascii_digit()).then_some(before)
}

/// What is between a position and the number of the try that came there again.
const AGAIN: char = '~';

/// A call's place.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) position: Box<str>,
    /// What was open in the same branch, which makes the order unstable.
    pub(crate) overlaps: Option<String>,
}

/// What an operation gets when it asks for its entry.
#[derive(Debug, PartialEq)]
pub(crate) enum Turn {
    /// Its entry.
    Recorded(Recorded),
    /// There is none, and everything that is recorded was given out.
    Live,
    /// Others come first.
    Later,
}

/// A journal, and how far a body has come in it.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) origin: InvocationId,
    pub(crate) tries: u32,
    /// How far the store's clock is ahead of this process's, in milliseconds.
    ahead: i64,
    recorded: Vec<Recorded>,
    places: FxHashMap<Box<str>, usize>,
    passed: Vec<bool>,
    /// The positions at which something is recorded that doesn't count any more.
    again: FxHashSet<Box<str>>,
    next: usize,
    appended: usize,
    calls: BTreeMap<u64, Called>,
    last_call: u64,
    branches: FxHashMap<Box<str>, u64>,
    /// Failures that were given to the body: they are recorded if it goes on.
    failures: Vec<JournalEntry>,
    /// Those that it went on from.
    handled: Vec<JournalEntry>,
    /// By name and key: the last event that was chosen.
    chosen: FxHashMap<(Box<str>, Option<Box<str>>), u64>,
}

impl Replay {
    /// The state before anything is read.
    pub(crate) fn unread(id: InvocationId) -> Self {
        Self {
            origin: id,
            tries: 1,
            ahead: 0,
            recorded: Vec::new(),
            places: FxHashMap::default(),
            passed: Vec::new(),
            again: FxHashSet::default(),
            next: 0,
            appended: 0,
            calls: BTreeMap::new(),
            last_call: 0,
            branches: FxHashMap::default(),
            failures: Vec::new(),
            handled: Vec::new(),
            chosen: FxHashMap::default(),
        }
    }

    /// Takes what was read, when this process's clock shows `local`. What ended an earlier try is tried again: a failure
    /// whose message is in one of `endings`, and behind which nothing is recorded that may follow from it.
    pub(crate) fn open(&mut self, journal: Journal, local: Timestamp, endings: &[Box<str>]) {
        let Journal { origin, tries, entries, now } = journal;
        (self.origin, self.tries) = (origin, tries);
        self.ahead =
            i64::try_from(now.as_millis()).unwrap_or(i64::MAX) - i64::try_from(local.as_millis()).unwrap_or(i64::MAX);
        self.passed = vec![false; entries.len()];
        self.recorded = entries;
        for place in 0..self.recorded.len() {
            let position = &*self.recorded[place].entry.position;
            let position: Box<str> = again_at(position).unwrap_or(position).into();
            if let Some(earlier) = self.places.insert(position.clone(), place) {
                self.passed[earlier] = true;
                self.again.insert(position);
            }
        }
        self.leave_out_endings(endings);
        self.advance();
    }

    fn leave_out_endings(&mut self, endings: &[Box<str>]) {
        for place in 0..self.recorded.len() {
            if !self.passed[place] && self.is_ending(place, endings) {
                let position = &*self.recorded[place].entry.position;
                let position: Box<str> = again_at(position).unwrap_or(position).into();
                self.passed[place] = true;
                self.places.remove(&position);
                self.again.insert(position);
            }
        }
    }

    fn is_ending(&self, place: usize, endings: &[Box<str>]) -> bool {
        let entry = &self.recorded[place].entry;
        let branch = branch_of(&entry.position);
        let follows = |other: &Recorded| {
            let other = branch_of(&other.entry.position);
            other.starts_with(branch) || branch.starts_with(other)
        };
        kind::has_failed(entry)
            && endings.iter().any(|ending| tells_of(ending, entry))
            && !self.recorded[place + 1..].iter().any(follows)
    }

    /// Where an operation at a position is recorded.
    pub(crate) fn to_record_at(&self, position: &str) -> Box<str> {
        if self.again.contains(position) { format!("{position}{AGAIN}{}", self.tries).into() } else { position.into() }
    }

    /// A point of the store's clock by that of this process.
    pub(crate) fn local(&self, store: Timestamp) -> Timestamp {
        let length = Duration::from_millis(self.ahead.unsigned_abs());
        if self.ahead > 0 { store - length } else { store + length }
    }

    /// A point of this process's clock by that of the store.
    pub(crate) fn in_store(&self, local: Timestamp) -> Timestamp {
        let length = Duration::from_millis(self.ahead.unsigned_abs());
        if self.ahead > 0 { local + length } else { local - length }
    }

    /// Gives a call its place. What went wrong before was handled by the body: it goes on.
    pub(crate) fn call(&mut self, branch: &str, kind: &str, name: &str) -> Place {
        self.handled.append(&mut self.failures);
        let open = self.calls.values().find(|call| call.is_polled && *call.branch == *branch);
        let overlaps = open.map(|call| format!("{} at {}", call.shown, call.position));
        let last = self.branches.entry(branch.into()).or_default();
        *last += 1;
        self.last_call += 1;
        let (number, position): (_, Box<str>) = (self.last_call, format!("{branch}{last}").into());
        let called = Called {
            branch: branch.into(),
            position: position.clone(),
            shown: kind::shown(kind, name),
            is_polled: false,
            awaits_turn: false,
            wait: None,
        };
        self.calls.insert(number, called);
        Place { number, position, overlaps }
    }

    pub(crate) fn polled(&mut self, number: u64) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.is_polled = true;
        }
    }

    /// Ends a call, whether it came to its end or was dropped: its entries aren't waited for any more.
    pub(crate) fn close(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else { return };
        for position in [call.position.clone(), format!("{}{END}", call.position).into()] {
            if let Some(place) = self.places.get(&position) {
                self.passed[*place] = true;
            }
        }
        self.advance();
    }

    /// Whether it is the turn of a call's entry; if so, the entry is passed.
    pub(crate) fn turn(&mut self, number: u64, position: &str) -> Turn {
        let turn = match self.places.get(position) {
            Some(place) if *place == self.next => Turn::Recorded(self.recorded[*place].clone()),
            None if self.is_over() => Turn::Live,
            Some(_) | None => Turn::Later,
        };
        if matches!(turn, Turn::Recorded(_)) {
            self.passed[self.next] = true;
            self.advance();
        }
        if let Some(call) = self.calls.get_mut(&number) {
            call.awaits_turn = turn == Turn::Later;
        }
        turn
    }

    /// Whether a call is the only one that is open.
    pub(crate) fn is_alone(&self, number: u64) -> bool {
        self.calls.keys().all(|other| *other == number)
    }

    /// Whether a call will be the only one in the next run too: one that has failed is open there until its entry comes,
    /// which is recorded later.
    pub(crate) fn stays_alone(&self, number: u64) -> bool {
        self.is_alone(number) && self.failures.is_empty() && self.handled.is_empty()
    }

    /// Whether everything that is recorded was given out.
    pub(crate) fn is_over(&self) -> bool {
        self.next >= self.recorded.len()
    }

    fn advance(&mut self) {
        while self.passed.get(self.next).is_some_and(|passed| *passed) {
            self.next += 1;
        }
    }

    /// The entry that the body should have come to.
    pub(crate) fn head(&self) -> Option<&JournalEntry> {
        self.recorded.get(self.next).map(|recorded| &recorded.entry)
    }

    /// Whether all that is open waits for an entry that nobody asks for.
    pub(crate) fn is_stalled(&self) -> bool {
        let Some(head) = self.head() else { return false };
        let mut open = self.calls.values().filter(|call| call.is_polled);
        open.all(|call| call.awaits_turn) && !self.calls.values().any(|call| call.is_at(&head.position))
    }

    pub(crate) fn set_wait(&mut self, number: u64, wait: Option<Wait>) {
        if let Some(call) = self.calls.get_mut(&number) {
            call.wait = wait;
        }
    }

    /// What all that is open waits for, if that is nothing that needs the body in memory.
    pub(crate) fn durable_waits(&self) -> Option<Vec<Wait>> {
        let open = self.calls.values().filter(|call| call.is_polled);
        let waits: Vec<Wait> = open.map(|call| call.wait.clone()).collect::<Option<_>>()?;
        Some(waits).filter(|waits| !waits.is_empty())
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.recorded.len() + self.appended
    }

    /// Keeps a failure in mind that is given to the body.
    pub(crate) fn failed(&mut self, entry: JournalEntry) {
        self.failures.push(entry);
    }

    /// What has to be recorded before `entry`, and that.
    pub(crate) fn to_append(&self, entry: JournalEntry) -> Vec<JournalEntry> {
        self.handled.iter().cloned().chain([entry]).collect()
    }

    pub(crate) fn appended(&mut self, count: usize) {
        self.handled.drain(..count.saturating_sub(1).min(self.handled.len()));
        self.appended += count;
    }

    /// The last event that a wait for this name and key was given.
    pub(crate) fn last_chosen(&self, name: &str, key: Option<&str>) -> u64 {
        self.chosen.get(&(name.into(), key.map(Into::into))).copied().unwrap_or_default()
    }

    pub(crate) fn choose(&mut self, name: &str, key: Option<&str>, sequence: u64) {
        self.chosen.insert((name.into(), key.map(Into::into)), sequence);
    }
}

fn branch_of(position: &str) -> &str {
    position.rsplit_once('/').map_or("", |(branch, _)| branch)
}

/// Whether the error that ended a try is the failure of an entry: its message is in the error's, however it was wrapped.
fn tells_of(ending: &str, entry: &JournalEntry) -> bool {
    let Payload::Inline(bytes) = &entry.value else { return false };
    let failure = FAILURES.iter().find_map(|serializer| serializer.decode_as::<TaskError>(bytes).ok());
    failure.is_some_and(|failure| !failure.message.is_empty() && ending.contains(&failure.message))
}

/// What failures may have been written with.
const FAILURES: [&dyn Serializer; 2] = [&JsonSerializer, &MsgPackSerializer];

/// Compares an entry with the operation that has come to its position.
pub(crate) fn mismatch(entry: &JournalEntry, kind: &str, name: &str, arguments: Digest) -> Option<Mismatch> {
    let recorded = kind::shown(kind::of(entry), &entry.name);
    let found = kind::shown(kind, name);
    let found = if recorded != found {
        found
    } else if entry.arguments != arguments {
        format!("{found} with other arguments")
    } else {
        return None;
    };
    Some(Mismatch { position: entry.position.to_string(), recorded, found })
}
