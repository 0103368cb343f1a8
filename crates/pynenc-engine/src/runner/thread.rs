//! The runner that works on the tokio runtime of its process.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pynenc_core::RunnerId;
use pynenc_core::broker::Pop;
use pynenc_core::lane::Found;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{Runner, pulse};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stop::{Stop, Stopper, stop_pair};
use crate::worker::{Adopter, Attempt, Worker, pause_before};

/// How long a pop waits; nothing hangs on it, because a pop is woken by what is pushed or becomes due.
const POP_WAIT: Duration = Duration::from_secs(60);
/// At most so many are claimed at once.
const BATCH: usize = 500;
/// How long bodies that were told to end have to settle.
const LAST_SETTLE: Duration = Duration::from_secs(5);

/// Runs up to `runner.concurrency` invocations at once: `async` bodies on the runtime, plain ones on its blocking pool.
///
/// Heartbeats have a thread of their own, so that bodies that block the runtime don't cost the lease.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadRunner {
    beats_on_runtime: bool,
    identity: Option<RunnerId>,
}

impl ThreadRunner {
    /// A runner.
    pub fn new() -> Self {
        Self::default()
    }

    /// A runner that sends its heartbeats from the runtime, so that they follow its clock; for tests under paused time.
    pub fn with_heartbeats_on_runtime() -> Self {
        Self { beats_on_runtime: true, ..Self::default() }
    }

    /// A runner whose identity somebody else has to know; if it is retired, it goes on under a new one.
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
        let attempts = Attempts::default();
        worker.adopt_with(attempts.adopter(&engine));
        let (services, served) = stop_pair();
        let mut service_tasks = start_services(&engine, &worker, &served).await;
        let heartbeats = self.start_heartbeats(&engine, &worker, served)?;
        let limit = worker.settings().max_abandoned_threads;
        let is_worn_out = tokio::select! {
            biased;
            () = claim_loop(&engine, &worker, &mut stop, &attempts) => false,
            () = engine.body_threads().are_worn_out(limit) => true,
        };
        if is_worn_out {
            let abandoned = engine.abandoned_threads();
            tracing::error!(abandoned, "plain bodies keep too many threads after their end; nothing more is claimed");
        }
        worker.stop_adopting();
        drain(&engine, &worker, stop, attempts).await;
        finish(&engine, &worker, services, heartbeats).await;
        service_tasks.shutdown().await;
        if is_worn_out { Err(Error::TooManyAbandonedThreads(engine.abandoned_threads())) } else { Ok(()) }
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
            Error::Component(pynenc_core::Error::unavailable("no thread for heartbeats").caused_by(error))
        })?;
        let bodies = Handle::current();
        let beat = async move {
            tokio::join!(worker.keep_alive(&engine, stop.clone()), pulse::watch(&bodies, &worker, stop));
        };
        std::thread::Builder::new()
            .name("pynenc-heartbeat".to_owned())
            .spawn(move || runtime.block_on(beat))
            .map(Heartbeats::Thread)
            .map_err(|error| {
                Error::Component(pynenc_core::Error::unavailable("no thread for heartbeats").caused_by(error))
            })
    }
}

/// The attempts that run; dropped, they are too.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<JoinSet<()>>>);

impl Attempts {
    fn spawn(&self, engine: &Engine, worker: &Arc<Worker>, attempt: Arc<Attempt>) {
        self.lock().spawn(worker.clone().run(engine.clone(), attempt));
    }

    /// Runs what a body's call has claimed.
    fn adopter(&self, engine: &Engine) -> Adopter {
        let (attempts, engine) = (Arc::downgrade(&self.0), engine.clone());
        Box::new(move |worker, attempt| {
            if let Some(attempts) = attempts.upgrade() {
                Self(attempts).spawn(&engine, worker, attempt);
            }
        })
    }

    fn reap(&self) {
        while self.lock().try_join_next().is_some() {}
    }

    async fn all_ended(&self) {
        while poll_fn(|cx| self.lock().poll_join_next(cx)).await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
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
                tracing::error!(extension = extension.name(), %error, "the service of an extension ended");
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
                    attempts.spawn(engine, worker, attempt);
                }
            }
            Err(error) => {
                if failures == 0 {
                    tracing::warn!(%error, "no work can be fetched; trying again until the store is back");
                }
                engine.parts().clock.sleep(pause_before(failures)).await;
                failures += 1;
            }
        }
        attempts.reap();
    }
}

/// Waits until something may be claimed.
async fn next(engine: &Engine, worker: &Worker) -> pynenc_core::Result<(Pop, Found)> {
    worker.unfenced().await;
    let free = worker.free_slots().await;
    let pop = Pop { queues: worker.queues().to_vec(), max: free.min(BATCH), wait: POP_WAIT };
    let found = engine.lane().find(&pop).await?;
    Ok((pop, found))
}

/// Lets bodies end for the grace time, then tells them to, then waits until they have settled.
async fn drain(engine: &Engine, worker: &Worker, mut stop: Stop, attempts: Attempts) {
    let all_ended = attempts.all_ended();
    tokio::pin!(all_ended);
    tokio::select! {
        biased;
        () = &mut all_ended => return,
        () = stop.now() => {}
        () = engine.parts().clock.sleep(worker.settings().shutdown_grace) => {}
    }
    worker.interrupt_all();
    tokio::select! {
        biased;
        () = &mut all_ended => {}
        () = engine.parts().clock.sleep(LAST_SETTLE) => {
            tracing::error!(left = worker.held(), "what couldn't be given back is recovered by others");
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
    let leave = engine.parts().orchestrator.leave(worker.id());
    if let Err(error) = tokio::time::timeout(LAST_SETTLE, leave).await.unwrap_or(Ok(())) {
        tracing::debug!(%error, "the runner's lease is left to run out");
    }
}
