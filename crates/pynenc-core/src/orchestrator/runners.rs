//! Runners: heartbeats, leases, signals and retirement.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::lifecycle::Tracked;
use crate::clock::Timestamp;
use crate::component::Component;
use crate::error::Result;
use crate::id::{InvocationId, QueueName, RunnerId, TaskId};

/// A heartbeat of a runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The runner.
    pub runner: RunnerId,
    /// How long the others consider the runner alive without another heartbeat. Zero for its last heartbeat.
    pub lease: Duration,
    /// How long until the next heartbeat.
    pub interval: Duration,
    /// Where the runner runs, for people: host, process, kind.
    pub description: Box<str>,
    /// The queues and tasks that the runner serves. A runner sends them with its first heartbeat, and again when a reply
    /// says that the store doesn't know them.
    pub introduction: Option<Introduction>,
}

impl Heartbeat {
    /// The last heartbeat of a runner, which retires the runner at once.
    pub fn last(runner: RunnerId) -> Self {
        let (lease, interval) = (Duration::ZERO, Duration::ZERO);
        Self { runner, lease, interval, description: Box::default(), introduction: None }
    }
}

/// The reply to a [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeartbeatReply {
    /// The lease is renewed.
    Alive {
        /// The runner's invocations for which somebody requested a cancel.
        cancel: Vec<InvocationId>,
        /// Whether the store has the runner's [`Introduction`].
        is_introduced: bool,
    },
    /// The runner is retired. Other runners get its invocations, and it continues under a new id.
    Retired,
}

/// A runner's queues, tasks and slots, from which people learn why an invocation isn't run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The queues it takes invocations from.
    pub queues: Vec<QueueName>,
    /// The tasks it knows.
    pub tasks: Vec<TaskId>,
    /// The number of task functions that it runs at once.
    pub slots: u64,
}

/// A runner, as other processes see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerInfo {
    /// Its identity.
    pub id: RunnerId,
    /// The time of its last heartbeat.
    pub last_heartbeat: Timestamp,
    /// How long the others consider it alive after a heartbeat.
    pub lease: Duration,
    /// Whether it is retired.
    pub retired: bool,
    /// The number of invocations that it owns.
    pub owned: u64,
    /// Where it runs.
    pub description: Box<str>,
    /// The queues and tasks that it serves; `None` until a heartbeat brings them.
    pub introduction: Option<Introduction>,
}

impl RunnerInfo {
    /// Whether others consider the runner alive at `now`.
    pub fn is_alive(&self, now: Timestamp) -> bool {
        !self.retired && now < self.last_heartbeat + self.lease
    }

    /// The state for people: `alive`; `silent` if its lease has expired, but nobody has retired it yet; or `retired`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.retired, self.is_alive(now)) {
            (true, _) => "retired",
            (false, true) => "alive",
            (false, false) => "silent",
        }
    }
}

/// A notification for a runner between two heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// Somebody requested a cancel of an invocation that the runner owns.
    Cancel(InvocationId),
    /// The outbox has new entries.
    Outbox,
}

/// The runners of an app.
#[async_trait]
pub trait Runners: Component {
    /// Renews a runner's lease. A heartbeat with a lease of zero retires the runner instead: it claims nothing more, and
    /// other runners get its invocations.
    ///
    /// # Behavior
    ///
    /// - a heartbeat makes the runner known
    /// - a heartbeat of a retired runner is answered with `Retired`
    /// - a heartbeat that follows half a lease without any heartbeat starts an amnesty of two intervals
    /// - a reply to a heartbeat says whether the store has the runner's introduction
    /// - a heartbeat brings an introduction, which is listed until a later one replaces it
    /// - a heartbeat with a lease of zero retires the runner at once, amnesty or not
    async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatReply>;

    /// Streams the signals for a runner.
    ///
    /// # Behavior
    ///
    /// - a cancel request is signalled to the owner alone
    /// - a new outbox entry is signalled
    async fn signals(&self, runner: RunnerId) -> Result<BoxStream<'static, Signal>>;

    /// Lists the runners that are alive, or retired and still owners of invocations.
    ///
    /// # Behavior
    ///
    /// - runners are listed with the number of invocations they own
    async fn runners(&self) -> Result<Vec<RunnerInfo>>;

    /// Retires runners whose lease has expired, and lists the invocations that retired runners still own.
    ///
    /// # Behavior
    ///
    /// - a runner whose lease has expired is retired in the same step
    /// - an invocation of a retired runner is listed until it has another owner or none
    /// - during an amnesty no lease expires
    /// - no lease expires after half of it has passed without any heartbeat, because the store may have stalled
    async fn retire_expired(&self, limit: usize) -> Result<Vec<(RunnerId, Tracked)>>;

    /// Acquires or renews the lease on a service, which one runner at a time performs. Reports whether the runner has it.
    ///
    /// # Behavior
    ///
    /// - one runner has a lease until the lease expires or is released, and the runner may renew it
    /// - a lease of zero length releases it
    async fn acquire_lease(&self, service: &str, runner: RunnerId, length: Duration) -> Result<bool>;
}
