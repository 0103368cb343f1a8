//! [`ProcessRunner`], which supervises worker processes.

mod control;
mod program;
mod worker_process;

use async_trait::async_trait;
use pynenc_core::component::StoreId;
use tokio::task::JoinSet;

use self::control::Role;
use self::program::Program;
use self::worker_process::WorkerProcess;
use super::{Runner, ThreadRunner};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// Supervises `runner.num_processes` worker processes, each a [`ThreadRunner`] of `runner.concurrency` slots.
///
/// A worker process is this program, executed again with the same arguments. It executes `main` up to the line that
/// starts the runner, works there until it is stopped, and exits. So put code that submits calls behind that line.
///
/// A task may take its worker process down: it aborts, overflows its stack, or uses so much memory that it is killed.
/// The supervisor replaces the process, at first almost at once and then with a growing pause. It gives the process's
/// invocations to other runners right away and names them in the log.
///
/// Send signals to the supervisor, which passes them on: on the first the workers drain, on the second they stop. A
/// worker whose supervisor has exited drains by itself.
///
/// The processes have to share the stores, such as those on Redis.
#[derive(Debug, Clone, Default)]
pub struct ProcessRunner {
    program: Option<Program>,
}

impl ProcessRunner {
    /// Creates a runner whose workers execute this program again.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a runner whose workers execute another program, which has to run an app with a `ProcessRunner` too.
    pub fn with_program(
        program: impl Into<std::path::PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString>>,
    ) -> Self {
        Self { program: Some(Program::new(program, arguments)) }
    }
}

#[async_trait]
impl Runner for ProcessRunner {
    /// In a worker process `run` doesn't return: the process exits when its work is over.
    async fn run(&self, engine: Engine, stop: Stop) -> Result<()> {
        match Role::of_this_process() {
            Some(role) => run_worker(engine, stop, role).await,
            None => self.supervise(engine, stop).await,
        }
    }

    fn owns_process(&self) -> bool {
        Role::of_this_process().is_some()
    }
}

impl ProcessRunner {
    async fn supervise(&self, engine: Engine, stop: Stop) -> Result<()> {
        engine.check_requirements()?;
        check_stores(&engine)?;
        let program = self.program.clone().map_or_else(Program::this, Ok)?;
        let mut workers: JoinSet<()> = (0..process_count(&engine))
            .map(|number| WorkerProcess::new(number, program.clone(), engine.clone(), stop.clone()).supervise())
            .collect();
        while workers.join_next().await.is_some() {}
        engine.flush().await;
        Ok(())
    }
}

async fn run_worker(engine: Engine, stop: Stop, role: Role) -> Result<()> {
    let stop = control::joined(stop)?;
    let result = ThreadRunner::with_identity(role.runner).run(engine, stop).await;
    if let Err(error) = &result {
        tracing::error!(%error, "the worker process failed");
    }
    std::process::exit(i32::from(result.is_err()))
}

/// The number of this process among the worker processes of its [`ProcessRunner`], from 0. A process that replaces a dead one
/// has the same number. It is 0 in any other process.
pub fn worker_number() -> usize {
    Role::of_this_process().map_or(0, |role| role.number)
}

fn process_count(engine: &Engine) -> usize {
    match engine.settings().runner.num_processes {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

/// Refuses stores in the memory of this process, which the workers couldn't see.
fn check_stores(engine: &Engine) -> Result<()> {
    let parts = engine.parts();
    let stores = [
        ("orchestrator_cls", parts.orchestrator.store_id()),
        ("broker_cls", parts.broker.store_id()),
        ("state_backend_cls", parts.state.store_id()),
    ];
    match stores.iter().find(|(_, store)| *store == Some(StoreId::of_this_process())) {
        Some((key, _)) => Err(Error::Config(
            pynenc_core::Error::config(
                "ProcessRunner runs tasks in other processes, which can't see a store in this process's memory: \
                 choose a store that processes share, such as the Redis components, or `runner_cls = \"ThreadRunner\"`",
            )
            .with("setting", key),
        )),
        None => Ok(()),
    }
}
