//! The extension that resumes suspended workflows and cancels children, and its service in each runner.

use std::sync::Arc;
use std::time::Duration;

use pynenc_core::config::Config;
use pynenc_core::orchestrator::{OutboxInterest, Signal};
use pynenc_core::trigger_store::{Notification, ReadyTake};
use pynenc_core::{InvocationId, Reason, RunnerId, Status, TaskId, Timestamp, async_trait};
use pynenc_engine::service::{self, NextWork, Service};
use pynenc_engine::stop::Stop;
use pynenc_engine::task::{RegisteredTask, Requirements, TaskRegistry};
use pynenc_engine::{Engine, Extension, Result, ResumeReply, StatusChange};
use tokio::sync::Notify;

use crate::cancel;
use crate::retention;
use crate::shared::{FinishedWaits, Shared};
use crate::workflow::Workflow;

/// The largest number of runs that are resumed at once.
const BATCH: usize = 500;
/// How long the store reports cancelled workflows after the last runner that subscribed to them. A workflow may be
/// cancelled while no runner is there.
const SUBSCRIPTION: Duration = Duration::from_secs(24 * 3600);

/// Resumes workflows whose events have come, cancels the children of cancelled workflows, and keeps the records that
/// workflows need.
///
/// No runner leads. Work that a runner takes and doesn't finish is offered to another runner after
/// [`offer_timeout`](crate::WorkflowConfig::offer_timeout).
#[derive(Debug)]
pub struct WorkflowExtension {
    pub(crate) shared: Arc<Shared>,
    /// The tasks that found workflows or take part in them.
    workflows: Vec<TaskId>,
    outbox: Notify,
}

impl WorkflowExtension {
    /// Makes the extension of an app with these tasks.
    ///
    /// # Errors
    ///
    /// [`pynenc_engine::Error::Config`] for an invalid setting.
    pub fn new(config: &Config, tasks: &TaskRegistry) -> Result<Self> {
        let workflows =
            tasks.all().into_iter().filter(|task| is_workflow(task)).map(|task| task.id().clone()).collect();
        let shared = Arc::new(Shared::new(config.section()?, false));
        Ok(Self { shared, workflows, outbox: Notify::new() })
    }

    /// Makes an extension whose runs stop where their journals end, and perform no new operation.
    #[must_use]
    pub fn replaying(self) -> Self {
        Self { shared: Arc::new(Shared::new(self.shared.config.clone(), true)), ..self }
    }

    fn offer_timeout(&self) -> Duration {
        self.shared.config.offer_timeout
    }

    /// Does the work that runs left when they stopped waiting in this process. Work that fails stays to be done.
    async fn handle_finished_waits(&self, engine: &Engine) -> Result<()> {
        let finished = self.shared.take_finished();
        let result = handle(engine, &finished).await;
        if result.is_err() {
            self.shared.put_back(finished);
        }
        result
    }

    /// Resumes a batch of suspended runs whose events have come, and returns whether more may be waiting.
    async fn resume_ready(&self, engine: &Engine) -> Result<bool> {
        let store = &engine.parts().triggers;
        let take = ReadyTake { limit: BATCH, again_after: self.offer_timeout(), ..ReadyTake::default() };
        let ready = store.take_ready(&take).await?;
        if ready.is_empty() {
            return Ok(false);
        }
        // A run that a runner still owns reads the event there, or is checked again after its suspension.
        self.shared.notify_events();
        let replies = engine.resume(&ready).await?;
        let resumed = ready.iter().zip(&replies).filter(|(_, reply)| **reply != ResumeReply::Owned).map(|(id, _)| *id);
        let resumed: Vec<_> = resumed.collect();
        if !resumed.is_empty() {
            store.take_ready(&ReadyTake::done(resumed)).await?;
        }
        Ok(ready.len() == BATCH)
    }

    /// Subscribes to cancelled workflows.
    async fn subscribe(&self, engine: &Engine) -> Result<()> {
        let interest = |task: &TaskId| OutboxInterest {
            listener: cancel::LISTENER.into(),
            task: task.clone(),
            statuses: vec![Status::Cancelled],
        };
        let interests: Vec<_> = self.workflows.iter().map(interest).collect();
        Ok(engine.parts().orchestrator.subscribe(&interests, SUBSCRIPTION).await?)
    }
}

