//! Workers in processes of their own.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use pynenc::prelude::*;
use pynenc_testkit::TestProcess;

use crate::backend::{Backend, builder_on};
use crate::measurement::Measurement;
use crate::tasks;

/// The variable that holds the server's URL of a worker process.
const SERVER: &str = "PYNENC_BENCH_SERVER";

/// A worker process that runs until it is dropped.
pub(crate) struct WorkerProcess(TestProcess);

impl WorkerProcess {
    pub(crate) fn start(backend: &Backend) -> Self {
        let Backend::Redis(server, _) = backend else { unreachable!("worker processes share a Redis server") };
        let program = std::env::current_exe().expect("the current program has a path");
        Self(TestProcess::start(Command::new(program).env(SERVER, server.url()).stdin(Stdio::piped())))
    }

    /// The process' resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        resident_bytes(&status)
    }

    /// The process' CPU time in seconds.
    fn processor_time(&self) -> f64 {
        let times = std::fs::read_to_string(format!("/proc/{}/schedstat", self.0.id())).unwrap_or_default();
        times.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e9
    }
}

/// The resident memory from a `/proc/*/status` file.
pub(crate) fn resident_bytes(status: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<f64>().ok()).unwrap_or_default() * 1024.0
}

/// Runs the worker if this process is one. It works until its standard input closes.
pub(crate) fn role() -> Option<Result<()>> {
    let server = std::env::var(SERVER).ok()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Some(runtime.map_err(Error::other).and_then(|runtime| runtime.block_on(work(&server))))
}

async fn work(server: &str) -> Result<()> {
    let runner = builder_on(server).tasks(tasks::all()).build().await?.start_runner().await?;
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    end.await.map_err(Error::other)?.map_err(Error::other)?;
    runner.shutdown().await
}

/// A worker's memory after some work, and its CPU usage while idle.
pub(crate) async fn resources(backend: &Backend) -> Result<Vec<Measurement>> {
    const CALLS: u64 = 20_000;
    const IDLE: Duration = Duration::from_secs(10);
    let app = backend.app().await?;
    let worker = WorkerProcess::start(backend);
    for batch in 0..CALLS / 1000 {
        app.submit_all((0..1000).map(|n| tasks::add(n, batch))).await?;
    }
    while app.count(Status::Success).await? < CALLS {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let resident = worker.resident_bytes() / f64::from(1 << 20);
    let before = worker.processor_time();
    tokio::time::sleep(IDLE).await;
    let idle = 100.0 * (worker.processor_time() - before) / IDLE.as_secs_f64();
    Ok(vec![
        Measurement { name: "memory", value: resident, unit: "MiB", target: 20.0 },
        Measurement { name: "idle", value: idle, unit: "% of a processor", target: 0.1 },
    ])
}
