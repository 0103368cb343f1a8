//! What is done to the house, at random and one thing at a time to each who suffers it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use pynenc::prelude::*;
use pynenc_testkit::{Fault, Flow, Way};

use super::site::Site;

/// Who suffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Worker(usize),
    Client(usize),
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
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

const OF_SERVERS: [Deed; 7] = [
    Deed::Kill,
    Deed::Stop,
    Deed::CutEveryConnection,
    Deed::ForgetScripts,
    Deed::ForgetFunctions,
    Deed::PauseClients,
    Deed::Fill,
];
const OF_WORKERS: [Deed; 14] = [
    Deed::Kill,
    Deed::Kill,
    Deed::Kill,
    Deed::Stop,
    Deed::Terminate,
    Deed::StallLink,
    Deed::ResetLink,
    Deed::CutLink,
    Deed::HalfCloseLink,
    Deed::TrickleLink,
    Deed::DelayLink,
    Deed::DropBytes,
    Deed::LoseReply,
    Deed::WrongReply,
];
const OF_CLIENTS: [Deed; 5] = [Deed::Kill, Deed::Stop, Deed::ResetLink, Deed::StallLink, Deed::LoseReply];

/// What a server may answer instead of doing something.
const REFUSALS: [&str; 6] = [
    "-LOADING Redis is loading the dataset in memory",
    "-READONLY You can't write against a read only replica.",
    "-BUSY Redis is busy running a script.",
    "-MISCONF Redis is configured to save RDB snapshots",
    "-OOM command not allowed when used memory > 'maxmemory'.",
    "-NOSCRIPT No matching script.",
];

