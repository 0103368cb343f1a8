//! The system under test: a store, workers and clients. Each process has a link of its own to a server.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pynenc::InvocationId;
use pynenc::core::RunnerId;
use pynenc::prelude::*;
use pynenc_testkit::oracles::Evidence;
use pynenc_testkit::{Flow, Proxy, TestProcess};
use tempfile::TempDir;

use super::plan::Plan;
use super::store::Store;
use super::{client, load};
use crate::worker_tasks::{SHARED_FOLDER, SharedFolder};

/// The variable with the role of a process that a chaos run starts.
pub const ROLE: &str = "PYNENC_CHAOS_ROLE";

const APP: &str = "chaos";

/// The retention of finished invocations, and the interval of its service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    retention: &'static str,
    interval: &'static str,
}

/// Longer than any run.
pub(super) const LONG: Retention = Retention { retention: "1h", interval: "30s" };
/// So short that the number of entries soon stops growing.
pub(super) const SHORT: Retention = Retention { retention: "5s", interval: "500ms" };
/// Longer than every retention.
const LATER: Duration = Duration::from_secs(3 * 3600);

/// A worker or client, which is restarted again and again.
pub(super) struct Instance {
    role: &'static str,
    number: usize,
    starts: usize,
    /// The number of faults of this instance.
    pub(super) disturbances: usize,
    /// The link to a server.
    pub(super) link: Option<Proxy>,
    /// The running process.
    pub(super) process: Option<TestProcess>,
}

/// The store and all instances.
pub(super) struct Deployment {
    pub(super) store: Store,
    pub(super) shared: SharedFolder,
    pub(super) workers: Vec<Instance>,
    pub(super) clients: Vec<Instance>,
    pub(super) app: Pynenc,
    seed: u64,
    pause: u64,
    retention: Retention,
    folder: TempDir,
}

