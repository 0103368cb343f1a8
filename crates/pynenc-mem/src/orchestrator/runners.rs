//! Runners: their heartbeats, their leases on services, and the invocations they own.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use pynenc_core::orchestrator::{Heartbeat, Introduction, RunnerInfo};
use pynenc_core::{Error, ErrorKind, InvocationId, Result, RunnerId, Timestamp};
use rustc_hash::FxHashMap;

use crate::ordered::Ordered;

/// The lease of a runner that claims before its first heartbeat. Without a lease nobody would recover its invocations.
const FIRST_LEASE: Duration = Duration::from_secs(15);

/// The time for which a retired runner is remembered, in leases, so that its next heartbeat is answered with `Retired`.
const REMEMBERED: u32 = 10;

/// The runners by identity, and the leases on services.
#[derive(Debug, Default)]
pub(super) struct RunnerTable {
    all: BTreeMap<RunnerId, Runner>,
    last_heartbeat: Option<Timestamp>,
    amnesty_until: Timestamp,
    services: FxHashMap<Box<str>, Service>,
}

#[derive(Debug)]
struct Runner {
    last_heartbeat: Timestamp,
    lease: Duration,
    retired: Option<Timestamp>,
    description: Box<str>,
    introduction: Option<Introduction>,
    owned: Ordered<InvocationId>,
}

#[derive(Debug)]
struct Service {
    runner: RunnerId,
    until: Timestamp,
}

impl Runner {
    fn new(now: Timestamp) -> Self {
        let (description, owned) = (Box::default(), Ordered::default());
        Self { last_heartbeat: now, lease: FIRST_LEASE, retired: None, description, introduction: None, owned }
    }

    fn retire(&mut self, now: Timestamp) {
        self.retired.get_or_insert(now);
    }

    fn is_remembered(&self, now: Timestamp) -> bool {
        !self.owned.is_empty() || self.retired.is_none_or(|at| now.since(at) < self.lease * REMEMBERED)
    }

    fn info(&self, id: RunnerId) -> RunnerInfo {
        RunnerInfo {
            id,
            last_heartbeat: self.last_heartbeat,
            lease: self.lease,
            retired: self.retired.is_some(),
            owned: self.owned.len() as u64,
            description: self.description.clone(),
            introduction: self.introduction.clone(),
        }
    }
}

impl RunnerTable {
    /// Refuses a claim of a retired runner.
    pub(super) fn check(&mut self, id: RunnerId, now: Timestamp) -> Result<()> {
        let runner = self.all.entry(id).or_insert_with(|| Runner::new(now));
        match runner.retired {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::Retired, "the runner was retired").with("runner", id)),
        }
    }

    /// Renews a lease. Returns the runner's invocations and whether the store has its introduction; `None` if the runner
    /// is retired.
    pub(super) fn heartbeat(&mut self, beat: &Heartbeat, now: Timestamp) -> Option<(&Ordered<InvocationId>, bool)> {
        let runner = self.all.entry(beat.runner).or_insert_with(|| Runner::new(now));
        if beat.lease.is_zero() {
            runner.retire(now);
        }
        if runner.retired.is_some() {
            return None;
        }
        let is_alone = self.last_heartbeat.is_none_or(|last| now.since(last) >= beat.lease / 2);
        if is_alone {
            self.amnesty_until = now + beat.interval * 2;
        }
        self.last_heartbeat = Some(now);
        runner.last_heartbeat = now;
        runner.lease = beat.lease;
        runner.description.clone_from(&beat.description);
        if beat.introduction.is_some() {
            runner.introduction.clone_from(&beat.introduction);
        }
        Some((&runner.owned, runner.introduction.is_some()))
    }

    /// Moves an invocation from its former owner to its new one.
    pub(super) fn move_owned(&mut self, id: InvocationId, from: Option<RunnerId>, to: Option<RunnerId>) {
        if from == to {
            return;
        }
        if let Some(runner) = from.and_then(|runner| self.all.get_mut(&runner)) {
            runner.owned.remove(&id);
        }
        if let Some(runner) = to.and_then(|runner| self.all.get_mut(&runner)) {
            runner.owned.insert(id);
        }
    }

    pub(super) fn owned(&self, id: RunnerId) -> impl Iterator<Item = InvocationId> + '_ {
        self.all.get(&id).into_iter().flat_map(|runner| runner.owned.ascending(Bound::Unbounded).copied())
    }

    pub(super) fn list(&self) -> Vec<RunnerInfo> {
        let known = self.all.iter().filter(|(_, runner)| runner.retired.is_none() || !runner.owned.is_empty());
        known.map(|(id, runner)| runner.info(*id)).collect()
    }

    /// Retires runners whose lease has expired, unless there is an amnesty. Lists the invocations of retired runners.
    pub(super) fn retire_expired(&mut self, limit: usize, now: Timestamp) -> Vec<(RunnerId, InvocationId)> {
        if now >= self.amnesty_until {
            let silence = self.last_heartbeat.map_or(Duration::MAX, |last| now.since(last));
            let expired = self.all.values_mut().filter(|runner| now >= runner.last_heartbeat + runner.lease);
            expired.filter(|runner| silence < runner.lease / 2).for_each(|runner| runner.retire(now));
        }
        self.all.retain(|_, runner| runner.is_remembered(now));
        let retired = self.all.iter().filter(|(_, runner)| runner.retired.is_some());
        let owned =
            retired.flat_map(|(id, runner)| runner.owned.ascending(Bound::Unbounded).map(|owned| (*id, *owned)));
        owned.take(limit).collect()
    }

    /// Acquires, renews or releases the lease on a service. Reports whether the runner has it now.
    pub(super) fn acquire_lease(&mut self, service: &str, runner: RunnerId, length: Duration, now: Timestamp) -> bool {
        let holder = self.services.get(service).filter(|held| held.until > now);
        if holder.is_some_and(|held| held.runner != runner) {
            return false;
        }
        if length.is_zero() {
            self.services.remove(service);
            return false;
        }
        self.services.insert(service.into(), Service { runner, until: now + length });
        true
    }
}
