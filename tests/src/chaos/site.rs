//! The house: a server, workers behind links of their own, and clients.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pynenc::InvocationId;
use pynenc::core::RunnerId;
use pynenc::prelude::*;
use pynenc_redis::{RedisConfig, RedisStore, StartCheck};
use pynenc_testkit::oracles::Evidence;
use pynenc_testkit::{Flow, Proxy, RedisServer, TestProcess};
use tempfile::TempDir;

use super::run::Plan;
use super::{ROLE, client, load};
use crate::work::{STAGE, Stage};

const APP: &str = "chaos";

/// How long what has ended is kept, and how often is looked for what is out of date.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    retention: &'static str,
    interval: &'static str,
}

/// Longer than anything lasts.
pub(super) const LONG: Keeping = Keeping { retention: "1h", interval: "30s" };
/// So short that a house soon has as much in it as it ever will.
pub(super) const SHORT: Keeping = Keeping { retention: "5s", interval: "500ms" };
/// After it everything is out of date.
const LATER: Duration = Duration::from_secs(3 * 3600);

/// A place for a process, which is filled again and again.
pub(super) struct Seat {
    role: &'static str,
    number: usize,
    lives: usize,
    /// How often something was done to it.
    pub(super) disturbances: usize,
    /// Its link to the server.
    pub(super) link: Proxy,
    /// Who sits there.
    pub(super) process: Option<TestProcess>,
}

/// All of it.
pub(super) struct Site {
    pub(super) server: RedisServer,
    pub(super) stage: Stage,
    pub(super) workers: Vec<Seat>,
    pub(super) clients: Vec<Seat>,
    pub(super) app: Pynenc,
    seed: u64,
    pause: u64,
    keeping: Keeping,
    folder: TempDir,
}

impl Site {
    /// A house with a server and nobody in it.
    pub(super) async fn new(plan: &Plan, keeping: Keeping) -> Self {
        let folder = tempfile::tempdir().expect("a program may make a folder");
        let (server, stage) = (RedisServer::start(), Stage::in_folder(folder.path()));
        let seats = |role, count| (0..count).map(|number| Seat::new(role, number, &server)).collect();
        let app = load::app(stage.clone()).environment(settings(&server.url(), keeping)).build().await;
        Self {
            workers: seats("worker", plan.workers),
            clients: seats("client", plan.clients),
            app: app.expect("the server runs"),
            seed: plan.seed,
            pause: plan.pause().as_millis() as u64,
            keeping,
            server,
            stage,
            folder,
        }
    }

    /// Fills every seat.
    pub(super) fn open(&mut self) {
        (0..self.workers.len()).for_each(|number| self.start_worker(number));
        (0..self.clients.len()).for_each(|number| self.start_client(number));
    }

    pub(super) fn start_worker(&mut self, number: usize) {
        let command = self.command(&self.workers[number]);
        self.workers[number].sit(command);
    }

    pub(super) fn start_client(&mut self, number: usize) {
        let seat = &self.clients[number];
        let seed = self.seed.wrapping_add(1000 * (number as u64 + 1) + seat.lives as u64);
        let mut command = self.command(seat);
        command.env(client::SEED, seed.to_string()).env(client::PAUSE, self.pause.to_string());
        self.clients[number].sit(command);
    }

    fn command(&self, seat: &Seat) -> Command {
        let log = std::fs::File::create(self.log(seat.role, seat.number, seat.lives)).expect("the folder is ours");
        let mut command = Command::new(std::env::current_exe().expect("a program knows where it is"));
        command.env(ROLE, seat.role).env(STAGE, self.stage.folder());
        command.envs(settings(seat.link.url(), self.keeping)).stderr(log);
        command
    }

    fn log(&self, role: &str, number: usize, life: usize) -> PathBuf {
        self.folder.path().join(format!("log-{role}-{number}-{life}"))
    }

