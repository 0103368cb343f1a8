//! The app: what a program holds.

use std::ops::Deref;
use std::sync::Arc;

use pynenc_core::config::{Config, Setting};
use pynenc_engine::stop::{Stopper, stop_pair};
use pynenc_engine::{Engine, Error, Result, Runner};
use tokio::task::JoinHandle;

use crate::builder::PynencBuilder;

/// An app. Clones are cheap and mean the same one.
///
/// It dereferences to its [`Engine`], whose methods submit calls and ask for invocations.
#[derive(Debug, Clone)]
pub struct Pynenc {
    engine: Engine,
    runner: Arc<dyn Runner>,
    config: Config,
}

impl Deref for Pynenc {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl Pynenc {
    pub(crate) fn assembled(engine: Engine, runner: Arc<dyn Runner>, config: Config) -> Self {
        Self { engine, runner, config }
    }

    /// The app that `pynenc.toml` and the environment describe; without either it lives in this process.
    ///
    /// # Errors
    ///
    /// As [`PynencBuilder::build`].
    pub async fn new() -> Result<Self> {
        Self::builder().build().await
    }

    /// Collects what an app is made of.
    pub fn builder() -> PynencBuilder {
        PynencBuilder::default()
    }

    /// Every setting with its value and where it came from; secrets are masked.
    pub fn explain(&self) -> Vec<Setting> {
        self.config.explain()
    }

    /// Whether this process is a worker of a supervisor, to which [`Pynenc::run`] is the last thing it does.
    pub fn is_worker_process(&self) -> bool {
        self.runner.owns_process()
    }

    /// Starts the app's runner in the background of this process.
    ///
    /// In a worker process of a [`ProcessRunner`](pynenc_engine::ProcessRunner) it doesn't return: there the program
    /// ends with its runner, and what is behind this call is the supervisor's.
    ///
    /// # Errors
    ///
    /// [`Error::Injection`] where a task needs a state that the app wasn't given.
    pub async fn start_runner(&self) -> Result<RunnerHandle> {
        if self.runner.owns_process() {
            self.run().await?;
        }
        self.engine.check_requirements()?;
        let (stopper, stop) = stop_pair();
        let (engine, runner) = (self.engine.clone(), self.runner.clone());
        let task = tokio::spawn(async move { runner.run(engine, stop).await });
        tokio::task::yield_now().await;
        Ok(RunnerHandle { stopper, task })
    }

    /// Runs the app's runner until the process is told to stop: the first SIGINT or SIGTERM lets bodies end for the
    /// grace time, the second one doesn't.
    ///
    /// # Errors
    ///
    /// The runner can't start, or has ended with [`Error::TooManyAbandonedThreads`].
    ///
    /// # Exits
    ///
    /// If plain bodies still keep threads then, the process ends here, with exit code 1 if there is an error: a runtime that is
    /// dropped would wait for them for ever.
    pub async fn run(&self) -> Result<()> {
        let (stopper, stop) = stop_pair();
        let signals = Signals::new().map_err(Error::other)?;
        let signals = tokio::spawn(forward_signals(signals, stopper));
        let result = self.runner.run(self.engine.clone(), stop).await;
        signals.abort();
        match self.engine.abandoned_threads() {
            0 => result,
            abandoned => {
                if let Err(error) = &result {
                    tracing::error!(%error, "the runner has ended");
                }
                tracing::warn!(abandoned, "the process ends without waiting for plain bodies that keep their threads");
                std::process::exit(i32::from(result.is_err()))
            }
        }
    }
}

/// A runner in the background. Dropped, it is told to stop and ends by itself.
#[derive(Debug)]
pub struct RunnerHandle {
    stopper: Stopper,
    task: JoinHandle<Result<()>>,
}

impl RunnerHandle {
    /// Lets bodies end for the grace time, and waits until the runner has stopped.
    ///
    /// # Errors
    ///
    /// What ended the runner, if it wasn't this call.
    pub async fn shutdown(self) -> Result<()> {
        self.stopper.drain();
        self.task.await.unwrap_or_else(|lost| Err(Error::other(lost)))
    }

    /// Gives running work back at once, and waits until the runner has stopped.
    ///
    /// # Errors
    ///
    /// As [`RunnerHandle::shutdown`].
    pub async fn shutdown_now(self) -> Result<()> {
        self.stopper.now();
        self.shutdown().await
    }
}

async fn forward_signals(mut signals: Signals, stopper: Stopper) {
    signals.next().await;
    tracing::info!("stopping: bodies have the grace time to end; a second signal stops now");
    stopper.drain();
    signals.next().await;
    stopper.now();
    std::future::pending::<()>().await;
}

/// The signals that ask a process to end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The signals that ask a process to end.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
