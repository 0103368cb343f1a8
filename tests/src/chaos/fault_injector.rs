//! Injects random faults, at most one at a time into each target.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pynenc::prelude::*;
use pynenc_testkit::{Direction, Fault, Flow};

use super::deployment::{Deployment, Instance};

/// The target of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Server,
    Worker(usize),
    Client(usize),
}

/// The kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FaultKind {
    Kill,
    Stop,
    Terminate,
    CutEveryConnection,
    ForgetScripts,
    ForgetFunctions,
    PauseClients,
    Fill,
    StallLink,
    ResetLink,
    CutLink,
    HalfCloseLink,
    TrickleLink,
    DelayLink,
    DropBytes,
    LoseReply,
    WrongReply,
}

const SERVER_FAULTS: [FaultKind; 7] = [
    FaultKind::Kill,
    FaultKind::Stop,
    FaultKind::CutEveryConnection,
    FaultKind::ForgetScripts,
    FaultKind::ForgetFunctions,
    FaultKind::PauseClients,
    FaultKind::Fill,
];
const WORKER_FAULTS: [FaultKind; 14] = [
    FaultKind::Kill,
    FaultKind::Kill,
    FaultKind::Kill,
    FaultKind::Stop,
    FaultKind::Terminate,
    FaultKind::StallLink,
    FaultKind::ResetLink,
    FaultKind::CutLink,
    FaultKind::HalfCloseLink,
    FaultKind::TrickleLink,
    FaultKind::DelayLink,
    FaultKind::DropBytes,
    FaultKind::LoseReply,
    FaultKind::WrongReply,
];
const CLIENT_FAULTS: [FaultKind; 5] =
    [FaultKind::Kill, FaultKind::Stop, FaultKind::ResetLink, FaultKind::StallLink, FaultKind::LoseReply];

/// Error replies that a proxy sends in the server's place.
const ERROR_REPLIES: [&str; 6] = [
    "-LOADING Redis is loading the dataset in memory",
    "-READONLY You can't write against a read only replica.",
    "-BUSY Redis is busy running a script.",
    "-MISCONF Redis is configured to save RDB snapshots",
    "-OOM command not allowed when used memory > 'maxmemory'.",
    "-NOSCRIPT No matching script.",
];

