//! Listings.

use std::ops::Bound;

use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::{InvocationId, Result, RunnerId, Status, Timestamp};

use super::state::{Effects, Entry, State};
use crate::ordered::Ordered;
use crate::storage::{Set, Storage};

/// Whether a listing has an invocation.
struct Filter<'a> {
    find: &'a Find,
    unchanged_since: Option<Timestamp>,
}

impl Filter<'_> {
    fn is_wanted(&self, entry: &Entry) -> bool {
        let (find, record) = (self.find, entry.record());
        (find.statuses.is_empty() || find.statuses.contains(&record.status))
            && find.task.as_ref().is_none_or(|task| *task == entry.tracked.task)
            && find.owner.is_none_or(|owner| record.owner == Some(owner))
            && self.unchanged_since.is_none_or(|since| record.is_queued() && record.at <= since)
    }
}

/// The positions that a listing may have.
struct Span {
    since: Option<Cursor>,
    until: Option<Cursor>,
}

impl Span {
    fn of(find: &Find) -> Self {
        let start = |at| Cursor { at, id: InvocationId::from_bytes([0; 16]) };
        let end = |at| Cursor { at, id: InvocationId::from_bytes([u8::MAX; 16]) };
        Self { since: find.since.map(start), until: find.until.map(end) }
    }

    /// Where an ascending listing begins.
    fn begin(&self, after: Option<Cursor>) -> Bound<Cursor> {
        after.max(self.since).map_or(Bound::Unbounded, Bound::Excluded)
    }

    /// Where a descending listing begins.
    fn end(&self, after: Option<Cursor>) -> Bound<Cursor> {
        match (after, self.until) {
            (Some(after), Some(until)) if until < after => Bound::Included(until),
            (Some(after), _) => Bound::Excluded(after),
            (None, until) => until.map_or(Bound::Unbounded, Bound::Included),
        }
    }

    fn contains(&self, position: Cursor) -> bool {
        self.since.is_none_or(|since| position >= since) && self.until.is_none_or(|until| position <= until)
    }
}

impl<S: Storage, E: Effects> State<S, E> {
    /// Lists invocations in the order of their registration, or the last one first.
    pub fn find(&self, find: &Find, now: Timestamp) -> Result<Page<Tracked>> {
        let filter = Filter { find, unchanged_since: find.queued_for.map(|length| now - length) };
        match find.owner {
            Some(owner) => self.page_of(&self.positions_of(owner)?, find, &filter),
            None => self.page_of(self.index(find)?, find, &filter),
        }
    }

    /// The positions of the invocations that a runner owns.
    fn positions_of(&self, owner: RunnerId) -> Result<Ordered<Cursor>> {
        let position = |id| Ok(self.readable(id)?.map(|entry| entry.position));
        self.runners.owned(owner).filter_map(|id| id.and_then(position).transpose()).collect()
    }

    /// The smallest index that contains every match.
    fn index(&self, find: &Find) -> Result<&S::Set<Cursor>> {
        let are_all = |is: fn(&Status) -> bool| !find.statuses.is_empty() && find.statuses.iter().all(is);
        let are_queued = find.queued_for.is_some() || are_all(|one| one.is_claimable() && *one != Status::Scheduled);
        Ok(if are_all(|status| status.is_final() && *status != Status::Success) {
            &self.unsuccessful
        } else if are_queued && !self.counters.has_queued_in_lanes()? {
            &self.queued
        } else {
            &self.order
        })
    }

    fn page_of(&self, index: &impl Set<Cursor>, find: &Find, filter: &Filter<'_>) -> Result<Page<Tracked>> {
        let span = Span::of(find);
        if find.newest_first {
            self.page(index.descending(span.end(find.after)), &span, find.limit, filter)
        } else {
            self.page(index.ascending(span.begin(find.after)), &span, find.limit, filter)
        }
    }

    /// The first `limit` invocations at some positions that pass a filter.
    fn page(
        &self,
        positions: impl Iterator<Item = Result<Cursor>>,
        span: &Span,
        limit: usize,
        filter: &Filter<'_>,
    ) -> Result<Page<Tracked>> {
        let mut items: Vec<&Entry> = Vec::new();
        let mut next = None;
        for (looked_at, position) in positions.enumerate() {
            let position = position?;
            if !span.contains(position) {
                break;
            }
            let wanted = self.readable(position.id)?.filter(|entry| filter.is_wanted(entry));
            if wanted.is_some() && items.len() == limit {
                next = items.last().map(|last| last.position);
                break;
            }
            items.extend(wanted);
            if looked_at >= Find::LOOKED_AT {
                next = Some(position);
                break;
            }
        }
        Ok(Page { items: items.into_iter().map(|entry| entry.tracked.clone()).collect(), next })
    }
}
