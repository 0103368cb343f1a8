//! The runner that lives in several processes.

mod control;
mod program;
mod seat;

use async_trait::async_trait;
use pynenc_core::lane::StoreId;
use tokio::task::JoinSet;

use self::control::Role;
use self::program::Program;
use self::seat::Seat;
use super::{Runner, ThreadRunner};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// Supervises `runner.num_processes` worker processes, each a [`ThreadRunner`] of `runner.concurrency` slots.
///
/// A worker process is this program, executed again with the same arguments: it goes through `main` to the line that
/// starts its runner, works there until it is told to end, and never gets behind that line. So what a program submits
/// belongs behind it. A process that a task takes down (it aborts, overflows its stack, or is killed for the memory it
/// takes) is replaced, at once at first and then with a growing pause; what it ran is given to others right away, and
/// the log names it.
///
/// Signals concern the supervisor, which tells its workers: on the first they drain, on the second they stop. A worker
/// whose supervisor is gone drains by itself.
///
/// The stores must be ones that processes share, such as those on Redis.
#[derive(Debug, Clone, Default)]
pub struct ProcessRunner {
    program: Option<Program>,
}

impl ProcessRunner {
    /// A runner whose workers are this program, executed again.
    pub fn new() -> Self {
        Self::default()
    }

    /// A runner whose workers are another program, which runs an app with a `ProcessRunner` too.
    pub fn with_program(
        program: impl Into<std::path::PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString>>,
    ) -> Self {
        Self { program: Some(Program::new(program, arguments)) }
    }
}

#[async_trait]
impl Runner for ProcessRunner {
    /// In a worker process it doesn't return: the process ends with its work.
    async fn run(&self, engine: Engine, stop: Stop) -> Result<()> {
        match Role::of_this_process() {
            Some(role) => work(engine, stop, role).await,
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
        let mut seats: JoinSet<()> = (0..processes(&engine))
            .map(|number| Seat::new(number, program.clone(), engine.clone(), stop.clone()).keep())
            .collect();
        while seats.join_next().await.is_some() {}
        Ok(())
    }
}

async fn work(engine: Engine, stop: Stop, role: Role) -> Result<()> {
    let stop = control::joined(stop)?;
    let ended = ThreadRunner::with_identity(role.runner).run(engine, stop).await;
    if let Err(error) = &ended {
        tracing::error!(%error, "the worker process can't work");
    }
    std::process::exit(i32::from(ended.is_err()))
}

fn processes(engine: &Engine) -> usize {
    match engine.settings().runner.num_processes {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    }
}

/// What one process keeps for itself, its workers would never see.
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
                "ProcessRunner works in other processes, and this store keeps everything in its own: choose one that \
                 processes share, such as the Redis components, or `runner_cls = \"ThreadRunner\"`",
            )
            .with("setting", key),
        )),
        None => Ok(()),
    }
}
