//! Runs a chaos test and checks the promises.

use std::fmt;
use std::time::{Duration, Instant};

use pynenc::InvocationId;
use pynenc::core::orchestrator::{Counts, Find};
use pynenc::core::trigger_store::TriggerRuns;
use pynenc::prelude::*;
use pynenc_testkit::oracles::{Breach, Evidence, Recovery};

use super::client;
use super::deployment::{Deployment, Instance, LONG};
use super::fault_injector::FaultInjector;
use super::load::{EACH_SECOND, plain};
use super::plan::Plan;

/// The longest time until work resumes after the store is back.
const BOUND: Duration = Duration::from_secs(5);
/// The longest time until everything has finished.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of retention periods until everything must be gone. Retention of an invocation is extended while others
/// need it.
const RETENTION_ROUNDS: usize = 6;

/// The result of a run.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    faults: usize,
    invocations: usize,
    accepted: usize,
    runs: usize,
    recoveries: Vec<Recovery>,
    settling: Duration,
    entries: (u64, &'static str),
    summary: String,
    log: Vec<String>,
    breaches: Vec<Breach>,
}

impl Report {
    /// Whether every promise held.
    pub fn is_success(&self) -> bool {
        self.breaches.is_empty()
    }

    /// The number of injected faults.
    pub fn faults(&self) -> usize {
        self.faults
    }

    /// The number of invocations.
    pub fn invocations(&self) -> usize {
        self.invocations
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, faults, invocations, accepted, runs, recoveries, settling, entries, .. } = self;
        if !self.is_success() {
            writeln!(f, "injected faults:\n{}\n", self.log.join("\n"))?;
        }
        let longest = recoveries.iter().max_by_key(|recovery| recovery.took);
        let longest = longest.map_or("none was measured".into(), |it| format!("{:?} after {}", it.took, it.after));
        writeln!(f, "seed {seed}: {faults} faults: {}", self.summary)?;
        writeln!(f, "{invocations} invocations, {accepted} acknowledged to clients, {runs} runs started")?;
        writeln!(f, "longest recovery of {}: {longest}; everything finished after {settling:?}", recoveries.len())?;
        writeln!(f, "{} {} are left after every retention", entries.0, entries.1)?;
        if self.is_success() {
            return write!(f, "every promise held");
        }
        self.breaches.iter().try_for_each(|breach| writeln!(f, "{breach}"))?;
        write!(f, "{} breaches; to repeat: scripts/chaos --seed {seed} with the same arguments", self.breaches.len())
    }
}

/// Injects faults for a while, waits until everything has finished, and checks every promise.
///
/// # Panics
///
/// Panics if the store or a process can't be started.
pub async fn run(plan: Plan) -> Report {
    let mut deployment = Deployment::new(&plan, LONG).await;
    deployment.start_all();
    let mut injector = FaultInjector::new(plan.seed);
    let recoveries = inject_faults(&mut deployment, &mut injector, plan.length).await;
    injector.undo_all(&mut deployment);
    let (mut evidence, settling) = wait_until_finished(&deployment).await;
    evidence.recoveries = recoveries;
    let left = forget(&mut deployment, &mut evidence).await;
    let mut breaches = evidence.breaches();
    breaches.extend(client_breaches(&deployment, &evidence));
    Report {
        seed: plan.seed,
        faults: injector.count(),
        invocations: evidence.invocations.len(),
        accepted: evidence.accepted.len(),
        runs: evidence.notes.iter().filter(|note| note.action == "begin").count(),
        recoveries: evidence.recoveries,
        settling,
        entries: (left, deployment.store.entries_name()),
        summary: injector.summary(),
        log: injector.log().to_vec(),
        breaches,
    }
}

/// Injects faults, and measures now and then how soon work resumes.
async fn inject_faults(deployment: &mut Deployment, injector: &mut FaultInjector, length: Duration) -> Vec<Recovery> {
    let (start, mut recoveries) = (Instant::now(), Vec::new());
    while start.elapsed() < length {
        let (pause, is_store_back) = injector.step(deployment);
        if is_store_back && recoveries.len() < start.elapsed().as_secs() as usize / 4 {
            injector.undo_all(deployment);
            recoveries.push(recovery(&deployment.app, injector.log()).await);
        }
        tokio::time::sleep(pause).await;
    }
    recoveries
}

