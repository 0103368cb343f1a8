//! Pages of sorted sets.

use std::ops::Bound;

use pynenc_core::InvocationId;
use pynenc_core::page::{Cursor, Page};

use crate::ordered::Ordered;

/// The items behind a position, up to the first one that `is_listed` rejects.
pub(super) fn page(
    items: &Ordered<Cursor>,
    after: Option<Cursor>,
    limit: usize,
    is_listed: impl Fn(&Cursor) -> bool,
) -> Page<InvocationId> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut items = items.ascending(start).take_while(|item| is_listed(item));
    let taken: Vec<Cursor> = items.by_ref().take(limit).copied().collect();
    let next = taken.last().copied().filter(|_| items.next().is_some());
    Page { items: taken.into_iter().map(|item| item.id).collect(), next }
}
