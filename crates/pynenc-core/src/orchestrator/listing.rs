//! Filters of listings, and counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{QueueName, RunnerId, TaskId};
use crate::page::Cursor;
use crate::status::Status;

/// A request for a page of a listing. An invocation is listed if it matches every filter. An unset filter matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Find {
    /// In one of these statuses; empty for any status.
    pub statuses: Vec<Status>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Owned by this runner.
    pub owner: Option<RunnerId>,
    /// Waiting in its queue for a claim, due or not, and unchanged for at least this long. The sweep looks for these.
    pub queued_for: Option<Duration>,
    /// Registered at this time or later.
    pub since: Option<Timestamp>,
    /// Registered at this time or earlier.
    pub until: Option<Timestamp>,
    /// Lists the last registered invocation first.
    pub newest_first: bool,
    /// Continues behind this position.
    pub after: Option<Cursor>,
    /// The largest number of items on the page; the engine asks for 500.
    pub limit: usize,
}

impl Find {
    /// The number of entries that a store examines for a page, approximately.
    pub const LOOKED_AT: usize = 5000;
}

/// Numbers of invocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Invocations by status. A missing status counts zero.
    pub statuses: BTreeMap<Status, u64>,
    /// Invocations by queue that wait there for a claim, due or not.
    pub queued: BTreeMap<QueueName, u64>,
    /// Forgotten invocations by their final status, since the last purge. With the present ones they are the number of all
    /// invocations that ever finished, which only grows.
    pub forgotten: BTreeMap<Status, u64>,
}

impl Counts {
    /// The number of invocations that ever finished with a status, including those that were forgotten.
    pub fn ever(&self, status: Status) -> u64 {
        [&self.statuses, &self.forgotten].iter().filter_map(|counts| counts.get(&status)).sum()
    }
}