impl Deployment {
    /// Creates a store and no processes.
    pub(super) async fn new(plan: &Plan, retention: Retention) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let (store, shared) = (Store::start(plan.store, folder.path()), SharedFolder::in_folder(folder.path()));
        let instances = |role, count| (0..count).map(|number| Instance::new(role, number, store.link())).collect();
        let variables = store.variables(APP, None, &settings(retention));
        let app = load::app(shared.clone()).environment(variables).build().await;
        Self {
            workers: instances("worker", plan.workers),
            clients: instances("client", plan.clients),
            app: app.expect("the store can be used"),
            seed: plan.seed,
            pause: plan.pause().as_millis() as u64,
            retention,
            store,
            shared,
            folder,
        }
    }

    /// Starts every instance.
    pub(super) fn start_all(&mut self) {
        (0..self.workers.len()).for_each(|number| self.start_worker(number));
        (0..self.clients.len()).for_each(|number| self.start_client(number));
    }

    pub(super) fn start_worker(&mut self, number: usize) {
        self.start_worker_where(number, &[]);
    }

    /// Starts a worker with additional variables.
    pub(super) fn start_worker_where(&mut self, number: usize, variables: &[(&str, &str)]) {
        let (mut command, log) = (self.command(&self.workers[number]), self.log(&self.workers[number]));
        command.envs(variables.iter().copied());
        self.workers[number].start(command, log);
    }

    pub(super) fn start_client(&mut self, number: usize) {
        let instance = &self.clients[number];
        let seed = self.seed.wrapping_add(1000 * (number as u64 + 1) + instance.starts as u64);
        let (mut command, log) = (self.command(instance), self.log(instance));
        command.env(client::SEED, seed.to_string()).env(client::PAUSE, self.pause.to_string());
        self.clients[number].start(command, log);
    }

    fn command(&self, instance: &Instance) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("the current program has a path"));
        command.env(ROLE, instance.role).env(SHARED_FOLDER, self.shared.folder());
        command.envs(self.store.variables(APP, instance.link.as_ref(), &settings(self.retention)));
        command
    }

    /// The log file of the next start.
    fn log(&self, instance: &Instance) -> PathBuf {
        self.log_of(instance, instance.starts)
    }

    fn log_of(&self, instance: &Instance, start: usize) -> PathBuf {
        self.folder.path().join(format!("log-{}-{}-{start}", instance.role, instance.number))
    }

    /// Starts a worker that applies retention, without a link.
    pub(super) fn retention_worker(&self) -> TestProcess {
        let instance = Instance::new("worker", self.workers.len(), None);
        let mut command = self.command(&instance);
        let retention = Retention { interval: "200ms", ..self.retention };
        command.envs(self.store.variables(APP, None, &settings(retention)));
        TestProcess::start_with_log(&mut command, self.log(&instance))
    }

    /// Moves the time of the store past every retention.
    pub(super) async fn pass_retentions(&self) -> Result<()> {
        self.store.advance(APP, LATER).await
    }

    /// Collects the evidence when everything has finished.
    pub(super) async fn evidence(&self) -> Result<Evidence> {
        let evidence = Evidence::of(self.app.parts(), &load::TRIGGERS).await?.with_ledger(&self.shared.ledger);
        let instances = self.workers.iter().chain(&self.clients);
        Ok(instances.fold(evidence, |all, instance| self.with_logs(all, instance)))
    }

    fn with_logs(&self, evidence: Evidence, instance: &Instance) -> Evidence {
        (0..instance.starts).fold(evidence, |all, start| {
            let text = std::fs::read_to_string(self.log_of(instance, start)).unwrap_or_default();
            let text = without_colors(&text);
            all.with_log(&format!("{} {}, start {start}", instance.role, instance.number), text, instance.disturbances)
        })
    }

    /// The runners that aren't retired.
    pub(super) async fn live_runners(&self) -> Result<Vec<RunnerId>> {
        let runners = self.app.parts().orchestrator.runners().await?;
        Ok(runners.into_iter().filter(|runner| !runner.retired).map(|runner| runner.id).collect())
    }

    /// Finds remaining entries of invocations and runners in the evidence.
    pub(super) async fn find_leftovers(&self, evidence: &mut Evidence) -> Result<()> {
        evidence.leftovers.clear();
        evidence.find_leftovers(self.store.entries(APP)?, &self.live_runners().await?);
        Ok(())
    }

    /// Emits the events of workflows that still wait for theirs.
    pub(super) async fn emit_flow_events(&self, unfinished: &[InvocationId]) -> Result<()> {
        for record in self.app.parts().state.invocations(unfinished).await?.into_iter().flatten() {
            if record.task.as_str() == load::flow::NAME {
                let mut arguments = self.app.arguments(&record).await?;
                load::emit_flow_event(&self.app, arguments.take("n")?).await?;
            }
        }
        Ok(())
    }
}

fn without_colors(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or(part, |(_, rest)| rest))
}

impl Instance {
    fn new(role: &'static str, number: usize, link: Option<Proxy>) -> Self {
        Self { role, number, starts: 0, disturbances: 0, link, process: None }
    }

    fn start(&mut self, mut command: Command, log: PathBuf) {
        self.repair_link();
        self.process = Some(TestProcess::start_with_log(&mut command, log));
        self.starts += 1;
    }

    /// The name, such as `worker 1`.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.role, self.number)
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn repair_link(&self) {
        self.link.iter().for_each(|link| link.set_both(Flow::Pass));
    }
}

/// The settings of every process. Leases are short, and no invocation becomes a poison pill.
fn settings(retention: Retention) -> Vec<(&'static str, &'static str)> {
    let Retention { retention, interval } = retention;
    vec![
        ("RUNNER__CONCURRENCY", "16"),
        ("RUNNER__LEASE", "1500ms"),
        ("RUNNER__HEARTBEAT_INTERVAL", "500ms"),
        ("RUNNER__SWEEP_INTERVAL", "250ms"),
        ("RUNNER__POISON_LOSSES", "1000"),
        ("RUNNER__SHUTDOWN_GRACE", "2s"),
        ("TRIGGERS__OFFER_TIMEOUT", "1s"),
        ("TRIGGERS__RETENTION", retention),
        ("WORKFLOW__OFFER_TIMEOUT", "1s"),
        ("WORKFLOW__PUT_ASIDE_AFTER", "100ms"),
        ("RETENTION__RESULTS", retention),
        ("RETENTION__FAILURES", retention),
        ("RETENTION__INTERVAL", interval),
    ]
}
