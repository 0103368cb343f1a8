//! Questions about many invocations at once.

use std::collections::BTreeSet;
use std::ops::Bound;

use futures_util::stream::BoxStream;
use pynenc_core::orchestrator::{Cursor, Ended, Find, Heartbeat, HeartbeatReply, Page, Tracked};
use pynenc_core::{InvocationId, Status, Timestamp};
use tokio::sync::mpsc;

use super::state::{Entry, State};
use super::streams::stream_of;

impl State {
    pub(super) fn find(&self, find: &Find) -> Page<Tracked> {
        let is_wanted = |entry: &Entry| {
            (find.statuses.is_empty() || find.statuses.contains(&entry.record().status))
                && find.task.as_ref().is_none_or(|task| *task == entry.tracked.task)
        };
        let before = |at| Cursor { at, id: InvocationId::from_bytes([0; 16]) };
        let since = find.since.map(before);
        let until = find.until.map(|at| Cursor { at, id: InvocationId::from_bytes([u8::MAX; 16]) });
        let index = self.index(&find.statuses);
        if find.newest_first {
            let end = match (find.after, until) {
                (Some(after), Some(until)) if until < after => Bound::Included(until),
                (Some(after), _) => Bound::Excluded(after),
                (None, until) => until.map_or(Bound::Unbounded, Bound::Included),
            };
            let newest = index.range((Bound::Unbounded, end)).rev();
            let newest = newest.take_while(|place| since.is_none_or(|since| **place >= since));
            return self.page(newest, find.limit, is_wanted);
        }
        let oldest = index.range((excluded(find.after.max(since)), Bound::Unbounded));
        self.page(oldest.take_while(|place| until.is_none_or(|until| **place <= until)), find.limit, is_wanted)
    }

    /// The smallest index that has all entries of these statuses.
    fn index(&self, statuses: &[Status]) -> &BTreeSet<Cursor> {
        let are_all = |is: fn(&Status) -> bool| !statuses.is_empty() && statuses.iter().all(is);
        if are_all(|status| status.is_final() && *status != Status::Success) {
            &self.unsuccessful
        } else if are_all(|status| status.is_claimable() && *status != Status::Scheduled) {
            &self.queued
        } else {
            &self.order
        }
    }

    pub(super) fn queued(&self, after: Option<Cursor>, unchanged_since: Timestamp, limit: usize) -> Page<Tracked> {
        let behind = self.queued.range((excluded(after), Bound::Unbounded));
        self.page(behind, limit, |entry| entry.record().at <= unchanged_since)
    }

    pub(super) fn outlived(&self, now: Timestamp, limit: usize) -> Vec<InvocationId> {
        self.retained.iter().take_while(|end| end.at <= now).take(limit).map(|end| end.id).collect()
    }

    pub(super) fn heartbeat(&mut self, heartbeat: &Heartbeat, now: Timestamp) -> HeartbeatReply {
        let Some((owned, is_introduced)) = self.runners.heartbeat(heartbeat, now) else {
            return HeartbeatReply::Retired;
        };
        let wanted = |id: &InvocationId| self.entries.get(id).is_some_and(|entry| entry.record().cancel_requested);
        HeartbeatReply::Alive { cancel: owned.iter().copied().filter(wanted).collect(), is_introduced }
    }

    /// Subscribes to what is still to come, and tells what was there before.
    pub(super) fn watch(&mut self, ids: &[InvocationId]) -> BoxStream<'static, Ended> {
        let (sender, receiver) = mpsc::unbounded_channel();
        for id in ids.iter().copied().collect::<BTreeSet<_>>() {
            let record = self.entries.get(&id).map(|entry| entry.record());
            if record.is_some_and(|record| !record.status.is_final()) {
                self.watchers.add(id, sender.clone());
            } else {
                // The receiver is still in this function's hands, so that it is there to be told.
                drop(sender.send((id, record.cloned())));
            }
        }
        stream_of(receiver)
    }

    /// The first `limit` entries of some places that a filter lets through.
    fn page<'a>(
        &self,
        places: impl Iterator<Item = &'a Cursor>,
        limit: usize,
        filter: impl Fn(&Entry) -> bool,
    ) -> Page<Tracked> {
        let mut items: Vec<&Entry> = Vec::new();
        let mut next = None;
        for (looked_at, place) in places.enumerate() {
            let entry = self.entry(place.id);
            let is_wanted = filter(entry);
            if is_wanted && items.len() == limit {
                next = items.last().map(|last| last.place);
                break;
            }
            items.extend(is_wanted.then_some(entry));
            if looked_at >= Find::LOOKED_AT {
                next = Some(*place);
                break;
            }
        }
        Page { items: items.into_iter().map(|entry| entry.tracked.clone()).collect(), next }
    }
}

fn excluded(place: Option<Cursor>) -> Bound<Cursor> {
    place.map_or(Bound::Unbounded, Bound::Excluded)
}