impl Deed {
    /// What undoes it has to be done at the end of this time.
    fn lasts(self, random: &mut Rng) -> Duration {
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

/// Something that was done and has yet to be undone.
struct Burning {
    victim: Victim,
    deed: Deed,
    until: Instant,
}

/// Who does it.
pub(super) struct Arsonist {
    random: Rng,
    burning: Vec<Burning>,
    done: BTreeMap<(String, Deed), usize>,
    told: Vec<String>,
    begun: Instant,
}

impl Arsonist {
    pub(super) fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self { random, burning: Vec::new(), done: BTreeMap::new(), told: Vec::new(), begun: Instant::now() }
    }

    /// Undoes what is due, does something more, and says how long to wait for the next. Whether the server was brought
    /// back is told too.
    pub(super) fn step(&mut self, site: &mut Site) -> (Duration, bool) {
        let has_returned = self.undo(site, |burning| burning.until <= Instant::now());
        let (victim, deed) = self.choose(site);
        if self.burning.iter().all(|burning| burning.victim != victim) {
            self.commit(site, victim, deed);
        }
        (millis(self.random.u64(20..400)), has_returned)
    }

    fn choose(&mut self, site: &Site) -> (Victim, Deed) {
        let (workers, clients) = (site.workers.len(), site.clients.len());
        let random = &mut self.random;
        match random.u32(..10) {
            0..2 => (Victim::Server, OF_SERVERS[random.usize(..OF_SERVERS.len())]),
            2..8 => (Victim::Worker(random.usize(..workers)), OF_WORKERS[random.usize(..OF_WORKERS.len())]),
            _ => (Victim::Client(random.usize(..clients)), OF_CLIENTS[random.usize(..OF_CLIENTS.len())]),
        }
    }

    fn commit(&mut self, site: &mut Site, victim: Victim, deed: Deed) {
        let name = match victim {
            Victim::Server => "server".to_owned(),
            Victim::Worker(number) => site.workers[number].name(),
            Victim::Client(number) => site.clients[number].name(),
        };
        let lasts = deed.lasts(&mut self.random);
        self.told.push(format!("{:>8.3} {name} {deed:?} {lasts:?}", self.begun.elapsed().as_secs_f64()));
        let kind = name.split(' ').next().unwrap_or_default().to_owned();
        *self.done.entry((kind, deed)).or_default() += 1;
        match victim {
            Victim::Server => {
                harm_server(site, deed);
                site.workers.iter_mut().chain(&mut site.clients).for_each(|seat| seat.disturbances += 1);
            }
            Victim::Worker(number) => self.harm_seat(&mut site.workers[number], deed),
            Victim::Client(number) => self.harm_seat(&mut site.clients[number], deed),
        }
        self.burning.push(Burning { victim, deed, until: Instant::now() + lasts });
    }

    fn harm_seat(&mut self, seat: &mut super::site::Seat, deed: Deed) {
        seat.disturbances += 1;
        let random = &mut self.random;
        match deed {
            Deed::Kill => seat.kill(),
            Deed::Stop => seat.process.iter().for_each(pynenc_testkit::TestProcess::pause),
            Deed::Terminate => seat.process.iter().for_each(|process| process.signal("TERM")),
            Deed::StallLink => seat.link.set_both(Flow::Stall),
            Deed::ResetLink => seat.link.reset(),
            Deed::CutLink => seat.link.set(Way::ToClient, Flow::CutAfter(random.usize(1..4000))),
            Deed::HalfCloseLink => seat.link.set(Way::ToClient, Flow::HalfClose),
            Deed::TrickleLink => seat.link.set_both(Flow::Trickle),
            Deed::DelayLink => seat.link.set_both(Flow::Delay { by: millis(100), jitter: millis(100) }),
            Deed::DropBytes => seat.link.set(Way::ToClient, Flow::Drop),
            Deed::LoseReply => seat.link.nth(random.usize(..20), b"call", Fault::LoseReply),
            _ => {
                let refusal = REFUSALS[random.usize(..REFUSALS.len())];
                seat.link.nth(random.usize(..20), b"call", Fault::Answer(refusal));
            }
        }
    }

    /// Undoes everything.
    pub(super) fn undo_all(&mut self, site: &mut Site) {
        self.undo(site, |_| true);
        // A client that stopped by itself, because it was told to, is left alone.
        site.workers.iter().chain(&site.clients).for_each(|seat| seat.link.set_both(Flow::Pass));
    }

    /// Whether the server is among what was undone.
    fn undo(&mut self, site: &mut Site, is_over: impl Fn(&Burning) -> bool) -> bool {
        let (over, burning) = std::mem::take(&mut self.burning).into_iter().partition(is_over);
        self.burning = burning;
        let over: Vec<Burning> = over;
        over.iter().for_each(|burning| heal(site, burning));
        let slow = [Deed::Kill, Deed::Stop, Deed::Fill, Deed::PauseClients];
        over.iter().any(|burning| burning.victim == Victim::Server && slow.contains(&burning.deed))
    }

    /// How many things were done.
    pub(super) fn count(&self) -> usize {
        self.done.values().sum()
    }

    /// What was done how often.
    pub(super) fn summary(&self) -> String {
        let line = |((victim, deed), count): (&(String, Deed), &usize)| format!("{victim} {deed:?} x{count}");
        self.done.iter().map(line).collect::<Vec<_>>().join(", ")
    }

    /// Everything that was done, in its order.
    pub(super) fn told(&self) -> &[String] {
        &self.told
    }
}

fn harm_server(site: &mut Site, deed: Deed) {
    match deed {
        Deed::Kill => site.server.kill9(),
        Deed::Stop => site.server.pause(),
        Deed::CutEveryConnection => site.server.kill_clients(),
        Deed::ForgetScripts => site.server.script_flush(),
        Deed::PauseClients => site.server.client_pause(millis(1000)),
        Deed::Fill => site.server.config_set("maxmemory", "1mb"),
        _ => site.server.function_flush(),
    }
}

fn heal(site: &mut Site, burning: &Burning) {
    match burning.victim {
        Victim::Server => match burning.deed {
            Deed::Kill => site.server.restart(),
            Deed::Stop => site.server.resume(),
            Deed::Fill => site.server.config_set("maxmemory", "0"),
            _ => {}
        },
        Victim::Worker(number) => match burning.deed {
            Deed::Kill | Deed::Terminate => site.start_worker(number),
            deed => heal_seat(&site.workers[number], deed),
        },
        Victim::Client(number) => match burning.deed {
            Deed::Kill => site.start_client(number),
            deed => heal_seat(&site.clients[number], deed),
        },
    }
}

fn heal_seat(seat: &super::site::Seat, deed: Deed) {
    match deed {
        Deed::Stop => seat.process.iter().for_each(pynenc_testkit::TestProcess::resume),
        // A connection that has lost bytes can't be used on: what keeps order would have closed it.
        Deed::DropBytes => {
            seat.link.reset();
            seat.link.set_both(Flow::Pass);
        }
        _ => seat.link.set_both(Flow::Pass),
    }
}
