//! The part of an app that sees to its workflows beside their bodies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use pynenc_core::config::Config;
use pynenc_core::orchestrator::{OutboxInterest, Signal};
use pynenc_core::trigger_store::{EventWait, News};
use pynenc_core::{InvocationId, Reason, RunnerId, Status, TaskId, Timestamp, async_trait};
use pynenc_engine::context::Requirements;
use pynenc_engine::extension::Changed;
use pynenc_engine::stop::Stop;
use pynenc_engine::task::{RegisteredTask, TaskRegistry};
use pynenc_engine::{Engine, Extension, Result, Waking};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::config::WorkflowConfig;
use crate::workflow::Workflow;
use crate::{cancel, retention};

/// At most so many are woken at once.
const BATCH: usize = 500;
/// How long ends are told of after the last runner that wants to hear of them: a workflow may be cancelled while none is
/// there.
const INTEREST: Duration = Duration::from_secs(24 * 3600);

/// Wakes workflows whose events have come, carries cancels to children, and keeps what workflows need. No runner leads:
/// what one is told and doesn't see to is told to others.
#[derive(Debug)]
pub struct WorkflowExtension {
    pub(crate) config: WorkflowConfig,
    /// The tasks whose bodies may have called children by a workflow.
    pub(crate) workflows: Vec<TaskId>,
    /// Whether bodies are to end where their journal does.
    pub(crate) is_replaying: bool,
    events: Notify,
    outbox: Notify,
    todo: Mutex<Todo>,
    is_todo: Notify,
}

/// What bodies have left to be done.
#[derive(Debug, Default)]
struct Todo {
    /// What those wait for that are about to be put aside.
    asides: FxHashMap<InvocationId, Vec<EventWait>>,
    /// What those wait for that were: it may have come in between.
    checks: Vec<EventWait>,
    /// Those whose wait is over.
    over: Vec<InvocationId>,
}

impl WorkflowExtension {
    /// The extension of an app with these tasks.
    ///
    /// # Errors
    ///
    /// [`pynenc_engine::Error::Config`] for a setting that can't be as it is.
    pub fn new(config: &Config, tasks: &TaskRegistry) -> Result<Self> {
        let workflows =
            tasks.all().into_iter().filter(|task| is_workflow(task)).map(|task| task.id().clone()).collect();
        Ok(Self {
            config: config.section()?,
            workflows,
            is_replaying: false,
            events: Notify::new(),
            outbox: Notify::new(),
            todo: Mutex::default(),
            is_todo: Notify::new(),
        })
    }

    /// An extension under which a body goes as far as its journal, and does nothing new.
    #[must_use]
    pub fn replaying(self) -> Self {
        Self { is_replaying: true, ..self }
    }

    /// Ends with the next event that comes to this process.
    pub(crate) fn come(&self) -> Notified<'_> {
        self.events.notified()
    }

    /// Notes down what an invocation waits for that is being put aside.
    pub(crate) fn aside(&self, id: InvocationId, waits: Vec<EventWait>) {
        if !waits.is_empty() {
            self.todo().asides.insert(id, waits);
        }
    }

    /// Notes down that an invocation has what it waited for.
    pub(crate) fn took(&self, id: InvocationId) {
        self.todo().over.push(id);
        self.is_todo.notify_one();
    }

    fn todo(&self) -> MutexGuard<'_, Todo> {
        self.todo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what bodies have left. What fails stays to be done.
    async fn tidy(&self, engine: &Engine) -> Result<()> {
        let (over, checks) = {
            let mut todo = self.todo();
            (std::mem::take(&mut todo.over), std::mem::take(&mut todo.checks))
        };
        let done = self.tidied(engine, &over, &checks).await;
        if done.is_err() {
            let mut todo = self.todo();
            todo.over.extend(over);
            todo.checks.extend(checks);
        }
        done
    }

    async fn tidied(&self, engine: &Engine, over: &[InvocationId], checks: &[EventWait]) -> Result<()> {
        let store = &engine.parts().triggers;
        if !over.is_empty() {
            store.end_waits(over).await?;
        }
        if checks.is_empty() {
            return Ok(());
        }
        let found = store.await_events(checks).await?;
        let come: Vec<_> =
            checks.iter().zip(found).filter(|(_, event)| event.is_some()).map(|(it, _)| it.waiter).collect();
        engine.wake(&come).await.map(drop)
    }

    /// Wakes those whose events have come. Tells whether there may be more of them.
    async fn wake(&self, engine: &Engine) -> Result<bool> {
        let store = &engine.parts().triggers;
        let awoken = store.awoken(BATCH, self.config.offer_timeout).await?;
        if awoken.is_empty() {
            return Ok(false);
        }
        // One that a runner owns hears of the event there, or is looked at again when it is put aside.
        self.events.notify_waiters();
        let woken = engine.wake(&awoken).await?;
        let seen = awoken.iter().zip(&woken).filter(|(_, waking)| **waking != Waking::Owned).map(|(id, _)| *id);
        let seen: Vec<_> = seen.collect();
        if !seen.is_empty() {
            store.end_waits(&seen).await?;
        }
        Ok(awoken.len() == BATCH)
    }

    async fn renew(&self, engine: &Engine) -> Result<()> {
        let listener = cancel::LISTENER;
        let interest = |task: &TaskId| OutboxInterest {
            listener: listener.into(),
            task: task.clone(),
            statuses: vec![Status::Cancelled],
        };
        let interests: Vec<_> = self.workflows.iter().map(interest).collect();
        Ok(engine.parts().orchestrator.want(&interests, INTEREST).await?)
    }
}

