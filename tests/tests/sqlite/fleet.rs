//! A file, worker processes, and a client that observes them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pynenc::prelude::*;
use pynenc_testkit::oracles::Evidence;
use pynenc_testkit::{Ledger, TestProcess};
use pynenc_tests::variables::on_sqlite;
use pynenc_tests::worker_tasks::{SHARED_FOLDER, SharedFolder, builder};
use tempfile::TempDir;

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

/// A file with worker processes.
pub(crate) struct Fleet {
    pub(crate) shared: SharedFolder,
    processes: AtomicUsize,
    folder: TempDir,
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shared = SharedFolder::in_folder(folder.path());
        Self { shared, processes: AtomicUsize::new(0), folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("jobs.db")
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Creates a client of the app.
    pub(crate) async fn client(&self) -> Pynenc {
        let variables = on_sqlite(self.path().to_str().unwrap(), &SETTINGS);
        builder(self.shared.clone()).environment(variables).build().await.unwrap()
    }

    /// Starts a worker process.
    pub(crate) fn worker(&self) -> TestProcess {
        self.worker_where(&[])
    }

    /// Starts a worker process with additional environment variables.
    pub(crate) fn worker_where(&self, variables: &[(&str, &str)]) -> TestProcess {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gated-worker"));
        command.env(SHARED_FOLDER, self.shared.folder());
        command.envs(on_sqlite(self.path().to_str().unwrap(), &SETTINGS)).envs(variables.iter().copied());
        let number = self.processes.fetch_add(1, Ordering::Relaxed);
        TestProcess::start_with_log(&mut command, self.log(number))
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("log-{number}"))
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
        let logs = (0..self.processes.load(Ordering::Relaxed))
            .map(|number| (format!("worker {number}"), std::fs::read_to_string(self.log(number)).unwrap()));
        logs.fold(evidence, |all, (name, text)| all.with_log(&name, text, DISTURBANCES))
    }
}

/// Waits for a result with a time limit.
pub(crate) async fn result_of<T: Task>(invocation: &Invocation<T>) -> Result<T::Output> {
    match invocation.result_timeout(PATIENCE).await {
        Err(Error::Timeout(_)) => panic!("the invocation didn't finish in time: {:#?}", invocation.history().await),
        result => result,
    }
}
