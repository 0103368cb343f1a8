//! A store, worker processes, and a client that observes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pynenc::backends::pynenc_sqlite::rusqlite::Connection;
use pynenc::core::orchestrator::{HistoryEntry, Tracked};
use pynenc::prelude::*;
use pynenc::{InvocationId, Reason};
use pynenc_testkit::oracles::Evidence;
use pynenc_testkit::{Ledger, Proxy, RedisServer, TestProcess};
use pynenc_tests::variables::{on_redis, on_sqlite};
use pynenc_tests::worker_tasks::{SHARED_FOLDER, SharedFolder, builder, noted};
use tempfile::TempDir;

/// The lease of the runners.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);
/// The longest wait of a test. A broken promise exceeds it.
const PATIENCE: Duration = Duration::from_secs(60);
/// The maximum number of faults in a test that a worker may log.
const DISTURBANCES: usize = 20;

/// The settings of the clients and the workers.
const SETTINGS: [(&str, &str); 5] = [
    ("RUNNER_CLS", "ThreadRunner"),
    ("RUNNER__CONCURRENCY", "8"),
    ("RUNNER__LEASE", "1500ms"),
    ("RUNNER__HEARTBEAT_INTERVAL", "500ms"),
    ("RUNNER__SWEEP_INTERVAL", "250ms"),
];

/// A kind of store.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Store {
    Redis,
    Sqlite,
}

/// A store with worker processes.
pub(crate) struct Fleet {
    /// `None` if the store is a file.
    server: Option<RedisServer>,
    pub(crate) shared: SharedFolder,
    processes: AtomicUsize,
    _folder: TempDir,
}

impl Fleet {
    /// Starts a server.
    pub(crate) fn new() -> Self {
        Self::over(Store::Redis)
    }

    /// Uses an existing server.
    pub(crate) fn on(server: RedisServer) -> Self {
        Self::with(Some(server))
    }

    /// Starts an empty store.
    pub(crate) fn over(store: Store) -> Self {
        match store {
            Store::Redis => Self::on(RedisServer::start()),
            Store::Sqlite => Self::with(None),
        }
    }

    fn with(server: Option<RedisServer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedFolder::in_folder(folder.path());
        Self { server, shared, processes: AtomicUsize::new(0), _folder: folder }
    }

    pub(crate) fn server(&self) -> &RedisServer {
        self.server.as_ref().expect("the store is a server")
    }

    pub(crate) fn server_mut(&mut self) -> &mut RedisServer {
        self.server.as_mut().expect("the store is a server")
    }

    /// Lets every request to the store wait until the stall is dropped.
    pub(crate) fn stall(&self) -> Stall<'_> {
        if let Some(server) = &self.server {
            server.pause();
            return Stall::Server(server);
        }
        let connection = Connection::open(self.path()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        Stall::Lock(connection)
    }

    /// Pauses a process. A paused process keeps its lock on a SQLite file, so that nobody else can write. So the process is
    /// paused again until it has none.
    pub(crate) async fn pause(&self, process: &TestProcess) {
        process.pause();
        while self.server.is_none() && !self.can_be_locked() {
            process.resume();
            tokio::time::sleep(millis(10)).await;
            process.pause();
        }
    }

    /// Whether a lock of the SQLite file is free, or becomes free soon.
    fn can_be_locked(&self) -> bool {
        let connection = Connection::open(self.path()).unwrap();
        connection.busy_timeout(secs(1)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
    }

    /// The path of the SQLite file.
    pub(crate) fn path(&self) -> PathBuf {
        self.shared.folder().join("jobs.db")
    }

    /// The variables of an app on the store, with additional settings.
    fn variables(&self, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        match &self.server {
            Some(server) => variables_at("fleet", &server.url(), more),
            None => on_sqlite("fleet", self.path().to_str().unwrap(), &[&SETTINGS[..], more].concat()),
        }
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
        self.client_of(self.variables(more)).await
    }

    /// Creates a client behind a proxy, with additional settings.
    pub(crate) async fn client_behind_with(&self, proxy: &Proxy, more: &[(&str, &str)]) -> Pynenc {
        self.client_of(variables_at("fleet", proxy.url(), more)).await
    }

    async fn client_of(&self, variables: BTreeMap<String, String>) -> Pynenc {
        builder(self.shared.clone()).environment(variables).build().await.unwrap()
    }

    /// Creates a client while the server refuses connections. Returns its error, or `None` if it can connect.
    pub(crate) async fn late_client(&self) -> Option<String> {
        // Apps with the same id in one process share their connections.
        let variables = variables_at("late", &self.server().url(), &[]);
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
        self.start(self.command(&self.variables(settings)))
    }

    /// Starts a worker process behind a proxy.
    pub(crate) fn worker_behind(&self, proxy: &Proxy) -> TestProcess {
        self.worker_behind_with(proxy, &[])
    }

    /// Starts a worker process behind a proxy, with additional settings.
    pub(crate) fn worker_behind_with(&self, proxy: &Proxy, settings: &[(&str, &str)]) -> TestProcess {
        self.start(self.command(&variables_at("fleet", proxy.url(), settings)))
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
        let mut command = self.command(&self.variables(&[]));
        command.envs(variables.iter().copied());
        self.start(command)
    }

    /// Starts a worker process whose files can be limited.
    pub(crate) fn worker_with_limited_files(&self, settings: &[(&str, &str)]) -> TestProcess {
        let mut command = pynenc_testkit::without_xfsz(env!("CARGO_BIN_EXE_gated-worker"));
        command.env(SHARED_FOLDER, self.shared.folder()).envs(self.variables(settings));
        self.start(command)
    }

    fn start(&self, mut command: Command) -> TestProcess {
        TestProcess::start_with_log(&mut command, self.log(self.processes.fetch_add(1, Ordering::Relaxed)))
    }

    fn command(&self, variables: &BTreeMap<String, String>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gated-worker"));
        command.env(SHARED_FOLDER, self.shared.folder()).envs(variables);
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

/// A store that stands still: a stopped server, or a file that a foreign program has locked.
pub(crate) enum Stall<'a> {
    Server(&'a RedisServer),
    Lock(Connection),
}

impl Drop for Stall<'_> {
    fn drop(&mut self) {
        match self {
            Self::Server(server) => server.resume(),
            Self::Lock(connection) => connection.execute_batch("ROLLBACK").unwrap(),
        }
    }
}

/// The variables of an app on a server at a URL, with additional settings.
fn variables_at(app_id: &str, url: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    on_redis(app_id, url, &[&SETTINGS[..], &[("REDIS__START_CHECK", "off")], more].concat())
}

/// Defines each of these tests for each kind of store.
macro_rules! on_each_store {
    ($($name:ident),+ $(,)?) => {
        mod redis {
            $(#[tokio::test] async fn $name() { super::$name(crate::fleet::Store::Redis).await; })+
        }
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::fleet::Store::Sqlite).await; })+
        }
    };
}
pub(crate) use on_each_store;

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
