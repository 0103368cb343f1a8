//! Heartbeats of runners, and what retired ones own.

use std::time::Duration;

use pynenc_core::orchestrator::{Heartbeat, HeartbeatReply, RunnerInfo, Tracked};
use pynenc_core::{Result, RunnerId, Timestamp};

use super::state::{Effects, State};
use crate::storage::Storage;

impl<S: Storage, E: Effects> State<S, E> {
    /// Renews a runner's lease.
    pub fn heartbeat(&mut self, heartbeat: &Heartbeat, now: Timestamp) -> Result<HeartbeatReply> {
        let Some(is_introduced) = self.runners.heartbeat(heartbeat, now)? else { return Ok(HeartbeatReply::Retired) };
        let mut cancel = Vec::new();
        for id in self.runners.owned(heartbeat.runner) {
            let id = id?;
            if self.readable(id)?.is_some_and(|entry| entry.record().cancel_requested) {
                cancel.push(id);
            }
        }
        Ok(HeartbeatReply::Alive { cancel, is_introduced })
    }

    /// Lists the runners that are alive, or retired and still owners of invocations.
    pub fn runners(&mut self) -> Result<Vec<RunnerInfo>> {
        self.runners.list()
    }

    /// Retires runners whose lease has expired, and lists the invocations that retired runners still own.
    pub fn retire_expired(&mut self, limit: usize, now: Timestamp) -> Result<Vec<(RunnerId, Tracked)>> {
        let owned = self.runners.retire_expired(limit, now)?;
        let tracked = |(runner, id)| Ok(self.readable(id)?.map(|entry| (runner, entry.tracked.clone())));
        owned.into_iter().filter_map(|one| tracked(one).transpose()).collect()
    }

    /// Acquires, renews or releases the lease on a service. Reports whether the runner has it now.
    pub fn acquire_lease(&mut self, service: &str, runner: RunnerId, length: Duration, now: Timestamp) -> Result<bool> {
        self.runners.acquire_lease(service, runner, length, now)
    }
}
