//! Tests of code that uses tasks: an app in memory, with a runner, under virtual time.

#[cfg(feature = "workflow")]
mod replay;

use std::ops::Deref;
use std::time::Duration;

use pynenc_builder::{Pynenc, PynencBuilder, RunnerHandle};
use pynenc_core::clock::TokioClock;
use pynenc_core::config::RunnerConfig;
use pynenc_core::orchestrator::Find;
use pynenc_core::{InvocationId, Status};
use pynenc_engine::arguments::{ArgumentSource, Arguments};
use pynenc_engine::{Error, Result, Task, ThreadRunner};
use tokio::runtime::{Handle, RuntimeFlavor};

#[cfg(feature = "workflow")]
pub use replay::{Replayed, replay, replay_with};

/// An app in memory whose runner stops when it is dropped, and whose time stands still until it is told to go on.
///
/// It pauses the time of its tokio runtime, which has to be a current-thread one (that of `#[tokio::test]`). Time then
/// leaps whenever nothing is left to do but to wait: by itself while a test awaits a result, and by
/// [`TestApp::advance`]. Delays, retries, time limits, leases and the sleeps of bodies all follow it.
///
/// ```
/// use pynenc::prelude::*;
/// use pynenc::testing::TestApp;
///
/// #[task]
/// async fn remind(whom: String) -> String {
///     format!("remember, {whom}")
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

/// A call that was submitted.
#[derive(Debug)]
pub struct Submitted<T: Task> {
    /// Its invocation.
    pub id: InvocationId,
    /// Its arguments.
    pub arguments: T::Arguments,
    /// Where it stands.
    pub status: Status,
}

impl TestApp {
    /// An app with every task that the test links.
    ///
    /// # Errors
    ///
    /// As [`TestApp::with`].
    pub async fn new() -> Result<Self> {
        Self::with(|builder| builder).await
    }

    /// An app with states, settings and plugins of the test's own; neither files nor the environment are read.
    ///
    /// # Errors
    ///
    /// As [`PynencBuilder::build`] and [`Pynenc::start_runner`]; and [`Error::Config`] in a multi-thread runtime.
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

    /// Lets `duration` pass, and everything happen that is due in it, in its order.
    pub async fn advance(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
        self.run_until_idle().await;
    }

    /// Waits until nothing is left to do but to wait for time to pass. That takes a millisecond of virtual time.
    pub async fn run_until_idle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// The calls of a task that were submitted, oldest first.
    ///
    /// # Errors
    ///
    /// An argument can't be decoded.
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

    /// A runner's first heartbeat starts an amnesty; past it, tests of lost runners see what production sees.
    async fn wait_for_amnesty(&self) {
        let RunnerConfig { heartbeat_interval, .. } = self.app.settings().runner;
        tokio::time::sleep(heartbeat_interval * 2).await;
    }
}

fn pause_time() -> Result<()> {
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        let error = pynenc_core::Error::config("TestApp needs a current-thread runtime, because it pauses its time")
            .with("advice", "use #[tokio::test] without a flavor");
        return Err(Error::Config(error));
    }
    if !is_paused() {
        tokio::time::pause();
    }
    Ok(())
}

/// Tokio doesn't tell whether its time is paused; whether it moves does.
fn is_paused() -> bool {
    let before = tokio::time::Instant::now();
    std::thread::sleep(Duration::from_millis(2));
    tokio::time::Instant::now() == before
}
