//! A simulated process: an engine of its own over the shared stores, and futures that die together.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use pynenc_core::Timestamp;
use pynenc_core::broker::Pop;
use pynenc_engine::worker::Worker;
use pynenc_engine::{Attempt, Engine};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Futures that are polled one at a time and dropped together.
#[derive(Default)]
pub(super) struct Process {
    threads: Vec<Thread>,
    spawned: Arc<Mutex<Vec<Task>>>,
    /// The end of a pause. A paused process isn't polled.
    pub(super) paused_until: Option<Timestamp>,
}

struct Thread {
    task: Task,
    is_woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Process {
    /// Starts a runner's process, which claims, sends heartbeats and performs the services.
    pub(super) fn worker(engine: &Engine) -> Self {
        let process = Self::default();
        let worker = Arc::new(Worker::new(&engine.settings().runner));
        process.spawn(claim_loop(engine.clone(), worker.clone(), process.spawned.clone()));
        process.spawn(heartbeats(engine.clone(), worker.clone()));
        process.spawn(services(engine.clone(), worker.clone()));
        process.spawn(signals(engine.clone(), worker));
        process
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(task));
    }

    /// Whether a future can make progress at `now`.
    pub(super) fn is_ready(&mut self, now: Timestamp) -> bool {
        if self.paused_until.is_some_and(|until| until > now) {
            return false;
        }
        self.paused_until = None;
        self.adopt_spawned();
        self.threads.iter().any(|thread| thread.is_woken.0.load(Ordering::Acquire))
    }

    /// Polls one woken future at random.
    pub(super) fn poll_one(&mut self, rng: &mut fastrand::Rng) {
        let woken: Vec<_> =
            (0..self.threads.len()).filter(|index| self.threads[*index].is_woken.0.load(Ordering::Acquire)).collect();
        let Some(&index) = woken.get(rng.usize(0..woken.len().max(1))) else { return };
        let thread = &mut self.threads[index];
        thread.is_woken.0.store(false, Ordering::Release);
        let waker = Waker::from(thread.is_woken.clone());
        if thread.task.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(()) {
            drop(self.threads.swap_remove(index));
        }
    }

    fn adopt_spawned(&mut self) {
        let spawned = std::mem::take(&mut *self.spawned.lock().unwrap_or_else(PoisonError::into_inner));
        let thread = |task| Thread { task, is_woken: Arc::new(Woken(AtomicBool::new(true))) };
        self.threads.extend(spawned.into_iter().map(thread));
    }
}

async fn claim_loop(engine: Engine, worker: Arc<Worker>, spawned: Arc<Mutex<Vec<Task>>>) {
    loop {
        worker.unfenced().await;
        let max = worker.free_slots().await.min(4);
        let pop = Pop { queues: worker.queues().to_vec(), max, wait: Duration::from_secs(10) };
        let Ok(ids) = engine.parts().broker.pop(&pop).await else {
            engine.parts().clock.sleep(Duration::from_millis(200)).await;
            continue;
        };
        let attempts: Vec<Arc<Attempt>> = worker.claim(&engine, ids).await;
        let runs = attempts.into_iter().map(|attempt| Box::pin(worker.clone().run(engine.clone(), attempt)) as Task);
        spawned.lock().unwrap_or_else(PoisonError::into_inner).extend(runs);
    }
}

/// Sends heartbeats by the simulated clock. A real runner's fence uses its monotonic clock instead.
async fn heartbeats(engine: Engine, worker: Arc<Worker>) {
    let clock = engine.parts().clock.clone();
    let (lease, interval) = (worker.settings().lease, worker.settings().heartbeat_interval);
    let mut deadline = clock.now() + lease;
    loop {
        let sent = clock.now();
        let pause = if worker.beat(&engine).await.is_ok() {
            deadline = sent + lease;
            interval
        } else {
            interval / 5
        };
        if clock.now() >= deadline {
            worker.fence(&engine);
        }
        clock.sleep(pause).await;
    }
}

async fn services(engine: Engine, worker: Arc<Worker>) {
    loop {
        // The next tick repeats the work of a failed one.
        let _ = worker.tick(&engine).await;
        engine.parts().clock.sleep(worker.settings().sweep_interval).await;
    }
}

async fn signals(engine: Engine, worker: Arc<Worker>) {
    use futures_util::StreamExt;
    loop {
        if let Ok(mut signals) = engine.parts().orchestrator.signals(worker.id()).await {
            while let Some(signal) = signals.next().await {
                worker.signal(&signal);
            }
        }
        engine.parts().clock.sleep(Duration::from_secs(1)).await;
    }
}
