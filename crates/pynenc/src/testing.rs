//! An app for tests: in memory, with a runner, and with virtual time.

#[cfg(feature = "workflow")]
mod replay;

use std::ops::Deref;
use std::time::Duration;

use pynenc_builder::{Pynenc, PynencBuilder, RunnerHandle};
use pynenc_core::clock::TokioClock;
use pynenc_core::config::RunnerConfig;
use pynenc_core::orchestrator::Find;
use pynenc_core::{InvocationId, Status};
use pynenc_engine::task::{ArgumentSource, Arguments};
use pynenc_engine::{Error, Result, Task, ThreadRunner};
use tokio::runtime::{Handle, RuntimeFlavor};

#[cfg(feature = "workflow")]
pub use replay::{Replayed, replay, replay_with};

/// An app in memory with a runner and virtual time. Dropping the app stops the runner.
///
/// The app pauses the time of its tokio runtime, which must be a current-thread runtime like that of `#[tokio::test]`.
/// Virtual time jumps ahead when all tasks of the runtime wait: while a test awaits a result, and in
/// [`TestApp::advance`]. Delays, retries, timeouts, leases and sleeps in task functions follow virtual time.
///
/// ```
/// use pynenc::prelude::*;
/// use pynenc::testing::TestApp;
///
/// #[task]
/// async fn remind(name: String) -> String {
///     format!("remember, {name}")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> pynenc::Result<()> {
/// let app = TestApp::new().await?;
/// let reminder = app.submit(remind("Ana".to_owned()).delay(hours(8))).await?;
/// app.advance(hours(7)).await;
/// assert_eq!(reminder.status().await?, Status::Scheduled);
/// app.advance(hours(1)).await;
/// assert_eq!(reminder.status().await?, Status::Success);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TestApp {
    app: Pynenc,
    _runner: RunnerHandle,
}

impl Deref for TestApp {
    type Target = Pynenc;

    fn deref(&self) -> &Pynenc {
        &self.app
    }
}

/// A submitted call.
#[derive(Debug)]
pub struct Submitted<T: Task> {
    /// The id of the invocation.
    pub id: InvocationId,
    /// The arguments of the call.
    pub arguments: T::Arguments,
    /// The current status of the invocation.
    pub status: Status,
}

impl TestApp {
    /// Creates an app with every task that the test links.
    ///
    /// # Errors
    ///
    /// As [`TestApp::with`].
    pub async fn new() -> Result<Self> {
        Self::with(|builder| builder).await
    }

    /// Creates an app with the states, settings and plugins that `configure` adds. Ignores files and the environment.
    ///
    /// # Errors
    ///
    /// As [`PynencBuilder::build`] and [`Pynenc::start_runner`]. Also [`Error::Config`] in a multi-thread runtime.
    pub async fn with(configure: impl FnOnce(PynencBuilder) -> PynencBuilder) -> Result<Self> {
        pause_time()?;
        let builder = Pynenc::builder().without_config_file().environment([]).memory();
        let builder = builder.clock(TokioClock::new()).runner(ThreadRunner::with_heartbeats_on_runtime());
        let builder = builder.read_back_arguments(true);
        let app = configure(builder).build().await?;
        let runner = app.start_runner().await?;
        let test_app = Self { app, _runner: runner };
        test_app.wait_for_amnesty().await;
        Ok(test_app)
    }

    /// Lets `duration` of virtual time pass. Everything that is due in this time happens in its order.
    pub async fn advance(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.run_until_idle().await;
    }

    /// Waits until all work is done that needs no time to pass. This takes one millisecond of virtual time.
    pub async fn run_until_idle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Returns the submitted calls of a task, the oldest first.
    ///
    /// # Errors
    ///
    /// A store fails, or an argument can't be decoded.
    pub async fn submitted<T: Task>(&self) -> Result<Vec<Submitted<T>>> {
        let mut find = Find { task: Some(T::definition().name.into()), limit: usize::MAX, ..Find::default() };
        let mut found = Vec::new();
        loop {
            let page = self.app.parts().orchestrator.find(&find).await?;
            found.extend(page.items);
            find.after = page.next;
            if find.after.is_none() {
                break;
            }
        }
        let ids: Vec<_> = found.iter().map(|item| item.id).collect();
        let records = self.app.parts().state.invocations(&ids).await?;
        let mut calls = Vec::with_capacity(found.len());
        for (item, record) in found.into_iter().zip(records) {
            let record = record.ok_or(Error::InvocationNotFound(item.id))?;
            let mut source: ArgumentSource = self.app.arguments(&record).await?;
            let arguments = T::Arguments::decode(&mut source)?;
            calls.push(Submitted { id: item.id, arguments, status: item.record.status });
        }
        Ok(calls)
    }

    /// Waits until the amnesty is over that starts with a runner's first heartbeat. Later, lost runners are recovered
    /// as in production.
    async fn wait_for_amnesty(&self) {
        let RunnerConfig { heartbeat_interval, .. } = self.app.settings().runner;
        tokio::time::sleep(heartbeat_interval * 2).await;
    }
}

fn pause_time() -> Result<()> {
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        let message = "TestApp needs a current-thread tokio runtime, because TestApp pauses the runtime's time";
        let error = pynenc_core::Error::config(message).with("advice", "use #[tokio::test] without a flavor");
        return Err(Error::Config(error));
    }
    if !is_paused() {
        tokio::time::pause();
    }
    Ok(())
}

/// Whether tokio's time is paused. Tokio has no function for this, so check whether its time moves.
fn is_paused() -> bool {
    let before = tokio::time::Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    tokio::time::Instant::now() == before
}
