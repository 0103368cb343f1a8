//! [`ThreadRunner`], the runner on the tokio runtime of its own process.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::RunnerId;
use pynenc_core::broker::Pop;
use pynenc_core::lane::Found;
use pynenc_core::orchestrator::Heartbeat;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::{Runner, runtime_watchdog};
use crate::backoff::store_backoff;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stop::{Stop, Stopper, stop_pair};
use crate::worker::{StartAttempt, Worker};

/// How long a pop waits. Its length doesn't matter, because a push or a due time ends the wait.
const POP_WAIT: Duration = Duration::from_secs(60);
/// The maximum number of invocations in one claim.
const BATCH: usize = 500;
/// How long interrupted attempts have to settle.
const LAST_SETTLE: Duration = Duration::from_secs(5);

/// Runs up to `runner.concurrency` invocations at once: `async` task functions on the runtime, plain ones on its
/// blocking pool.
///
/// Heartbeats have a thread of their own, so that a task function that blocks the runtime doesn't cost the lease.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadRunner {
    beats_on_runtime: bool,
    identity: Option<RunnerId>,
}

impl ThreadRunner {
    /// Creates a runner.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a runner that sends its heartbeats from the runtime, so that they follow its clock. This is for tests
    /// under paused time.
    pub fn with_heartbeats_on_runtime() -> Self {
        Self { beats_on_runtime: true, ..Self::default() }
    }

    /// Creates a runner with an identity that its supervisor knows. If the identity is retired, the runner continues
    /// under a new one.
    pub(super) fn with_identity(identity: RunnerId) -> Self {
        Self { identity: Some(identity), ..Self::default() }
    }
}

#[async_trait]
impl Runner for ThreadRunner {
    async fn run(&self, engine: Engine, mut stop: Stop) -> Result<()> {
        engine.check_requirements()?;
        tokio::select! {
            biased;
            () = stop.draining() => return Ok(()),
            prepared = engine.prepare() => prepared?,
        }
        let identity = self.identity.unwrap_or_else(RunnerId::new);
        let worker = Arc::new(Worker::with_identity(&engine.settings().runner, identity));
        worker.report_to(&engine);
        let attempts = Attempts::default();
        worker.allow_inline_claims(attempts.starter(&engine));
        let (services, served) = stop_pair();
        let mut service_tasks = start_services(&engine, &worker, &served).await;
        let heartbeats = self.start_heartbeats(&engine, &worker, served)?;
        let limit = worker.settings().max_abandoned_threads;
        let has_too_many_abandoned = tokio::select! {
            biased;
            () = claim_loop(&engine, &worker, &mut stop, &attempts) => false,
            () = engine.blocking_threads().until_more_abandoned_than(limit) => true,
        };
        if has_too_many_abandoned {
            let abandoned = engine.abandoned_threads();
            tracing::error!(
                abandoned,
                "timed-out or cancelled plain task functions occupy too many threads; the runner claims nothing more"
            );
        }
        worker.set_draining();
        worker.stop_inline_claims();
        drain(&engine, &worker, stop, attempts).await;
        finish(&engine, &worker, services, heartbeats).await;
        service_tasks.shutdown().await;
        engine.flush().await;
        if has_too_many_abandoned { Err(Error::TooManyAbandonedThreads(engine.abandoned_threads())) } else { Ok(()) }
    }
}

impl ThreadRunner {
    fn start_heartbeats(self, engine: &Engine, worker: &Arc<Worker>, stop: Stop) -> Result<Heartbeats> {
        let (engine, worker) = (engine.clone(), worker.clone());
        if self.beats_on_runtime {
            let task = tokio::spawn(async move { worker.keep_alive(&engine, stop).await });
            return Ok(Heartbeats::Task(task));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Error::Component(pynenc_core::Error::unavailable("can't start the thread for heartbeats").caused_by(error))
        })?;
        let main_runtime = Handle::current();
        let beat = async move {
            tokio::join!(
                worker.keep_alive(&engine, stop.clone()),
                runtime_watchdog::watch(&main_runtime, &worker, stop)
            );
        };
        std::thread::Builder::new()
            .name("pynenc-heartbeat".to_owned())
            .spawn(move || runtime.block_on(beat))
            .map(Heartbeats::Thread)
            .map_err(|error| {
                Error::Component(
                    pynenc_core::Error::unavailable("can't start the thread for heartbeats").caused_by(error),
                )
            })
    }
}

/// The tasks that run attempts. They are dropped with this value. A task whose attempt has finished waits for another
/// one, which saves the cost of a new task.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<AttemptTasks>>);

#[derive(Default)]
struct AttemptTasks {
    all: JoinSet<()>,
    idle: Vec<oneshot::Sender<Run>>,
    /// Whether a task ends as soon as its attempt has finished.
    are_closing: bool,
}

