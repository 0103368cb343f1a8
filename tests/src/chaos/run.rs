//! How a house is set on fire, and looked at when the fire is out.

use std::fmt;
use std::time::{Duration, Instant};

use pynenc::InvocationId;
use pynenc::core::orchestrator::{Counts, Find};
use pynenc::prelude::*;
use pynenc_testkit::oracles::{Breach, Evidence, Recovery};

use super::arson::Arsonist;
use super::client;
use super::load::{EACH_SECOND, plain};
use super::site::{LONG, Site};

/// Work goes on so soon after a server is back.
const BOUND: Duration = Duration::from_secs(5);
/// What isn't at rest then never will be.
const REST: Duration = Duration::from_secs(60);
/// So often what is kept for others is looked at again, before it is called forgotten by nobody.
const GENERATIONS: usize = 6;
/// So many calls are made in a second, by all clients together, however long it takes.
const MOST_CALLS: u32 = 60;
/// In a long run the calls are fewer, so that all of them can be looked at in the end.
const MOST_IN_ALL: u32 = 60_000;

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// From which everything at random is drawn.
    pub seed: u64,
    /// How long it goes on, without what comes before and after.
    pub length: Duration,
    /// Worker processes.
    pub workers: usize,
    /// Client processes.
    pub clients: usize,
}

impl Plan {
    /// How long a client pauses between two calls.
    pub(super) fn pause(&self) -> Duration {
        let seconds = self.length.as_secs_f64().max(1.0);
        let calls = f64::from(MOST_CALLS).min(f64::from(MOST_IN_ALL) / seconds);
        Duration::from_secs_f64(self.clients as f64 / calls)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    seed: u64,
    faults: usize,
    invocations: usize,
    accepted: usize,
    runs: usize,
    recoveries: Vec<Recovery>,
    rest: Duration,
    keys: usize,
    summary: String,
    told: Vec<String>,
    breaches: Vec<Breach>,
}

impl Ended {
    /// Whether every promise held.
    pub fn is_well(&self) -> bool {
        self.breaches.is_empty()
    }

    /// How many things were done.
    pub fn faults(&self) -> usize {
        self.faults
    }

    /// How many invocations there were.
    pub fn invocations(&self) -> usize {
        self.invocations
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, faults, invocations, accepted, runs, recoveries, rest, keys, .. } = self;
        if !self.is_well() {
            writeln!(f, "what was done:\n{}\n", self.told.join("\n"))?;
        }
        let longest = recoveries.iter().max_by_key(|recovery| recovery.took);
        let longest = longest.map_or("none was looked at".into(), |it| format!("{:?} after {}", it.took, it.after));
        writeln!(f, "seed {seed}: {faults} faults: {}", self.summary)?;
        writeln!(f, "{invocations} invocations, {accepted} acknowledged to clients, {runs} bodies begun")?;
        writeln!(f, "longest recovery of {}: {longest}; at rest after {rest:?}", recoveries.len())?;
        writeln!(f, "{keys} keys are left after every retention")?;
        if self.is_well() {
            return write!(f, "every promise held");
        }
        self.breaches.iter().try_for_each(|breach| writeln!(f, "{breach}"))?;
        write!(f, "{} breaches; to repeat: scripts/chaos --seed {seed} with the same arguments", self.breaches.len())
    }
}

pub(super) async fn run(plan: Plan) -> Ended {
    let mut site = Site::new(&plan, LONG).await;
    site.open();
    let mut arsonist = Arsonist::new(plan.seed);
    let recoveries = burn(&mut site, &mut arsonist, plan.length).await;
    arsonist.undo_all(&mut site);
    let (mut evidence, rest) = come_to_rest(&site).await;
    evidence.recoveries = recoveries;
    let keys = forget(&mut site, &mut evidence).await;
    let mut breaches = evidence.breaches();
    breaches.extend(of_clients(&site, &evidence));
    Ended {
        seed: plan.seed,
        faults: arsonist.count(),
        invocations: evidence.witnesses.len(),
        accepted: evidence.accepted.len(),
        runs: evidence.notes.iter().filter(|note| note.what == "begin").count(),
        recoveries: evidence.recoveries,
        rest,
        keys,
        summary: arsonist.summary(),
        told: arsonist.told().to_vec(),
        breaches,
    }
}

/// Breaks things, and now and then stops for a look at how soon work goes on.
async fn burn(site: &mut Site, arsonist: &mut Arsonist, length: Duration) -> Vec<Recovery> {
    let (begun, mut recoveries) = (Instant::now(), Vec::new());
    while begun.elapsed() < length {
        let (pause, has_returned) = arsonist.step(site);
        if has_returned && recoveries.len() < begun.elapsed().as_secs() as usize / 4 {
            arsonist.undo_all(site);
            recoveries.push(recovery(&site.app, arsonist.told()).await);
        }
        tokio::time::sleep(pause).await;
    }
    recoveries
}

