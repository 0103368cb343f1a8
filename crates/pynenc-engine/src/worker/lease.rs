//! Signs of life, and what follows from their absence.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::RunnerId;
use pynenc_core::orchestrator::{Heartbeat, HeartbeatReply, Introduction, Signal};
use pynenc_core::task_options::Fence;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::attempt::{Attempt, Interrupt};
use super::{Held, Worker};
use crate::engine::Engine;
use crate::error::Result;
use crate::stop::Stop;

impl Worker {
    /// Sends one heartbeat, and acts on its answer: ends what is to be cancelled, goes on under a new identity if it was
    /// retired, and sends the first heartbeat of that one.
    pub async fn beat(&self, engine: &Engine) -> Result<()> {
        while !self.beat_as(engine, self.id()).await? {}
        Ok(())
    }

    /// Sends a heartbeat under an identity; whether that one is still alive.
    async fn beat_as(&self, engine: &Engine, runner: RunnerId) -> Result<bool> {
        let heartbeat = Heartbeat {
            runner,
            lease: self.settings.lease,
            interval: self.settings.heartbeat_interval,
            description: description(engine.abandoned_threads()).into(),
        };
        match engine.parts().orchestrator.heartbeat(&heartbeat).await? {
            HeartbeatReply::Alive { cancel, is_introduced } => {
                cancel.into_iter().for_each(|id| self.signal(&Signal::Cancel(id)));
                self.set_fenced(false);
                if !is_introduced {
                    self.introduce(engine, runner).await;
                }
                Ok(true)
            }
            HeartbeatReply::Retired => {
                self.renew(runner);
                Ok(false)
            }
        }
    }

    /// Says what this worker serves. If that doesn't arrive, the next heartbeat tells so.
    async fn introduce(&self, engine: &Engine, runner: RunnerId) {
        let introduction = Introduction {
            queues: self.queues.clone(),
            tasks: engine.tasks().all().into_iter().map(|task| task.id.clone()).collect(),
            slots: self.settings.concurrency as u64,
        };
        if let Err(error) = engine.parts().orchestrator.introduce(runner, &introduction).await {
            tracing::debug!(%error, "the store doesn't know yet what this runner serves");
        }
    }

    /// Sends heartbeats until it is stopped. A lease that can't be renewed in time fences the worker by its own
    /// monotonic clock, counted from when the last accepted heartbeat was sent.
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

    /// Performs a step, and fences the worker if its lease is over meanwhile: not even a heartbeat that waits for its
    /// answer may put that off.
    async fn fenced_at<T>(&self, deadline: Instant, engine: &Engine, step: impl Future<Output = T>) -> T {
        tokio::pin!(step);
        tokio::select! {
            biased;
            done = &mut step => return done,
            () = sleep_until(deadline) => self.fence(engine),
        }
        step.await
    }

    /// Stops claiming, and ends the bodies that must not run beside a successor: those under running control, and those
    /// whose task says `fence = cancel`. The others go on, and the first answered heartbeat decides.
    pub fn fence(&self, engine: &Engine) {
        if self.set_fenced(true) {
            tracing::warn!(runner = %self.id(), "the lease couldn't be renewed in time; nothing more is claimed");
            let exclusive = self.attempts().into_iter().filter(|attempt| is_exclusive(engine, attempt));
            exclusive.for_each(|attempt| attempt.tell(Interrupt::Lost));
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

    /// Sets the fence; whether that changed it.
    fn set_fenced(&self, is_fenced: bool) -> bool {
        let changed = self.is_fenced.swap(is_fenced, Ordering::AcqRel) != is_fenced;
        if changed && !is_fenced {
            self.unfenced.notify_waiters();
        }
        changed
    }

    /// Acts on what the store signals.
    pub fn signal(&self, signal: &Signal) {
        if let Signal::Cancel(id) = signal
            && let Some(attempt) = self.lock().get(id).and_then(Held::attempt)
        {
            attempt.tell(Interrupt::Cancel);
        }
    }

    /// Subscribes to what the store signals to this worker; to be done before the first claim, so that no cancel is missed.
    /// Without a store it gives an empty stream, and [`Worker::listen`] subscribes again.
    pub async fn signals(&self, engine: &Engine) -> BoxStream<'static, Signal> {
        let signals = engine.parts().orchestrator.signals(self.id()).await;
        signals.unwrap_or_else(|_| futures_util::stream::empty().boxed())
    }

    /// Listens to the store's signals until it is stopped, and subscribes again when they end.
    pub async fn listen(self: &Arc<Self>, engine: &Engine, mut signals: BoxStream<'static, Signal>, mut stop: Stop) {
        while !stop.is_draining() {
            let renewed = self.renewed.notified();
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
    let place = format!("{} process {}", gethostname::gethostname().display(), std::process::id());
    if abandoned == 0 { place } else { format!("{place}, with {abandoned} abandoned threads") }
}
