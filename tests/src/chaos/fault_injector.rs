//! Injects random faults, at most one at a time into each target.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pynenc::prelude::*;
use pynenc_testkit::{Direction, Fault, Flow, Proxy, TestProcess};

use super::deployment::{Deployment, Instance};
use super::fault::FaultKind;

/// The target of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Store,
    Worker(usize),
    Client(usize),
}

/// Error replies that a proxy sends in the server's place.
const ERROR_REPLIES: [&str; 6] = [
    "-LOADING Redis is loading the dataset in memory",
    "-READONLY You can't write against a read only replica.",
    "-BUSY Redis is busy running a script.",
    "-MISCONF Redis is configured to save RDB snapshots",
    "-OOM command not allowed when used memory > 'maxmemory'.",
    "-NOSCRIPT No matching script.",
];

/// An injected fault that is still to be undone.
struct ActiveFault {
    target: Target,
    kind: FaultKind,
    until: Instant,
}

/// Injects and undoes faults.
pub(super) struct FaultInjector {
    random: Rng,
    active: Vec<ActiveFault>,
    counts: BTreeMap<(String, FaultKind), usize>,
    log: Vec<String>,
    start: Instant,
}

impl FaultInjector {
    pub(super) fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self { random, active: Vec::new(), counts: BTreeMap::new(), log: Vec::new(), start: Instant::now() }
    }

    /// Undoes the faults that are due, injects another, and returns the time until the next step. The flag says whether
    /// the store was repaired.
    pub(super) fn step(&mut self, deployment: &mut Deployment) -> (Duration, bool) {
        let is_store_back = self.undo(deployment, |active| active.until <= Instant::now());
        let (target, kind) = self.choose(deployment);
        if self.active.iter().all(|active| active.target != target) {
            self.inject(deployment, target, kind);
        }
        (millis(self.random.u64(20..400)), is_store_back)
    }

    fn choose(&mut self, deployment: &Deployment) -> (Target, FaultKind) {
        let (workers, clients) = (deployment.workers.len(), deployment.clients.len());
        let (faults, random) = (deployment.store.faults(), &mut self.random);
        match random.u32(..10) {
            0..2 => (Target::Store, faults.store[random.usize(..faults.store.len())]),
            2..8 => (Target::Worker(random.usize(..workers)), faults.worker[random.usize(..faults.worker.len())]),
            _ => (Target::Client(random.usize(..clients)), faults.client[random.usize(..faults.client.len())]),
        }
    }

    fn inject(&mut self, deployment: &mut Deployment, target: Target, kind: FaultKind) {
        let name = match target {
            Target::Store => "store".to_owned(),
            Target::Worker(number) => deployment.workers[number].name(),
            Target::Client(number) => deployment.clients[number].name(),
        };
        let duration = kind.duration(&mut self.random);
        self.log.push(format!("{:>8.3} {name} {kind:?} {duration:?}", self.start.elapsed().as_secs_f64()));
        let role = name.split(' ').next().unwrap_or_default().to_owned();
        *self.counts.entry((role, kind)).or_default() += 1;
        match target {
            Target::Store => {
                disturb_store(deployment, kind);
                deployment
                    .workers
                    .iter_mut()
                    .chain(&mut deployment.clients)
                    .for_each(|instance| instance.disturbances += 1);
            }
            Target::Worker(number) => {
                deployment.workers[number].disturbances += 1;
                match kind {
                    FaultKind::DieBeforeCommit => self.die_at_commit(deployment, number, "PYNENC_ABORT_BEFORE_COMMIT"),
                    FaultKind::DieAfterCommit => self.die_at_commit(deployment, number, "PYNENC_ABORT_AFTER_COMMIT"),
                    _ => self.disturb_instance(&mut deployment.workers[number], kind),
                }
            }
            Target::Client(number) => {
                deployment.clients[number].disturbances += 1;
                self.disturb_instance(&mut deployment.clients[number], kind);
            }
        }
        self.active.push(ActiveFault { target, kind, until: Instant::now() + duration });
    }

    /// Restarts a worker, which ends itself at one of its next commits.
    fn die_at_commit(&mut self, deployment: &mut Deployment, number: usize, variable: &str) {
        let commit = self.random.u32(1..60).to_string();
        deployment.start_worker_where(number, &[(variable, &commit)]);
    }

    fn disturb_instance(&mut self, instance: &mut Instance, kind: FaultKind) {
        match kind {
            FaultKind::Kill => instance.kill(),
            FaultKind::Stop => instance.process.iter().for_each(TestProcess::pause),
            FaultKind::Terminate => instance.process.iter().for_each(|process| process.signal("TERM")),
            _ => instance.link.iter().for_each(|link| self.disturb_link(link, kind)),
        }
    }

    fn disturb_link(&mut self, link: &Proxy, kind: FaultKind) {
        let random = &mut self.random;
        match kind {
            FaultKind::StallLink => link.set_both(Flow::Stall),
            FaultKind::ResetLink => link.reset(),
            FaultKind::CutLink => link.set(Direction::ToClient, Flow::CutAfter(random.usize(1..4000))),
            FaultKind::HalfCloseLink => link.set(Direction::ToClient, Flow::HalfClose),
            FaultKind::TrickleLink => link.set_both(Flow::Trickle),
            FaultKind::DelayLink => link.set_both(Flow::Delay { by: millis(100), jitter: millis(100) }),
            FaultKind::DropBytes => link.set(Direction::ToClient, Flow::Drop),
            FaultKind::LoseReply => link.nth(random.usize(..20), b"call", Fault::LoseReply),
            _ => {
                let error_reply = ERROR_REPLIES[random.usize(..ERROR_REPLIES.len())];
                link.nth(random.usize(..20), b"call", Fault::Reply(error_reply));
            }
        }
    }

    /// Undoes every fault.
    pub(super) fn undo_all(&mut self, deployment: &mut Deployment) {
        self.undo(deployment, |_| true);
        // Clients that stopped as requested stay stopped.
        deployment.workers.iter().chain(&deployment.clients).for_each(Instance::repair_link);
    }

    /// Undoes faults. Returns whether the store serves requests again.
    fn undo(&mut self, deployment: &mut Deployment, is_due: impl Fn(&ActiveFault) -> bool) -> bool {
        let (due, active) = std::mem::take(&mut self.active).into_iter().partition(is_due);
        self.active = active;
        let due: Vec<ActiveFault> = due;
        due.iter().for_each(|active| repair(deployment, active));
        due.iter().any(|active| active.target == Target::Store && active.kind.stops_store())
    }

    /// The number of injected faults.
    pub(super) fn count(&self) -> usize {
        self.counts.values().sum()
    }

    /// The number of injected faults of each kind.
    pub(super) fn summary(&self) -> String {
        let line = |((target, kind), count): (&(String, FaultKind), &usize)| format!("{target} {kind:?} x{count}");
        self.counts.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    /// Every injected fault, in order.
    pub(super) fn log(&self) -> &[String] {
        &self.log
    }
}