    /// A worker with an eye for what is out of date, directly at the server.
    pub(super) fn janitor(&self) -> TestProcess {
        let mut command = self.command(&Seat::new("worker", self.workers.len(), &self.server));
        let keeping = Keeping { interval: "200ms", ..self.keeping };
        TestProcess::start(command.envs(settings(&self.server.url(), keeping)))
    }

    /// Moves the time of all stores so far ahead that every retention is over.
    pub(super) async fn outlive_retention(&self) -> Result<()> {
        let config = RedisConfig { start_check: StartCheck::Off, ..RedisConfig::with_url(self.server.url()) };
        let store = RedisStore::connect(&config, APP).await.map_err(Error::other)?;
        store.advance(LATER).await.map_err(Error::other)
    }

    /// What is known once all has come to rest.
    pub(super) async fn evidence(&self) -> Result<Evidence> {
        let evidence = Evidence::of(self.app.parts(), &load::TRIGGERS).await?.with_ledger(&self.stage.ledger);
        let seats = self.workers.iter().chain(&self.clients);
        Ok(seats.fold(evidence, |all, seat| self.with_logs(all, seat)))
    }

    fn with_logs(&self, evidence: Evidence, seat: &Seat) -> Evidence {
        (0..seat.lives).fold(evidence, |all, life| {
            let text = std::fs::read_to_string(self.log(seat.role, seat.number, life)).unwrap_or_default();
            let text = without_colours(&text);
            all.with_log(&format!("{} {}, life {life}", seat.role, seat.number), text, seat.disturbances)
        })
    }

    /// The runners that live.
    pub(super) async fn alive(&self) -> Result<Vec<RunnerId>> {
        let runners = self.app.parts().orchestrator.runners().await?;
        Ok(runners.into_iter().filter(|runner| !runner.retired).map(|runner| runner.id).collect())
    }

    /// Looks for what is left in the server of what the evidence knows.
    pub(super) async fn look_for_leftovers(&self, evidence: &mut Evidence) -> Result<()> {
        evidence.leftovers.clear();
        evidence.find_leftovers(&self.server, APP, &self.alive().await?);
        Ok(())
    }

    /// The workflows that still wait for somebody to tell them to go on.
    pub(super) async fn tell_flows(&self, unended: &[InvocationId]) -> Result<()> {
        for record in self.app.parts().state.invocations(unended).await?.into_iter().flatten() {
            if record.task.as_str() == load::flow::NAME {
                let mut arguments = self.app.arguments(&record).await?;
                load::tell_flow(&self.app, arguments.take("n")?).await?;
            }
        }
        Ok(())
    }
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').map_or(part, |(_, rest)| rest))
}

impl Seat {
    fn new(role: &'static str, number: usize, server: &RedisServer) -> Self {
        Self { role, number, lives: 0, disturbances: 0, link: Proxy::before(server), process: None }
    }

    fn sit(&mut self, mut command: Command) {
        self.link.set_both(Flow::Pass);
        self.process = Some(TestProcess::start(&mut command));
        self.lives += 1;
    }

    /// Its name.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.role, self.number)
    }

    pub(super) fn kill(&mut self) {
        self.process = None;
    }
}

/// How everybody in the house is set up: leases are short, and nobody is taken for poison because chaos has met it often.
fn settings(url: &str, keeping: Keeping) -> BTreeMap<String, String> {
    let Keeping { retention, interval } = keeping;
    let settings = [
        ("APP_ID", APP),
        ("BROKER_CLS", "RedisBroker"),
        ("ORCHESTRATOR_CLS", "RedisOrchestrator"),
        ("STATE_BACKEND_CLS", "RedisStateBackend"),
        ("TRIGGER_STORE_CLS", "RedisTriggerStore"),
        ("REDIS__REDIS_URL", url),
        ("REDIS__START_CHECK", "off"),
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
    ];
    settings.map(|(key, value)| (format!("PYNENC__{key}"), value.to_owned())).into()
}
