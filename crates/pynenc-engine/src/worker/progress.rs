//! How far a worker's maintenance has come.

use std::time::Duration;

use pynenc_core::page::Cursor;
use pynenc_core::{RunnerId, Timestamp};

/// How far a worker's maintenance has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) sweep: Option<Cursor>,
    pub(super) orphans: Option<Cursor>,
    pub(super) contents: Option<Cursor>,
    pub(super) last_renewal: Option<Timestamp>,
    pub(super) last_retention: Option<Timestamp>,
    pub(super) last_comparison: Option<Timestamp>,
    pub(super) lease: Option<MaintenanceLease>,
}

/// The lease on the maintenance of the app, while this worker holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaintenanceLease {
    pub(super) holder: RunnerId,
    pub(super) end: Timestamp,
}

/// Returns whether `interval` has passed since the last time. If so, the last time is now.
pub(super) fn is_due(last: &mut Option<Timestamp>, now: Timestamp, interval: Duration) -> bool {
    let is_due = last.is_none_or(|last| now.since(last) >= interval);
    if is_due {
        *last = Some(now);
    }
    is_due
}
