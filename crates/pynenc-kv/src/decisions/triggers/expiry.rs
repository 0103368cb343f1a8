//! Taking expired items out of an index by time.

use std::ops::Bound;

use pynenc_core::{Result, Timestamp};

use crate::storage::Set;

/// Removes at most `limit` items up to a time from an index, and returns their ids.
pub(super) fn take_expired(
    index: &mut impl Set<(Timestamp, Box<str>)>,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Box<str>>> {
    let mut expired = Vec::new();
    for item in index.ascending(Bound::Unbounded).take(limit) {
        let item = item?;
        if item.0 > until {
            break;
        }
        expired.push(item);
    }
    for item in &expired {
        index.remove(item)?;
    }
    Ok(expired.into_iter().map(|(_, id)| id).collect())
}
