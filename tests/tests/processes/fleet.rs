//! A server, worker processes, and a client that observes them.

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
use pynenc_tests::variables::on_redis;
use pynenc_tests::worker_tasks::{SHARED_FOLDER, SharedFolder, builder, noted};
use tempfile::TempDir;

/// The lease of the runners.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);
/// The longest wait of a test. A broken promise exceeds it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The maximum number of faults in a test that a worker may log.
const DISTURBANCES: usize = 20;

/// The settings of the clients and the workers.
const SETTINGS: [(&str, &str); 6] = [
    ("RUNNER_CLS", "ThreadRunner"),
    ("REDIS__START_CHECK", "off"),
    ("RUNNER__CONCURRENCY", "8"),
    ("RUNNER__LEASE", "1500ms"),
    ("RUNNER__HEARTBEAT_INTERVAL", "500ms"),
    ("RUNNER__SWEEP_INTERVAL", "250ms"),
];

fn variables(app_id: &str, url: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    on_redis(app_id, url, &[&SETTINGS[..], more].concat())
}

/// A server with worker processes.
pub(crate) struct Fleet {
    pub(crate) server: RedisServer,
    pub(crate) shared: SharedFolder,
    processes: AtomicUsize,
    _folder: TempDir,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        Self::on(RedisServer::start())
    }

    /// Uses an existing server.
    pub(crate) fn on(server: RedisServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedFolder::in_folder(folder.path());
        Self { server, shared, processes: AtomicUsize::new(0), _folder: folder }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Creates a client of the app.
    pub(crate) async fn client(&self) -> Pynenc {
        self.client_with(&[]).await
    }

    /// Creates a client with additional settings.
    pub(crate) async fn client_with(&self, more: &[(&str, &str)]) -> Pynenc {
        self.client_at(&self.server.url(), more).await
    }

    /// Creates a client behind a proxy, with additional settings.
    pub(crate) async fn client_behind_with(&self, proxy: &Proxy, more: &[(&str, &str)]) -> Pynenc {
        self.client_at(proxy.url(), more).await
    }

    async fn client_at(&self, url: &str, more: &[(&str, &str)]) -> Pynenc {
        builder(self.shared.clone()).environment(variables("fleet", url, more)).build().await.unwrap()
    }

    /// Creates a client while the server refuses connections. Returns its error, or `None` if it can connect.
    pub(crate) async fn late_client(&self) -> Option<String> {
        // Apps with the same id in one process share their connections.
        let variables = variables("late", &self.server.url(), &[]);
        match builder(self.shared.clone()).environment(variables).build().await {
            Ok(app) => app.count(Status::Running).await.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Starts a worker process.
    pub(crate) fn worker(&self) -> TestProcess {
        self.worker_with(&[])
    }

    /// Starts a worker process with additional settings.
    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> TestProcess {
        self.start(self.command(&self.server.url(), settings))
    }

    /// Starts a worker process behind a proxy.
    pub(crate) fn worker_behind(&self, proxy: &Proxy) -> TestProcess {
        self.worker_behind_with(proxy, &[])
    }

    /// Starts a worker process behind a proxy, with additional settings.
    pub(crate) fn worker_behind_with(&self, proxy: &Proxy, settings: &[(&str, &str)]) -> TestProcess {
        self.start(self.command(proxy.url(), settings))
    }

    /// Starts a worker process behind a proxy and runs a call on it, so that the server has its scripts.
    pub(crate) async fn warm_worker_behind(&self, proxy: &Proxy, app: &Pynenc) -> TestProcess {
        let worker = self.worker_behind(proxy);
        result_of(&app.submit(noted("warm".into())).await.unwrap()).await.unwrap();
        worker
    }

    /// The logs of all worker processes, with their names.
    pub(crate) fn logs(&self) -> Vec<(String, String)> {
        let count = self.processes.load(Ordering::Relaxed);
        let log = |number: usize| (format!("worker {number}"), std::fs::read_to_string(self.log(number)).unwrap());
        (0..count).map(log).collect()
    }

    fn log(&self, number: usize) -> PathBuf {
        self.shared.folder().join(format!("log-{number}"))
    }

    /// Starts a worker process with additional environment variables.
    pub(crate) fn worker_where(&self, variables: &[(&str, &str)]) -> TestProcess {
        let mut command = self.command(&self.server.url(), &[]);
        command.envs(variables.iter().copied());
        self.start(command)
    }

    fn start(&self, mut command: Command) -> TestProcess {
        TestProcess::start_with_log(&mut command, self.log(self.processes.fetch_add(1, Ordering::Relaxed)))
    }

    fn command(&self, url: &str, settings: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gated-worker"));
        command.env(SHARED_FOLDER, self.shared.folder()).envs(variables("fleet", url, settings));
        command
    }

    /// Checks every promise when everything has finished.
    pub(crate) async fn holds(&self, app: &Pynenc) {
        let begun = Instant::now();
        loop {
            let evidence = self.evidence(app).await;
            // I1 and I7 don't hold for unfinished invocations yet.
            let is_unfinished = evidence.breaches().iter().any(|breach| matches!(breach.oracle, "I1" | "I7"));
            if !is_unfinished || begun.elapsed() > PATIENCE / 4 {
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

/// Waits for a result with a time limit.
pub(crate) async fn result_of<T: Task>(invocation: &Invocation<T>) -> Result<T::Output> {
    match invocation.result_timeout(PATIENCE).await {
        Err(Error::Timeout(_)) => panic!("the invocation didn't finish in time: {:#?}", invocation.history().await),
        result => result,
    }
}

/// Waits until a condition holds.
pub(crate) async fn until(condition: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "this condition never held: {condition}");
}

/// Checks the history of a finished invocation: one final line at the end, and versions without a gap.
pub(crate) async fn finished_once<T: Task>(invocation: &Invocation<T>) -> Vec<HistoryEntry> {
    let history = invocation.history().await.unwrap();
    let finals = history.iter().filter(|entry| entry.status.is_final()).count();
    assert!(finals == 1 && history.last().unwrap().status.is_final(), "{history:#?}");
    assert!(history.iter().map(|entry| entry.version).eq(1..=history.len() as u64), "{history:#?}");
    history
}

/// The number of history lines with a reason.
pub(crate) fn times(history: &[HistoryEntry], reason: Reason) -> usize {
    history.iter().filter(|entry| entry.reason == reason).count()
}