async fn recovery(app: &Pynenc, log: &[String]) -> Recovery {
    let last: Vec<&str> =
        log.iter().rev().filter(|line| line.contains(" store ")).take(1).map(String::as_str).collect();
    let start = Instant::now();
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
    let took = if tokio::time::timeout(PATIENCE, probe).await.is_ok() { start.elapsed() } else { PATIENCE };
    Recovery { after: last.concat(), took, bound: BOUND }
}

/// Waits until the clients have stopped and everything has finished, then collects the evidence.
async fn wait_until_finished(deployment: &Deployment) -> (Evidence, Duration) {
    let start = Instant::now();
    let wait = async {
        while let Err(error) = deployment.app.triggers().pause(EACH_SECOND).await {
            tracing::info!(%error, "the store isn't back yet");
        }
        deployment.shared.open(client::STOP).expect("the shared folder exists");
        while !is_finished(deployment).await.unwrap_or(false) {
            tokio::time::sleep(millis(50)).await;
        }
    };
    // The oracles find invocations that didn't finish in time.
    let _ = tokio::time::timeout(PATIENCE, wait).await;
    let settling = start.elapsed();
    (deployment.evidence().await.expect("the store is back"), settling)
}

async fn is_finished(deployment: &Deployment) -> Result<bool> {
    let statuses = Status::ALL.iter().copied().filter(|status| !status.is_final()).collect();
    let find = Find { statuses, limit: 500, ..Find::default() };
    let parts = deployment.app.parts();
    let unfinished: Vec<_> = parts.orchestrator.find(&find).await?.items.iter().map(|item| item.id).collect();
    deployment.emit_flow_events(&unfinished).await?;
    let hints = parts.broker.queue(&"default".into(), None).await?;
    let mut is_open = hints.ready + hints.delayed > 0;
    is_open |= !parts.triggers.runs(&TriggerRuns::Undelivered(Duration::ZERO), 1).await?.is_empty();
    Ok(unfinished.is_empty() && !is_open)
}

/// Moves time past every retention until everything is gone, and counts the remaining entries. Retention is extended for
/// invocations that others need, so this takes several rounds.
async fn forget(deployment: &mut Deployment, evidence: &mut Evidence) -> u64 {
    deployment.workers.iter_mut().chain(&mut deployment.clients).for_each(Instance::kill);
    let _retention_worker = deployment.retention_worker();
    for _ in 0..RETENTION_ROUNDS {
        deployment.pass_retentions().await.expect("the store is back");
        let wait = async {
            while !is_forgotten(deployment, evidence).await.unwrap_or(false) {
                tokio::time::sleep(millis(200)).await;
            }
        };
        if tokio::time::timeout(PATIENCE / 12, wait).await.is_ok() {
            break;
        }
    }
    // The last round may have been interrupted.
    deployment.find_leftovers(evidence).await.expect("the store is back");
    deployment.store.count()
}

async fn is_forgotten(deployment: &Deployment, evidence: &mut Evidence) -> Result<bool> {
    let Counts { statuses, .. } = deployment.app.parts().orchestrator.count().await?;
    if statuses.values().any(|count| *count > 0) {
        return Ok(false);
    }
    deployment.find_leftovers(evidence).await?;
    Ok(evidence.leftovers.is_empty())
}

/// Wrong results of clients, and acknowledged events without a triggered call.
fn client_breaches(deployment: &Deployment, evidence: &Evidence) -> Vec<Breach> {
    let lines = deployment.shared.ledger.lines();
    let wrong = lines.iter().filter(|line| line.starts_with(client::WRONG)).cloned();
    let heard = |line: &&String| {
        let n = line.split(' ').nth(1).unwrap_or_default();
        let has = |name: String| evidence.notes.iter().any(|note| note.name == name);
        has(format!("heard-{n}")) && has(format!("after-{n}"))
    };
    let emitted = lines.iter().filter(|line| line.starts_with(client::EMITTED));
    let untriggered = emitted.filter(|line| !heard(line)).map(|line| format!("{line} without a triggered call"));
    let breach = |found| Breach { oracle: "I1", promise: "every acknowledged request takes effect", found };
    wrong.chain(untriggered).map(breach).collect()
}