impl FaultKind {
    /// Draws the time until the fault is undone.
    fn duration(self, random: &mut Rng) -> Duration {
        let range = match self {
            Self::Kill => 0..1500,
            Self::Stop => 100..4500,
            Self::Fill | Self::Terminate => 300..2500,
            Self::StallLink | Self::TrickleLink | Self::DelayLink | Self::DropBytes => 100..4000,
            Self::CutLink | Self::HalfCloseLink => 100..1000,
            _ => 0..300,
        };
        millis(random.u64(range))
    }
}

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
    /// the server was repaired.
    pub(super) fn step(&mut self, deployment: &mut Deployment) -> (Duration, bool) {
        let is_server_back = self.undo(deployment, |active| active.until <= Instant::now());
        let (target, kind) = self.choose(deployment);
        if self.active.iter().all(|active| active.target != target) {
            self.inject(deployment, target, kind);
        }
        (millis(self.random.u64(20..400)), is_server_back)
    }

    fn choose(&mut self, deployment: &Deployment) -> (Target, FaultKind) {
        let (workers, clients) = (deployment.workers.len(), deployment.clients.len());
        let random = &mut self.random;
        match random.u32(..10) {
            0..2 => (Target::Server, SERVER_FAULTS[random.usize(..SERVER_FAULTS.len())]),
            2..8 => (Target::Worker(random.usize(..workers)), WORKER_FAULTS[random.usize(..WORKER_FAULTS.len())]),
            _ => (Target::Client(random.usize(..clients)), CLIENT_FAULTS[random.usize(..CLIENT_FAULTS.len())]),
        }
    }

    fn inject(&mut self, deployment: &mut Deployment, target: Target, kind: FaultKind) {
        let name = match target {
            Target::Server => "server".to_owned(),
            Target::Worker(number) => deployment.workers[number].name(),
            Target::Client(number) => deployment.clients[number].name(),
        };
        let duration = kind.duration(&mut self.random);
        self.log.push(format!("{:>8.3} {name} {kind:?} {duration:?}", self.start.elapsed().as_secs_f64()));
        let role = name.split(' ').next().unwrap_or_default().to_owned();
        *self.counts.entry((role, kind)).or_default() += 1;
        match target {
            Target::Server => {
                disturb_server(deployment, kind);
                deployment
                    .workers
                    .iter_mut()
                    .chain(&mut deployment.clients)
                    .for_each(|instance| instance.disturbances += 1);
            }
            Target::Worker(number) => self.disturb_instance(&mut deployment.workers[number], kind),
            Target::Client(number) => self.disturb_instance(&mut deployment.clients[number], kind),
        }
        self.active.push(ActiveFault { target, kind, until: Instant::now() + duration });
    }

    fn disturb_instance(&mut self, instance: &mut Instance, kind: FaultKind) {
        instance.disturbances += 1;
        let random = &mut self.random;
        match kind {
            FaultKind::Kill => instance.kill(),
            FaultKind::Stop => instance.process.iter().for_each(pynenc_testkit::TestProcess::pause),
            FaultKind::Terminate => instance.process.iter().for_each(|process| process.signal("TERM")),
            FaultKind::StallLink => instance.link.set_both(Flow::Stall),
            FaultKind::ResetLink => instance.link.reset(),
            FaultKind::CutLink => instance.link.set(Direction::ToClient, Flow::CutAfter(random.usize(1..4000))),
            FaultKind::HalfCloseLink => instance.link.set(Direction::ToClient, Flow::HalfClose),
            FaultKind::TrickleLink => instance.link.set_both(Flow::Trickle),
            FaultKind::DelayLink => instance.link.set_both(Flow::Delay { by: millis(100), jitter: millis(100) }),
            FaultKind::DropBytes => instance.link.set(Direction::ToClient, Flow::Drop),
            FaultKind::LoseReply => instance.link.nth(random.usize(..20), b"call", Fault::LoseReply),
            _ => {
                let error_reply = ERROR_REPLIES[random.usize(..ERROR_REPLIES.len())];
                instance.link.nth(random.usize(..20), b"call", Fault::Reply(error_reply));
            }
        }
    }

    /// Undoes every fault.
    pub(super) fn undo_all(&mut self, deployment: &mut Deployment) {
        self.undo(deployment, |_| true);
        // Clients that stopped as requested stay stopped.
        deployment.workers.iter().chain(&deployment.clients).for_each(|instance| instance.link.set_both(Flow::Pass));
    }

    /// Undoes faults. Returns whether the server was repaired.
    fn undo(&mut self, deployment: &mut Deployment, is_due: impl Fn(&ActiveFault) -> bool) -> bool {
        let (due, active) = std::mem::take(&mut self.active).into_iter().partition(is_due);
        self.active = active;
        let due: Vec<ActiveFault> = due;
        due.iter().for_each(|active| repair(deployment, active));
        let slow = [FaultKind::Kill, FaultKind::Stop, FaultKind::Fill, FaultKind::PauseClients];
        due.iter().any(|active| active.target == Target::Server && slow.contains(&active.kind))
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

fn disturb_server(deployment: &mut Deployment, kind: FaultKind) {
    match kind {
        FaultKind::Kill => deployment.server.kill9(),
        FaultKind::Stop => deployment.server.pause(),
        FaultKind::CutEveryConnection => deployment.server.kill_clients(),
        FaultKind::ForgetScripts => deployment.server.script_flush(),
        FaultKind::PauseClients => deployment.server.client_pause(millis(1000)),
        FaultKind::Fill => deployment.server.config_set("maxmemory", "1mb"),
        _ => deployment.server.function_flush(),
    }
}

fn repair(deployment: &mut Deployment, active: &ActiveFault) {
    match active.target {
        Target::Server => match active.kind {
            FaultKind::Kill => deployment.server.restart(),
            FaultKind::Stop => deployment.server.resume(),
            FaultKind::Fill => deployment.server.config_set("maxmemory", "0"),
            _ => {}
        },
        Target::Worker(number) => match active.kind {
            FaultKind::Kill | FaultKind::Terminate => deployment.start_worker(number),
            kind => repair_instance(&deployment.workers[number], kind),
        },
        Target::Client(number) => match active.kind {
            FaultKind::Kill => deployment.start_client(number),
            kind => repair_instance(&deployment.clients[number], kind),
        },
    }
}

fn repair_instance(instance: &Instance, kind: FaultKind) {
    match kind {
        FaultKind::Stop => instance.process.iter().for_each(pynenc_testkit::TestProcess::resume),
        // A connection that lost bytes is unusable. TCP would have closed it.
        FaultKind::DropBytes => {
            instance.link.reset();
            instance.link.set_both(Flow::Pass);
        }
        _ => instance.link.set_both(Flow::Pass),
    }
}