async fn handle(engine: &Engine, finished: &FinishedWaits) -> Result<()> {
    let (store, FinishedWaits { to_check, to_remove }) = (&engine.parts().triggers, finished);
    if !to_remove.is_empty() {
        store.take_ready(&ReadyTake::done(to_remove.clone())).await?;
    }
    if to_check.is_empty() {
        return Ok(());
    }
    let events = store.await_events(to_check).await?;
    let ready = to_check.iter().zip(events).filter(|(_, event)| event.is_some()).map(|(wait, _)| wait.waiter);
    engine.resume(&ready.collect::<Vec<_>>()).await.map(drop)
}

/// Whether a task founds workflows, or its function takes a [`Workflow`].
fn is_workflow(task: &Arc<RegisteredTask>) -> bool {
    let mut requirements = Requirements::default();
    (task.definition().requires)(&mut requirements);
    task.options().force_new_workflow || requirements.has_part::<Workflow>()
}

#[async_trait]
impl Extension for WorkflowExtension {
    async fn prepare(&self, engine: &Engine) -> Result<()> {
        if self.workflows.is_empty() { Ok(()) } else { self.subscribe(engine).await }
    }

    fn on_change(&self, change: &StatusChange<'_>) {
        self.shared.transitioned(change.id, change.record.reason == Reason::Suspended);
    }

    fn on_signal(&self, signal: &Signal) {
        if *signal == Signal::Outbox {
            self.outbox.notify_one();
        }
    }

    async fn still_needed(&self, engine: &Engine, outlived: &[InvocationId]) -> Result<Vec<InvocationId>> {
        retention::still_needed(&self.workflows, engine, outlived).await
    }

    async fn serve(&self, engine: Engine, _runner: RunnerId, stop: Stop) -> Result<()> {
        if !self.workflows.is_empty() {
            service::run(WorkflowService::new(self, &engine), &engine, stop).await;
        }
        Ok(())
    }
}

/// The workflow service of one runner.
struct WorkflowService<'a> {
    extension: &'a WorkflowExtension,
    are_resumptions_due: bool,
    are_cancels_due: bool,
    /// When the subscription to cancelled workflows is renewed, by the process's clock.
    renewal: Timestamp,
    /// When the store is asked again for work that other runners didn't finish, by the process's clock.
    retry: Timestamp,
}

impl<'a> WorkflowService<'a> {
    fn new(extension: &'a WorkflowExtension, engine: &Engine) -> Self {
        let now = engine.parts().clock.now();
        Self { extension, are_resumptions_due: true, are_cancels_due: true, renewal: now, retry: now }
    }
}

#[async_trait]
impl Service for WorkflowService<'_> {
    fn subject(&self) -> &'static str {
        "workflows"
    }

    fn mark_all_due(&mut self) {
        self.extension.shared.notify_events();
        (self.are_resumptions_due, self.are_cancels_due) = (true, true);
    }

    fn notified(&mut self, notification: Notification) {
        match notification {
            Notification::Events => {
                self.extension.shared.notify_events();
                self.are_resumptions_due = true;
            }
            Notification::Definitions => {}
        }
    }

    async fn signaled(&mut self) {
        tokio::select! {
            biased;
            () = self.extension.shared.finished_wait() => {}
            () = self.extension.outbox.notified() => self.are_cancels_due = true,
        }
    }

    async fn work(&mut self, engine: &Engine) -> Result<NextWork> {
        let extension = self.extension;
        let now = engine.parts().clock.now();
        if now >= self.renewal {
            extension.subscribe(engine).await?;
            self.renewal = now + SUBSCRIPTION / 3;
        }
        if now >= self.retry {
            self.retry = now + extension.offer_timeout();
            (self.are_resumptions_due, self.are_cancels_due) = (true, true);
        }
        extension.handle_finished_waits(engine).await?;
        if self.are_resumptions_due {
            self.are_resumptions_due = extension.resume_ready(engine).await?;
        }
        if self.are_cancels_due {
            self.are_cancels_due = cancel::cancel_children(engine, extension.offer_timeout()).await?;
        }
        let has_more = self.are_resumptions_due || self.are_cancels_due;
        Ok(if has_more { NextWork::Now } else { NextWork::At(self.renewal.min(self.retry)) })
    }
}