/// One attempt. It is boxed, because it is handed from task to task and is large.
type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Attempts {
    fn spawn(&self, mut run: Run) {
        loop {
            let idle = self.lock().idle.pop();
            let Some(idle) = idle else { break };
            // Sent without the lock, because this may wake a thread. An idle task that is gone gives the attempt back.
            match idle.send(run) {
                Ok(()) => return,
                Err(returned) => run = returned,
            }
        }
        let attempts = Arc::downgrade(&self.0);
        self.lock().all.spawn(async move {
            loop {
                run.await;
                let next = attempts.upgrade().and_then(|attempts| Self(attempts).next());
                let Some(next) = next else { return };
                let Ok(next) = next.await else { return };
                run = next;
            }
        });
    }

    /// Makes the calling task idle, unless the tasks are closing.
    fn next(&self) -> Option<oneshot::Receiver<Run>> {
        let mut tasks = self.lock();
        if tasks.are_closing {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        tasks.idle.push(sender);
        Some(receiver)
    }

    /// Starts the attempts of calls that were claimed inline, for callers of this runner.
    fn starter(&self, engine: &Engine) -> StartAttempt {
        let (attempts, engine) = (Arc::downgrade(&self.0), engine.clone());
        Box::new(move |worker, attempt, result| {
            if let Some(attempts) = attempts.upgrade() {
                Self(attempts).spawn(Box::pin(worker.clone().run_for(engine.clone(), attempt, Some(result))));
            }
        })
    }

    /// Forgets the tasks that have ended, as a panic makes them.
    fn reap(&self) {
        while self.lock().all.try_join_next().is_some() {}
    }

    async fn all_finished(&self) {
        {
            let mut tasks = self.lock();
            tasks.are_closing = true;
            tasks.idle.clear();
        }
        while poll_fn(|cx| self.lock().all.poll_join_next(cx)).await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, AttemptTasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Heartbeats {
    Thread(std::thread::JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

async fn start_services(engine: &Engine, worker: &Arc<Worker>, stop: &Stop) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    {
        let (engine, worker, stop) = (engine.clone(), worker.clone(), stop.clone());
        tasks.spawn(async move { worker.serve(&engine, stop).await });
    }
    {
        let signals = worker.signals(engine).await;
        let (engine, worker, stop) = (engine.clone(), worker.clone(), stop.clone());
        tasks.spawn(async move { worker.listen(&engine, signals, stop).await });
    }
    for extension in engine.extensions() {
        let (engine, extension, runner, stop) = (engine.clone(), extension.clone(), worker.id(), stop.clone());
        tasks.spawn(async move {
            if let Err(error) = extension.serve(engine, runner, stop).await {
                tracing::error!(extension = extension.name(), %error, "the service of an extension has stopped");
            }
        });
    }
    tasks
}

async fn claim_loop(engine: &Engine, worker: &Arc<Worker>, stop: &mut Stop, attempts: &Attempts) {
    let mut failures = 0;
    loop {
        let found = tokio::select! {
            biased;
            () = stop.draining() => return,
            found = next(engine, worker) => found,
        };
        let claimed = match found {
            Ok((pop, found)) => worker.claim_found(engine, found, &pop).await,
            Err(error) => Err(error),
        };
        match claimed {
            Ok(claimed) => {
                failures = 0;
                for attempt in claimed {
                    attempts.spawn(Box::pin(worker.clone().run(engine.clone(), attempt)));
                }
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "can't fetch work; the runner retries until the store is back");
                }
                engine.parts().clock.sleep(store_backoff(failures)).await;
                failures += 1;
            }
        }
        attempts.reap();
    }
}

/// Waits until the worker may claim and has a free slot, then until there are invocations to claim.
async fn next(engine: &Engine, worker: &Worker) -> pynenc_core::Result<(Pop, Found)> {
    worker.unfenced().await;
    let free = worker.free_slots().await;
    let pop = Pop { queues: worker.queues().to_vec(), max: free.min(BATCH), wait: POP_WAIT };
    let found = engine.lane().find(&pop).await?;
    Ok((pop, found))
}

/// Waits for task functions to finish within the grace time, then interrupts them and waits until they have settled.
async fn drain(engine: &Engine, worker: &Worker, mut stop: Stop, attempts: Attempts) {
    let all_finished = attempts.all_finished();
    tokio::pin!(all_finished);
    tokio::select! {
        biased;
        () = &mut all_finished => return,
        () = stop.now() => {}
        () = engine.parts().clock.sleep(worker.settings().shutdown_grace) => {}
    }
    worker.interrupt_all();
    tokio::select! {
        biased;
        () = &mut all_finished => {}
        () = engine.parts().clock.sleep(LAST_SETTLE) => {
            tracing::error!(left = worker.held(), "invocations weren't given back; other runners will recover them");
        }
    }
}

async fn finish(engine: &Engine, worker: &Worker, services: Stopper, heartbeats: Heartbeats) {
    services.now();
    match heartbeats {
        Heartbeats::Thread(thread) => {
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
        Heartbeats::Task(task) => {
            let _ = task.await;
        }
    }
    let last = Heartbeat::last(worker.id());
    if let Ok(Err(error)) = tokio::time::timeout(LAST_SETTLE, engine.parts().orchestrator.heartbeat(&last)).await {
        tracing::debug!(%error, "the runner couldn't retire; its lease will run out");
    }
}
