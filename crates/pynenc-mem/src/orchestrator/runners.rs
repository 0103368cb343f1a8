//! Who is alive, who was retired, and who owns what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pynenc_core::orchestrator::{Heartbeat, Introduction, RunnerInfo};
use pynenc_core::{Error, ErrorKind, InvocationId, Result, RunnerId, Timestamp};
use rustc_hash::FxHashMap;

/// The lease of a runner that claims before its first heartbeat: what it claims must not be lost with it.
const FIRST_LEASE: Duration = Duration::from_secs(15);

/// How many leases a retired runner is remembered for, so that its next call is told.
const REMEMBERED: u32 = 10;

/// The runners, by identity, and the services that they perform.
#[derive(Debug, Default)]
pub(super) struct Runners {
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
    owned: BTreeSet<InvocationId>,
}

#[derive(Debug)]
struct Service {
    runner: RunnerId,
    until: Timestamp,
}

impl Runner {
    fn new(now: Timestamp) -> Self {
        let (description, owned) = (Box::default(), BTreeSet::new());
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

impl Runners {
    /// Lets a runner claim, unless it was retired.
    pub(super) fn check(&mut self, id: RunnerId, now: Timestamp) -> Result<()> {
        let runner = self.all.entry(id).or_insert_with(|| Runner::new(now));
        match runner.retired {
            None => Ok(()),
            Some(_) => Err(Error::new(ErrorKind::Retired, "the runner was retired").with("runner", id)),
        }
    }

    /// Renews a lease; `None` for a runner that was retired, and else what it owns and whether it has introduced itself.
    pub(super) fn heartbeat(&mut self, beat: &Heartbeat, now: Timestamp) -> Option<(&BTreeSet<InvocationId>, bool)> {
        let runner = self.all.entry(beat.runner).or_insert_with(|| Runner::new(now));
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
        Some((&runner.owned, runner.introduction.is_some()))
    }

    pub(super) fn introduce(&mut self, id: RunnerId, introduction: &Introduction) {
        if let Some(runner) = self.all.get_mut(&id) {
            runner.introduction = Some(introduction.clone());
        }
    }

    /// Writes down that an invocation changed hands.
    pub(super) fn moved(&mut self, id: InvocationId, from: Option<RunnerId>, to: Option<RunnerId>) {
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
        self.all.get(&id).into_iter().flat_map(|runner| runner.owned.iter().copied())
    }

    pub(super) fn list(&self) -> Vec<RunnerInfo> {
        let known = self.all.iter().filter(|(_, runner)| runner.retired.is_none() || !runner.owned.is_empty());
        known.map(|(id, runner)| runner.info(*id)).collect()
    }

    pub(super) fn leave(&mut self, id: RunnerId, now: Timestamp) {
        self.all.entry(id).or_insert_with(|| Runner::new(now)).retire(now);
    }

    /// Retires whose lease ran out, unless there is an amnesty, and lists what the retired own.
    pub(super) fn expired(&mut self, limit: usize, now: Timestamp) -> Vec<(RunnerId, InvocationId)> {
        if now >= self.amnesty_until {
            let silence = self.last_heartbeat.map_or(Duration::MAX, |last| now.since(last));
            let lapsed = self.all.values_mut().filter(|runner| now >= runner.last_heartbeat + runner.lease);
            lapsed.filter(|runner| silence < runner.lease / 2).for_each(|runner| runner.retire(now));
        }
        self.all.retain(|_, runner| runner.is_remembered(now));
        let retired = self.all.iter().filter(|(_, runner)| runner.retired.is_some());
        let owned = retired.flat_map(|(id, runner)| runner.owned.iter().map(|owned| (*id, *owned)));
        owned.take(limit).collect()
    }

    /// Takes, renews or gives back a service; tells whether the runner has it now.
    pub(super) fn lease(&mut self, service: &str, runner: RunnerId, length: Duration, now: Timestamp) -> bool {
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
