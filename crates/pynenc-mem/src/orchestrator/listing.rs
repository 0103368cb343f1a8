//! Listings.

use std::ops::Bound;

use pynenc_core::orchestrator::{Find, Tracked};
use pynenc_core::page::{Cursor, Page};
use pynenc_core::{InvocationId, Status, Timestamp};

use super::state::{Entry, State};
use crate::ordered::Ordered;

impl State {
    pub(super) fn find(&self, find: &Find, now: Timestamp) -> Page<Tracked> {
        let unchanged_since = find.queued_for.map(|length| now - length);
        let is_wanted = |entry: &Entry| {
            (find.statuses.is_empty() || find.statuses.contains(&entry.record().status))
                && find.task.as_ref().is_none_or(|task| *task == entry.tracked.task)
                && find.owner.is_none_or(|owner| entry.record().owner == Some(owner))
                && unchanged_since.is_none_or(|since| entry.record().is_queued() && entry.record().at <= since)
        };
        let start = |at| Cursor { at, id: InvocationId::from_bytes([0; 16]) };
        let since = find.since.map(start);
        let until = find.until.map(|at| Cursor { at, id: InvocationId::from_bytes([u8::MAX; 16]) });
        let owned = find.owner.map(|owner| self.runners.owned(owner).map(|id| self.entry(id).position).collect());
        let index = owned.as_ref().unwrap_or_else(|| self.index(find));
        if find.newest_first {
            let end = match (find.after, until) {
                (Some(after), Some(until)) if until < after => Bound::Included(until),
                (Some(after), _) => Bound::Excluded(after),
                (None, until) => until.map_or(Bound::Unbounded, Bound::Included),
            };
            let newest = index.descending(end).take_while(|position| since.is_none_or(|since| **position >= since));
            return self.page(newest, find.limit, is_wanted);
        }
        let begin = find.after.max(since).map_or(Bound::Unbounded, Bound::Excluded);
        let oldest = index.ascending(begin).take_while(|position| until.is_none_or(|until| **position <= until));
        self.page(oldest, find.limit, is_wanted)
    }

    /// The smallest index that contains every match.
    fn index(&self, find: &Find) -> &Ordered<Cursor> {
        let are_all = |is: fn(&Status) -> bool| !find.statuses.is_empty() && find.statuses.iter().all(is);
        if are_all(|status| status.is_final() && *status != Status::Success) {
            &self.unsuccessful
        } else if find.queued_for.is_some() || are_all(|status| status.is_claimable() && *status != Status::Scheduled) {
            &self.queued
        } else {
            &self.order
        }
    }

    /// The first `limit` invocations at some positions that pass a filter.
    fn page<'a>(
        &self,
        positions: impl Iterator<Item = &'a Cursor>,
        limit: usize,
        filter: impl Fn(&Entry) -> bool,
    ) -> Page<Tracked> {
        let mut items: Vec<&Entry> = Vec::new();
        let mut next = None;
        for (looked_at, position) in positions.enumerate() {
            let entry = self.entry(position.id);
            let is_wanted = filter(entry);
            if is_wanted && items.len() == limit {
                next = items.last().map(|last| last.position);
                break;
            }
            items.extend(is_wanted.then_some(entry));
            if looked_at >= Find::LOOKED_AT {
                next = Some(*position);
                break;
            }
        }
        Page { items: items.into_iter().map(|entry| entry.tracked.clone()).collect(), next }
    }
}