fn disturb_store(deployment: &mut Deployment, kind: FaultKind) {
    if kind == FaultKind::RestartAll {
        deployment.workers.iter_mut().chain(&mut deployment.clients).for_each(Instance::kill);
    } else {
        deployment.store.disturb(kind);
    }
}

fn repair(deployment: &mut Deployment, active: &ActiveFault) {
    match (active.target, active.kind) {
        (Target::Store, FaultKind::RestartAll) => deployment.start_all(),
        (Target::Store, kind) => deployment.store.repair(kind),
        (
            Target::Worker(number),
            FaultKind::Kill | FaultKind::Terminate | FaultKind::DieBeforeCommit | FaultKind::DieAfterCommit,
        ) => deployment.start_worker(number),
        (Target::Worker(number), kind) => repair_instance(&deployment.workers[number], kind),
        (Target::Client(number), FaultKind::Kill) => deployment.start_client(number),
        (Target::Client(number), kind) => repair_instance(&deployment.clients[number], kind),
    }
}

fn repair_instance(instance: &Instance, kind: FaultKind) {
    if kind == FaultKind::Stop {
        return instance.process.iter().for_each(TestProcess::resume);
    }
    // A connection that lost bytes is unusable. TCP would have closed it.
    if kind == FaultKind::DropBytes {
        instance.link.iter().for_each(Proxy::reset);
    }
    instance.repair_link();
}
