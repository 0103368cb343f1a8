//! The kinds of operations, as journals store them.

use pynenc_core::state_backend::JournalEntry;

pub(crate) const RANDOM: &str = "random";
pub(crate) const UUID: &str = "uuid";
pub(crate) const NOW: &str = "now";
pub(crate) const STEP: &str = "step";
pub(crate) const EXECUTE: &str = "execute";
pub(crate) const EXECUTE_ALL: &str = "execute_all";
pub(crate) const SLEEP: &str = "sleep";
/// The end of a sleep that ran concurrently with other operations.
pub(crate) const SLEPT: &str = "slept";
/// The event that a wait received. A wait with a time limit also records its start, and its end may have no event.
pub(crate) const EVENT: &str = "wait_for_event";
pub(crate) const SET_DATA: &str = "set_data";
pub(crate) const GET_DATA: &str = "get_data";

/// The suffix of the kind of an operation that failed.
pub(crate) const FAILED: &str = " failed";

/// Describes an operation for messages: step `charge`.
pub(crate) fn describe(kind: &str, name: &str) -> String {
    if name.is_empty() { kind.to_owned() } else { format!("{kind} `{name}`") }
}

/// Returns the kind of an entry's operation, without the suffix of a failure.
pub(crate) fn of_entry(entry: &JournalEntry) -> &str {
    entry.kind.strip_suffix(FAILED).unwrap_or(&entry.kind)
}

/// Whether an entry records a failure.
pub(crate) fn is_failure(entry: &JournalEntry) -> bool {
    entry.kind.ends_with(FAILED)
}
