//! The app, and the handle of its runner.

#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "web")]
mod web;

use std::ops::Deref;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::config::{Config, Setting};
use pynenc_engine::stop::{Stopper, stop_pair};
use pynenc_engine::{Engine, Error, Result, Runner};
use tokio::task::JoinHandle;

#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteApp, Submitted};

/// An app: its tasks, stores and settings. Clones are cheap and share one app.
///
/// The methods that submit calls and read invocations are those of [`Engine`]. You can call them on the app, because it
/// dereferences to its engine.
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

    /// Returns every setting with its value and its origin. Secrets are masked.
    pub fn explain(&self) -> Vec<Setting> {
        self.config.explain()
    }

    /// Returns whether a [`ProcessRunner`](pynenc_engine::ProcessRunner) in another process, the supervisor, started this
    /// process as a worker process. A worker process only runs invocations: [`Pynenc::run`] and
    /// [`Pynenc::start_runner`] end the process when its runner stops.
    pub fn is_worker_process(&self) -> bool {
        self.runner.owns_process()
    }

    /// Starts the app's runner in the background of this process.
    ///
    /// A [`ProcessRunner`](pynenc_engine::ProcessRunner) starts this program again for each worker process. Each of them
    /// executes `main` up to this call and doesn't return from it: the process ends with its runner. So put code that
    /// submits calls after this call, where only the supervisor executes it.
    ///
    /// # Errors
    ///
    /// [`Error::Injection`] if a task needs a state that the app doesn't have.
    pub fn start_runner(&self) -> BoxFuture<'_, Result<RunnerHandle>> {
        async move {
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
        .boxed()
    }

    /// Runs the app's runner until the process gets SIGINT or SIGTERM.
    ///
    /// After the first signal, running task functions may finish within `runner.shutdown_grace`. A second signal stops
    /// the runner at once.
    ///
    /// # Errors
    ///
    /// The runner can't start, or stops with [`Error::TooManyAbandonedThreads`].
    ///
    /// # Exits
    ///
    /// If synchronous task functions still occupy threads, this method exits the process, with exit code 1 after an
    /// error. Otherwise, dropping the tokio runtime would wait for these threads forever.
    pub fn run(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let (stopper, stop) = stop_pair();
            let signals = Signals::new().map_err(Error::other)?;
            let signals = tokio::spawn(forward_signals(signals, stopper));
            let result = self.runner.run(self.engine.clone(), stop).await;
            signals.abort();
            match self.engine.abandoned_threads() {
                0 => result,
                abandoned => {
                    if let Err(error) = &result {
                        tracing::error!(%error, "the runner stopped with an error");
                    }
                    tracing::warn!(
                        abandoned,
                        "the process exits without waiting for synchronous task functions that still occupy threads"
                    );
                    std::process::exit(i32::from(result.is_err()))
                }
            }
        }
        .boxed()
    }
}

/// The handle of a runner in the background. Keep it: dropping the handle stops the runner, without waiting for it.
#[derive(Debug)]
#[must_use = "dropping the handle stops the runner"]
pub struct RunnerHandle {
    stopper: Stopper,
    task: JoinHandle<Result<()>>,
}

impl RunnerHandle {
    /// Stops the runner and waits until it has stopped. Running task functions may finish within
    /// `runner.shutdown_grace`.
    ///
    /// # Errors
    ///
    /// The error of the runner, if it had already stopped with one.
    pub fn shutdown(self) -> BoxFuture<'static, Result<()>> {
        async move {
            self.stopper.drain();
            self.task.await.unwrap_or_else(|lost| Err(Error::other(lost)))
        }
        .boxed()
    }

    /// Stops the runner at once and waits until it has stopped. Running invocations go back to their queues.
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
    tracing::info!(
        "shutting down: running task functions may finish within the grace time; a second signal stops at once"
    );
    stopper.drain();
    signals.next().await;
    stopper.now();
    std::future::pending::<()>().await;
}

/// The signals that ask the process to stop.
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

/// The signals that ask the process to stop.
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
