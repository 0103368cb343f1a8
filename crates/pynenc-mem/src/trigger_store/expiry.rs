//! Taking expired items out of an index by time.

use std::collections::BTreeSet;

use pynenc_core::Timestamp;

/// Removes at most `limit` items up to a time from an index, and returns their ids.
pub(super) fn take_expired(
    index: &mut BTreeSet<(Timestamp, Box<str>)>,
    until: Timestamp,
    limit: usize,
) -> Vec<Box<str>> {
    let expired: Vec<_> = index.iter().take_while(|(at, _)| *at <= until).take(limit).cloned().collect();
    for item in &expired {
        index.remove(item);
    }
    expired.into_iter().map(|(_, id)| id).collect()
}
