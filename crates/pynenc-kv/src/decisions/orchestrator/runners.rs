//! Runners: their heartbeats, their leases on services, and the invocations they own.

use std::ops::Bound;
use std::time::Duration;

use pynenc_core::orchestrator::{Heartbeat, Introduction, RunnerInfo};
use pynenc_core::packed::packed_struct;
use pynenc_core::{InvocationId, Result, RunnerId, Timestamp};

use crate::storage::{Cell, Groups, Map, Storage, collections};
use crate::table::Table;

/// The lease of a runner that claims before its first heartbeat. Without a lease nobody would recover its invocations.
const FIRST_LEASE: Duration = Duration::from_secs(15);

/// The time for which a retired runner is remembered, in leases, so that its next heartbeat is answered with `Retired`.
const REMEMBERED: u32 = 10;

collections! {
    /// The runners by identity, and the leases on services.
    pub(super) struct RunnerTable {
        all: S::Map<RunnerId, Runner> = map(Table::Runner),
        owned: S::Groups<RunnerId, InvocationId> = groups(Table::Owned),
        heartbeats: S::Cell<Heartbeats> = cell("heartbeats"),
        services: S::Map<Box<str>, Service> = map(Table::Lease),
    }
}

#[derive(Debug)]
struct Runner {
    last_heartbeat: Timestamp,
    lease: Duration,
    retired: Option<Timestamp>,
    description: Box<str>,
    introduction: Option<Introduction>,
}

packed_struct!(Runner { last_heartbeat, lease, retired, description, introduction });

/// The heartbeats of all runners.
#[derive(Debug, Default)]
struct Heartbeats {
    last: Option<Timestamp>,
    amnesty_until: Timestamp,
}

packed_struct!(Heartbeats { last, amnesty_until });

#[derive(Debug)]
struct Service {
    runner: RunnerId,
    until: Timestamp,
}

packed_struct!(Service { runner, until });

impl Runner {
    fn new(now: Timestamp) -> Self {
        let description = Box::default();
        Self { last_heartbeat: now, lease: FIRST_LEASE, retired: None, description, introduction: None }
    }

    fn retire(&mut self, now: Timestamp) {
        self.retired.get_or_insert(now);
    }

    /// Whether a runner that owns nothing is remembered.
    fn is_remembered(&self, now: Timestamp) -> bool {
        self.retired.is_none_or(|at| now.since(at) < self.lease * REMEMBERED)
    }
}

impl<S: Storage> RunnerTable<S> {
    /// Whether a runner isn't retired. A new runner gets a lease.
    pub(super) fn may_claim(&mut self, id: RunnerId, now: Timestamp) -> Result<bool> {
        if let Some(runner) = self.all.get(&id)? {
            return Ok(runner.retired.is_none());
        }
        self.all.insert(id, Runner::new(now))?;
        Ok(true)
    }

    /// Renews a lease. Reports whether the store has the runner's introduction; `None` if the runner is retired.
    pub(super) fn heartbeat(&mut self, beat: &Heartbeat, now: Timestamp) -> Result<Option<bool>> {
        let runner = self.all.get_or_insert_with(&beat.runner, || Runner::new(now))?;
        if beat.lease.is_zero() {
            runner.retire(now);
        }
        if runner.retired.is_some() {
            return Ok(None);
        }
        runner.last_heartbeat = now;
        runner.lease = beat.lease;
        runner.description.clone_from(&beat.description);
        if beat.introduction.is_some() {
            runner.introduction.clone_from(&beat.introduction);
        }
        let is_introduced = runner.introduction.is_some();
        let heartbeats = self.heartbeats.get_mut()?;
        let is_alone = heartbeats.last.is_none_or(|last| now.since(last) >= beat.lease / 2);
        if is_alone {
            heartbeats.amnesty_until = now + beat.interval * 2;
        }
        heartbeats.last = Some(now);
        Ok(Some(is_introduced))
    }

    /// Moves an invocation from its former owner to its new one.
    pub(super) fn move_owned(&mut self, id: InvocationId, from: Option<RunnerId>, to: Option<RunnerId>) -> Result<()> {
        if from == to {
            return Ok(());
        }
        if let Some(runner) = from {
            self.owned.remove(&runner, &id)?;
        }
        if let Some(runner) = to {
            self.owned.insert(&runner, id)?;
        }
        Ok(())
    }

    pub(super) fn owned(&self, id: RunnerId) -> impl Iterator<Item = Result<InvocationId>> {
        self.owned.ascending(&id, Bound::Unbounded)
    }

    pub(super) fn list(&mut self) -> Result<Vec<RunnerInfo>> {
        let mut runners = Vec::new();
        for id in self.all.keys()? {
            let (Some(runner), owned) = (self.all.get(&id)?, self.owned.count(&id)?) else { continue };
            if runner.retired.is_none() || owned > 0 {
                runners.push(RunnerInfo {
                    id,
                    last_heartbeat: runner.last_heartbeat,
                    lease: runner.lease,
                    retired: runner.retired.is_some(),
                    owned,
                    description: runner.description.clone(),
                    introduction: runner.introduction.clone(),
                });
            }
        }
        Ok(runners)
    }

    /// Retires runners whose lease has expired, unless there is an amnesty. Lists the invocations of retired runners.
    pub(super) fn retire_expired(&mut self, limit: usize, now: Timestamp) -> Result<Vec<(RunnerId, InvocationId)>> {
        let heartbeats = self.heartbeats.get()?;
        let is_amnesty = now < heartbeats.amnesty_until;
        let silence = heartbeats.last.map_or(Duration::MAX, |last| now.since(last));
        let mut left_behind = Vec::new();
        for id in self.all.keys()? {
            let Some(runner) = self.all.get(&id)? else { continue };
            let is_expired = now >= runner.last_heartbeat + runner.lease && silence < runner.lease / 2;
            if is_expired && !is_amnesty && runner.retired.is_none() {
                self.retire(id, now)?;
            }
            if self.all.get(&id)?.is_none_or(|runner| runner.retired.is_none()) {
                continue;
            }
            let missing = limit - left_behind.len();
            for owned in self.owned.ascending(&id, Bound::Unbounded).take(missing) {
                left_behind.push((id, owned?));
            }
            if self.owned.is_empty(&id)? && self.all.get(&id)?.is_some_and(|runner| !runner.is_remembered(now)) {
                self.all.remove(&id)?;
            }
        }
        Ok(left_behind)
    }

    fn retire(&mut self, id: RunnerId, now: Timestamp) -> Result<()> {
        if let Some(runner) = self.all.get_mut(&id)? {
            runner.retire(now);
        }
        Ok(())
    }

    /// Acquires, renews or releases the lease on a service. Reports whether the runner has it now.
    pub(super) fn acquire_lease(
        &mut self,
        service: &str,
        runner: RunnerId,
        length: Duration,
        now: Timestamp,
    ) -> Result<bool> {
        let service = service.into();
        let holder = self.services.get(&service)?.filter(|held| held.until > now);
        if holder.is_some_and(|held| held.runner != runner) {
            return Ok(false);
        }
        if length.is_zero() {
            self.services.remove(&service)?;
            return Ok(false);
        }
        self.services.insert(service, Service { runner, until: now + length })?;
        Ok(true)
    }
}
