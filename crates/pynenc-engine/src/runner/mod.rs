//! Runners: they decide when and where a worker claims and runs invocations.

mod process;
mod runtime_watchdog;
mod thread;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::{ComponentContext, Components};

use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

pub use process::{ProcessRunner, worker_number};
pub use thread::ThreadRunner;

/// Runs invocations until it is stopped.
#[async_trait]
pub trait Runner: fmt::Debug + Send + Sync + 'static {
    /// Claims and runs invocations.
    ///
    /// # Behavior
    ///
    /// - it doesn't start if its tasks need an extension that the app doesn't have
    /// - it claims nothing before [`Engine::prepare`] has prepared every extension
    /// - on the first signal it claims nothing more, and running task functions have the grace time to finish
    /// - after the grace time it gives unfinished invocations back, with no attempt charged
    /// - on the second signal the grace time is over
    async fn run(&self, engine: Engine, stop: Stop) -> Result<()>;

    /// Returns whether this process exists only for this runner, so that it exits when [`Runner::run`] is over.
    fn owns_process(&self) -> bool {
        false
    }
}

/// Registers runners as components. The core can't, because it doesn't know the [`Runner`] trait.
pub trait RunnerComponents {
    /// Registers a runner under its full path.
    fn runner<F, Fut, R>(&mut self, path: &'static str, factory: F)
    where
        F: Fn(ComponentContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = pynenc_core::Result<R>> + Send + 'static,
        R: Runner;
}

impl RunnerComponents for Components {
    fn runner<F, Fut, R>(&mut self, path: &'static str, factory: F)
    where
        F: Fn(ComponentContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = pynenc_core::Result<R>> + Send + 'static,
        R: Runner,
    {
        self.add::<dyn Runner, _, _>("runner", path, move |context| {
            let made = factory(context);
            async move { Ok(Arc::new(made.await?) as Arc<dyn Runner>) }
        });
    }
}
