//! When and where a worker's steps are done.

mod process;
mod pulse;
mod thread;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use pynenc_core::{ComponentContext, Components};

use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

pub use process::ProcessRunner;
pub use thread::ThreadRunner;

/// Runs invocations until it is told to stop.
#[async_trait]
pub trait Runner: fmt::Debug + Send + Sync + 'static {
    /// Claims and runs invocations.
    ///
    /// # Behavior
    ///
    /// - a runner whose tasks need what the app doesn't have doesn't start
    /// - nothing is claimed before every extension is prepared, by [`Engine::prepare`]
    /// - on the first signal nothing more is claimed, and bodies have the grace time to end
    /// - what hasn't ended by then is given back with no attempt charged
    /// - on the second signal the grace time is over
    async fn run(&self, engine: Engine, stop: Stop) -> Result<()>;

    /// Whether this process is there for this runner alone: then [`Runner::run`] is the last thing that it does.
    fn owns_process(&self) -> bool {
        false
    }
}

/// The registration of runners, which the core doesn't know.
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