async fn recovery(app: &Pynenc, told: &[String]) -> Recovery {
    let last: Vec<&str> =
        told.iter().rev().filter(|line| line.contains(" server ")).take(1).map(String::as_str).collect();
    let begun = Instant::now();
    let key = InvocationId::new().to_string();
    let probe = async {
        loop {
            let probe = plain(1).priority(9).idempotency_key(&key);
            match app.submit(probe).await {
                Ok(invocation) if invocation.result().await.is_ok() => return,
                _ => tokio::time::sleep(millis(20)).await,
            }
        }
    };
    let took = if tokio::time::timeout(REST, probe).await.is_ok() { begun.elapsed() } else { REST };
    Recovery { after: last.concat(), took, bound: BOUND }
}

/// Waits until the clients have stopped and everything has ended, and gathers what there is then.
async fn come_to_rest(site: &Site) -> (Evidence, Duration) {
    let begun = Instant::now();
    let wait = async {
        while let Err(error) = site.app.triggers().pause(EACH_SECOND).await {
            tracing::info!(%error, "the server isn't back yet");
        }
        site.stage.open(client::STOP).expect("the folder is ours");
        while !is_at_rest(site).await.unwrap_or(false) {
            tokio::time::sleep(millis(50)).await;
        }
    };
    // What never comes to rest is a breach that the oracles find.
    let _ = tokio::time::timeout(REST, wait).await;
    let rest = begun.elapsed();
    (site.evidence().await.expect("the server is back"), rest)
}

async fn is_at_rest(site: &Site) -> Result<bool> {
    let statuses = Status::ALL.iter().copied().filter(|status| !status.is_final()).collect();
    let find = Find { statuses, limit: 500, ..Find::default() };
    let parts = site.app.parts();
    let unended: Vec<_> = parts.orchestrator.find(&find).await?.items.iter().map(|item| item.id).collect();
    site.tell_flows(&unended).await?;
    let hints = parts.broker.len(&"default".into()).await?;
    let mut is_open = hints.ready + hints.delayed > 0;
    is_open |= !parts.triggers.undelivered(Duration::ZERO, 1).await?.is_empty();
    Ok(unended.is_empty() && !is_open)
}

/// Lets every retention end, and counts the keys that are left. What others need is kept beyond it and looked at again, so
/// the time is moved more than once.
async fn forget(site: &mut Site, evidence: &mut Evidence) -> usize {
    site.workers.iter_mut().chain(&mut site.clients).for_each(super::site::Seat::kill);
    let _janitor = site.janitor();
    for _ in 0..GENERATIONS {
        site.outlive_retention().await.expect("the server is back");
        let wait = async {
            while !is_forgotten(site, evidence).await.unwrap_or(false) {
                tokio::time::sleep(millis(200)).await;
            }
        };
        if tokio::time::timeout(REST / 12, wait).await.is_ok() {
            break;
        }
    }
    // The last look may have been given up in its midst.
    site.look_for_leftovers(evidence).await.expect("the server is back");
    site.server.command(&["DBSIZE"]).trim().parse().unwrap_or_default()
}

async fn is_forgotten(site: &Site, evidence: &mut Evidence) -> Result<bool> {
    let Counts { statuses, .. } = site.app.parts().orchestrator.count().await?;
    if statuses.values().any(|count| *count > 0) {
        return Ok(false);
    }
    site.look_for_leftovers(evidence).await?;
    Ok(evidence.leftovers.is_empty())
}

/// What clients were given or heard of and shouldn't, and events of which nothing has come.
fn of_clients(site: &Site, evidence: &Evidence) -> Vec<Breach> {
    let lines = site.stage.ledger.lines();
    let wrong = lines.iter().filter(|line| line.starts_with(client::WRONG)).cloned();
    let heard = |line: &&String| {
        let n = line.split(' ').nth(1).unwrap_or_default();
        let has = |name: String| evidence.notes.iter().any(|note| note.name == name);
        has(format!("heard-{n}")) && has(format!("after-{n}"))
    };
    let emitted = lines.iter().filter(|line| line.starts_with(client::EMITTED));
    let unheard = emitted.filter(|line| !heard(line)).map(|line| format!("{line} and nothing came of it"));
    let breach = |found| Breach { oracle: "I1", promise: "what was acknowledged comes to its end", found };
    wrong.chain(unheard).map(breach).collect()
}
