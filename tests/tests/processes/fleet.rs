//! A server, workers that are processes, and a client that watches them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pynenc::core::orchestrator::{HistoryEntry, Tracked};
use pynenc::prelude::*;
use pynenc::{InvocationId, Reason};
use pynenc_testkit::oracles::Evidence;
use pynenc_testkit::{Ledger, Proxy, RedisServer, TestProcess};
use pynenc_tests::work::{STAGE, Stage, builder, noted};
use tempfile::TempDir;

/// How long a runner is believed to live without a heartbeat.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);
/// Within what anything has to come to pass; a promise that is broken takes longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// No test does more to a process than so many things that it may tell of once each.
const DISTURBANCES: usize = 20;

/// A server and what is around it.
pub(crate) struct Fleet {
    pub(crate) server: RedisServer,
    pub(crate) stage: Stage,
    processes: AtomicUsize,
    _folder: TempDir,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self::on(RedisServer::start())
    }

    /// A fleet on a server of its own that is set up already.
    pub(crate) fn on(server: RedisServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::in_folder(folder.path());
        Self { server, stage, processes: AtomicUsize::new(0), _folder: folder }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.stage.ledger
    }

    fn settings(url: &str) -> BTreeMap<String, String> {
        let settings = [
            ("APP_ID", "fleet"),
            ("BROKER_CLS", "RedisBroker"),
            ("ORCHESTRATOR_CLS", "RedisOrchestrator"),
            ("STATE_BACKEND_CLS", "RedisStateBackend"),
            ("TRIGGER_STORE_CLS", "RedisTriggerStore"),
            ("RUNNER_CLS", "ThreadRunner"),
            ("REDIS__REDIS_URL", url),
            ("REDIS__START_CHECK", "off"),
            ("RUNNER__CONCURRENCY", "8"),
            ("RUNNER__LEASE", "1500ms"),
            ("RUNNER__HEARTBEAT_INTERVAL", "500ms"),
            ("RUNNER__SWEEP_INTERVAL", "250ms"),
        ];
        settings.map(|(key, value)| (format!("PYNENC__{key}"), value.to_owned())).into()
    }

    /// A client of the app.
    pub(crate) async fn client(&self) -> Pynenc {
        self.client_with(&[]).await
    }

    /// A client of the app that differs in some settings.
    pub(crate) async fn client_with(&self, more: &[(&str, &str)]) -> Pynenc {
        self.client_at(&self.server.url(), more).await
    }

    /// A client behind a link of its own that differs in some settings.
    pub(crate) async fn client_behind_with(&self, proxy: &Proxy, more: &[(&str, &str)]) -> Pynenc {
        self.client_at(proxy.url(), more).await
    }

    async fn client_at(&self, url: &str, more: &[(&str, &str)]) -> Pynenc {
        let mut settings = Self::settings(url);
        settings.extend(more.iter().map(|(key, value)| (format!("PYNENC__{key}"), (*value).to_owned())));
        builder(self.stage.clone()).environment(settings).build().await.unwrap()
    }

    /// What a client is told that comes when the server takes nobody in; nothing if it is let in.
    pub(crate) async fn late_client(&self) -> Option<String> {
        let mut settings = Self::settings(&self.server.url());
        // Those of one app in one process share their connections.
        settings.insert("PYNENC__APP_ID".to_owned(), "late".to_owned());
        match builder(self.stage.clone()).environment(settings).build().await {
            Ok(app) => app.count(Status::Running).await.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// A worker process.
    pub(crate) fn worker(&self) -> TestProcess {
        self.worker_with(&[])
    }

    /// A worker process that differs in some settings.
    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> TestProcess {
        TestProcess::start(&mut self.command(&self.server.url(), settings))
    }

    /// A worker process behind a link of its own.
    pub(crate) fn worker_behind(&self, proxy: &Proxy) -> TestProcess {
        self.worker_behind_with(proxy, &[])
    }

    /// A worker process behind a link of its own that differs in some settings.
    pub(crate) fn worker_behind_with(&self, proxy: &Proxy, settings: &[(&str, &str)]) -> TestProcess {
        TestProcess::start(&mut self.command(proxy.url(), settings))
    }

    /// A worker process behind a link of its own, which has worked: the server knows its scripts.
    pub(crate) async fn warm_worker_behind(&self, proxy: &Proxy, app: &Pynenc) -> TestProcess {
        let worker = self.worker_behind(proxy);
        result_of(&app.submit(noted("warm".into())).await.unwrap()).await.unwrap();
        worker
    }

    /// What every worker process has logged, each with its number.
    pub(crate) fn logs(&self) -> Vec<(String, String)> {
        let count = self.processes.load(Ordering::Relaxed);
        let log = |number: usize| (format!("worker {number}"), std::fs::read_to_string(self.log(number)).unwrap());
        (0..count).map(log).collect()
    }

    fn log(&self, number: usize) -> PathBuf {
        self.stage.folder().join(format!("log-{number}"))
    }

    /// A worker process with variables of its own.
    pub(crate) fn worker_where(&self, variables: &[(&str, &str)]) -> TestProcess {
        TestProcess::start(self.command(&self.server.url(), &[]).envs(variables.iter().copied()))
    }

    fn command(&self, url: &str, settings: &[(&str, &str)]) -> Command {
        let log = std::fs::File::create(self.log(self.processes.fetch_add(1, Ordering::Relaxed))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_staged-worker"));
        command.env(STAGE, self.stage.folder()).envs(Self::settings(url)).stderr(log);
        command.envs(settings.iter().map(|(key, value)| (format!("PYNENC__{key}"), value)));
        command
    }
}

impl Fleet {
    /// Checks every promise, once all has come to rest.
    pub(crate) async fn holds(&self, app: &Pynenc) {
        let begun = Instant::now();
        loop {
            let evidence = self.evidence(app).await;
            // What is still on its way has neither ended nor left its queue.
            let is_under_way = evidence.breaches().iter().any(|breach| matches!(breach.oracle, "I1" | "I7"));
            if !is_under_way || begun.elapsed() > PATIENCE / 4 {
                return evidence.assert_holds();
            }
            tokio::time::sleep(millis(20)).await;
        }
    }

    async fn evidence(&self, app: &Pynenc) -> Evidence {
        let evidence = Evidence::of(app.parts(), &[]).await.unwrap().with_ledger(self.ledger());
        self.logs().into_iter().fold(evidence, |all, (name, text)| all.with_log(&name, text, DISTURBANCES))
    }
}

/// The record of an invocation.
pub(crate) async fn record(app: &Pynenc, id: InvocationId) -> Tracked {
    app.parts().orchestrator.records(&[id]).await.unwrap().remove(0).unwrap()
}

/// Waits for a result, and doesn't wait for ever.
pub(crate) async fn result_of<T: Task>(invocation: &Invocation<T>) -> Result<T::Output> {
    match invocation.result_timeout(PATIENCE).await {
        Err(Error::Timeout(_)) => panic!("never ended: {:#?}", invocation.history().await),
        result => result,
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "{what}");
}

/// Checks what holds for whatever has ended: one final line, with nothing behind it, and versions without a gap.
pub(crate) async fn ended_once<T: Task>(invocation: &Invocation<T>) -> Vec<HistoryEntry> {
    let history = invocation.history().await.unwrap();
    let finals = history.iter().filter(|entry| entry.status.is_final()).count();
    assert!(finals == 1 && history.last().unwrap().status.is_final(), "{history:#?}");
    assert!(history.iter().map(|entry| entry.version).eq(1..=history.len() as u64), "{history:#?}");
    history
}

/// How often a reason is in a history.
pub(crate) fn times(history: &[HistoryEntry], reason: Reason) -> usize {
    history.iter().filter(|entry| entry.reason == reason).count()
}