/// Whether a task founds workflows, or its body is given one.
fn is_workflow(task: &Arc<RegisteredTask>) -> bool {
    let mut requirements = Requirements::default();
    (task.definition().requires)(&mut requirements);
    task.options().force_new_workflow || requirements.has_part::<Workflow>()
}

#[async_trait]
impl Extension for WorkflowExtension {
    async fn prepare(&self, engine: &Engine) -> Result<()> {
        if self.workflows.is_empty() { Ok(()) } else { self.renew(engine).await }
    }

    fn on_change(&self, change: &Changed<'_>) {
        let mut todo = self.todo();
        let Some(waits) = todo.asides.remove(&change.id) else { return };
        if change.record.reason == Reason::PutAside {
            todo.checks.extend(waits);
            self.is_todo.notify_one();
        }
    }

    fn on_signal(&self, signal: &Signal) {
        if *signal == Signal::Outbox {
            self.outbox.notify_one();
        }
    }

    async fn still_needed(&self, engine: &Engine, outlived: &[InvocationId]) -> Result<Vec<InvocationId>> {
        retention::still_needed(self, engine, outlived).await
    }

    async fn serve(&self, engine: Engine, _runner: RunnerId, stop: Stop) -> Result<()> {
        if !self.workflows.is_empty() {
            Service::new(self, engine).run(stop).await;
        }
        Ok(())
    }
}

/// The service of one runner.
struct Service<'a> {
    extension: &'a WorkflowExtension,
    engine: Engine,
    news: Option<BoxStream<'static, News>>,
    wakes: bool,
    cancels: bool,
    renewal: Timestamp,
    rescue: Timestamp,
    failures: u32,
}

enum Woken {
    Stopped,
    Todo,
    Outbox,
    News(Option<News>),
    Deadline,
}

impl<'a> Service<'a> {
    fn new(extension: &'a WorkflowExtension, engine: Engine) -> Self {
        let now = engine.parts().clock.now();
        Self { extension, engine, news: None, wakes: true, cancels: true, renewal: now, rescue: now, failures: 0 }
    }

    async fn run(mut self, mut stop: Stop) {
        while !stop.is_draining() {
            let until = match self.work().await {
                Ok(()) if self.wakes || self.cancels => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Ok(()) => {
                    self.failures = 0;
                    self.renewal.min(self.rescue)
                }
                Err(error) => self.failed(&error),
            };
            match self.woken(&mut stop, until).await {
                Woken::Stopped => return,
                Woken::Outbox => self.cancels = true,
                Woken::News(Some(News::Events)) => {
                    self.extension.events.notify_waiters();
                    self.wakes = true;
                }
                Woken::News(None) => self.news = None,
                Woken::News(Some(News::Definitions)) | Woken::Todo | Woken::Deadline => {}
            }
        }
    }

    /// Says once what keeps workflows from being seen to, and when to try again.
    fn failed(&mut self, error: &pynenc_engine::Error) -> Timestamp {
        if self.failures == 0 {
            tracing::warn!(%error, "workflows can't be seen to; trying again until the stores are back");
        }
        let pause = Duration::from_millis(50 << self.failures.min(6)).min(Duration::from_secs(2));
        self.failures += 1;
        self.engine.parts().clock.now() + pause
    }

    async fn woken(&mut self, stop: &mut Stop, until: Timestamp) -> Woken {
        let news = async {
            match &mut self.news {
                Some(news) => news.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stop.draining() => Woken::Stopped,
            () = self.extension.is_todo.notified() => Woken::Todo,
            () = self.extension.outbox.notified() => Woken::Outbox,
            news = news => Woken::News(news),
            () = self.engine.parts().clock.sleep_until(until) => Woken::Deadline,
        }
    }

    /// Does all that there is to do now. What fails stays to be done.
    async fn work(&mut self) -> Result<()> {
        let (extension, engine) = (self.extension, &self.engine);
        if self.news.is_none() {
            self.news = Some(engine.parts().triggers.news().await?);
            // What came while nobody listened was told to nobody.
            extension.events.notify_waiters();
            (self.wakes, self.cancels) = (true, true);
        }
        let now = engine.parts().clock.now();
        if now >= self.renewal {
            extension.renew(engine).await?;
            self.renewal = now + INTEREST / 3;
        }
        if now >= self.rescue {
            self.rescue = now + extension.config.offer_timeout;
            (self.wakes, self.cancels) = (true, true);
        }
        extension.tidy(engine).await?;
        if self.wakes {
            self.wakes = extension.wake(engine).await?;
        }
        if self.cancels {
            self.cancels = cancel::carry(engine, extension.config.offer_timeout).await?;
        }
        Ok(())
    }
}
