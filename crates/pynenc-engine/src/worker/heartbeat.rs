//! The worker's lease: heartbeats, fencing when the lease expires, and signals of the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::RunnerId;
use pynenc_core::orchestrator::{Heartbeat, HeartbeatReply, Introduction, Signal};
use pynenc_core::task_options::Fence;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::state::{Held, Worker};
use crate::attempt::{Attempt, Interrupt};
use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

impl Worker {
    /// Sends a heartbeat and acts on the reply: cancels invocations as requested. If the worker was retired, it takes a new
    /// identity and sends the first heartbeat of that one. The first heartbeat brings the worker's introduction.
    pub async fn beat(&self, engine: &Engine) -> Result<()> {
        while !self.beat_as(engine, self.id()).await? {}
        Ok(())
    }

    /// Sends a heartbeat under an identity. Returns whether the identity is alive and the store has its introduction.
    async fn beat_as(&self, engine: &Engine, runner: RunnerId) -> Result<bool> {
        let introduction = (!self.is_introduced.load(Ordering::Acquire)).then(|| self.introduction(engine));
        let was_sent = introduction.is_some();
        let heartbeat = Heartbeat {
            runner,
            lease: self.settings.lease,
            interval: self.settings.heartbeat_interval,
            description: description(engine.abandoned_threads()).into(),
            introduction,
        };
        let sent = Instant::now();
        self.health.heartbeat_sent();
        let beat = engine.parts().orchestrator.heartbeat(&heartbeat);
        let reply = match engine.metrics() {
            Some(metrics) => metrics.heartbeat(beat).await,
            None => beat.await,
        };
        match reply? {
            HeartbeatReply::Alive { cancel, is_introduced } => {
                cancel.into_iter().for_each(|id| self.signal(&Signal::Cancel(id)));
                self.set_fenced(false);
                self.health.heartbeat_accepted(sent);
                self.is_introduced.store(is_introduced, Ordering::Release);
                // A store that was purged asks for the introduction again.
                Ok(is_introduced || was_sent)
            }
            HeartbeatReply::Retired => {
                self.change_identity(engine, runner);
                Ok(false)
            }
        }
    }

    fn introduction(&self, engine: &Engine) -> Introduction {
        Introduction {
            queues: self.queues.clone(),
            tasks: engine.tasks().all().into_iter().map(|task| task.id.clone()).collect(),
            slots: self.settings.concurrency as u64,
        }
    }

    /// Sends heartbeats until it is stopped. If the lease isn't renewed in time, the worker is fenced. The lease counts
    /// by the worker's monotonic clock, from the moment when the last accepted heartbeat was sent.
    pub async fn keep_alive(&self, engine: &Engine, mut stop: Stop) {
        let mut deadline = Instant::now() + self.settings.lease;
        loop {
            let sent = Instant::now();
            let beat = timeout(self.settings.lease / 4, self.beat(engine));
            let pause = match self.fenced_at(deadline, engine, beat).await {
                Ok(Ok(())) => {
                    deadline = sent + self.settings.lease;
                    self.settings.heartbeat_interval
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a heartbeat failed");
                    self.settings.heartbeat_interval / 5
                }
                Err(_) => self.settings.heartbeat_interval / 5,
            };
            tokio::select! {
                biased;
                () = stop.now() => return,
                () = self.fenced_at(deadline, engine, sleep(pause)) => {}
            }
        }
    }

    /// Performs a step, and fences the worker if its lease expires meanwhile. Even a heartbeat that waits for its reply
    /// can't delay the fence.
    async fn fenced_at<T>(&self, deadline: Instant, engine: &Engine, step: impl Future<Output = T>) -> T {
        tokio::pin!(step);
        tokio::select! {
            biased;
            done = &mut step => return done,
            () = sleep_until(deadline) => self.fence(engine),
        }
        step.await
    }

    /// Stops claiming, and interrupts the attempts that must not run at the same time as a successor: attempts under
    /// running concurrency control, and of tasks with `fence = cancel`. Other attempts continue. The next reply to a
    /// heartbeat decides whether the worker keeps them.
    pub fn fence(&self, engine: &Engine) {
        if self.set_fenced(true) {
            tracing::warn!(runner = %self.id(), "the lease couldn't be renewed in time; the runner stops claiming");
            if let Some(metrics) = engine.metrics() {
                metrics.lost_lease();
            }
            let exclusive = self.attempts().into_iter().filter(|attempt| is_exclusive(engine, attempt));
            exclusive.for_each(|attempt| attempt.interrupt(Interrupt::Lost));
        }
    }

    /// Waits until the worker may claim.
    pub async fn unfenced(&self) {
        loop {
            let unfenced = self.unfenced.notified();
            if !self.is_fenced.load(Ordering::Acquire) {
                return;
            }
            unfenced.await;
        }
    }

    /// Sets or lifts the fence. Returns whether that changed it.
    fn set_fenced(&self, is_fenced: bool) -> bool {
        let changed = self.is_fenced.swap(is_fenced, Ordering::AcqRel) != is_fenced;
        if changed && !is_fenced {
            self.unfenced.notify_waiters();
        }
        changed
    }

    /// Acts on a signal of the store.
    pub fn signal(&self, signal: &Signal) {
        if let Signal::Cancel(id) = signal
            && let Some(attempt) = self.lock_held().get(id).and_then(Held::attempt)
        {
            attempt.interrupt(Interrupt::Cancel);
        }
    }

    /// Subscribes to the store's signals to this worker. Subscribe before the first claim, so that no cancel is missed.
    /// If the store is unavailable, the stream is empty, and [`Worker::listen`] subscribes again.
    pub async fn signals(&self, engine: &Engine) -> BoxStream<'static, Signal> {
        let signals = engine.parts().orchestrator.signals(self.id()).await;
        signals.unwrap_or_else(|_| futures_util::stream::empty().boxed())
    }

    /// Listens to the store's signals until it is stopped, and subscribes again when they end.
    pub async fn listen(self: &Arc<Self>, engine: &Engine, mut signals: BoxStream<'static, Signal>, mut stop: Stop) {
        while !stop.is_draining() {
            let renewed = self.identity_changed.notified();
            tokio::pin!(renewed);
            loop {
                let signal = tokio::select! {
                    biased;
                    () = stop.now() => return,
                    () = &mut renewed => None,
                    signal = signals.next() => signal,
                };
                let Some(signal) = signal else { break };
                self.signal(&signal);
                engine.extensions().iter().for_each(|extension| extension.on_signal(&signal));
            }
            sleep(self.settings.heartbeat_interval / 5).await;
            signals = self.signals(engine).await;
        }
    }
}

fn is_exclusive(engine: &Engine, attempt: &Attempt) -> bool {
    let task = engine.tasks().find(attempt.tracked.task.as_str());
    attempt.tracked.limited || task.is_some_and(|task| task.options.fence == Fence::Cancel)
}

fn description(abandoned: usize) -> String {
    let host = hostname::get().unwrap_or_default();
    let process = format!("{} process {}", host.display(), std::process::id());
    if abandoned == 0 { process } else { format!("{process}, with {abandoned} abandoned threads") }
}
