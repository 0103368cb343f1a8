//! The kinds of operations, as journals spell them.

use pynenc_core::state_backend::JournalEntry;

pub(crate) const RANDOM: &str = "random";
pub(crate) const UUID: &str = "uuid";
pub(crate) const NOW: &str = "now";
pub(crate) const STEP: &str = "step";
pub(crate) const EXECUTE: &str = "execute";
pub(crate) const EXECUTE_ALL: &str = "execute_all";
pub(crate) const SLEEP: &str = "sleep";
/// The end of a sleep beside which something else was open.
pub(crate) const SLEPT: &str = "slept";
/// The event that a wait was given. A wait with a time limit records its beginning too, and may be given none.
pub(crate) const EVENT: &str = "wait_for_event";
pub(crate) const SET_DATA: &str = "set_data";
pub(crate) const GET_DATA: &str = "get_data";

/// What is behind the kind of an operation that has failed.
pub(crate) const FAILED: &str = " failed";

/// An operation in words.
pub(crate) fn shown(kind: &str, name: &str) -> String {
    if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") }
}

/// The kind of the operation of an entry, whether it has failed or not.
pub(crate) fn of(entry: &JournalEntry) -> &str {
    entry.kind.strip_suffix(FAILED).unwrap_or(&entry.kind)
}

pub(crate) fn has_failed(entry: &JournalEntry) -> bool {
    entry.kind.ends_with(FAILED)
}
