//! One run of a workflow: its context, and the reads and writes of its journal.

use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use pynenc_core::record::WorkflowIdentity;
use pynenc_core::state_backend::{Appended, JournalEntry, JournalOpening, JournalRecord};
use pynenc_core::status::Due;
use pynenc_core::{ErrorKind, InvocationId, Serializer, Status, Timestamp, reads};
use pynenc_engine::metrics::list;
use pynenc_engine::{Engine, Error, Halt, Mismatch, Result, TaskContext, store_backoff};
use tokio::sync::{Notify, OnceCell};

use crate::config::WorkflowConfig;
use crate::operation_kind;
use crate::replay::{DurableWait, Replay};
use crate::shared::Shared;

/// How long the open operations wait for each other when no operation asks for the next entry. Then the run fails with
/// a mismatch.
const STALL: Duration = Duration::from_secs(10);

/// A run of a workflow, shared by all handles of its task function.
pub(crate) struct Run {
    pub(crate) context: TaskContext,
    pub(crate) workflow: WorkflowIdentity,
    pub(crate) shared: Arc<Shared>,
    /// Notifies the open operations that the replay has changed.
    pub(crate) changed: Notify,
    opened: OnceCell<()>,
    submitted_at: OnceCell<Timestamp>,
    replay: Mutex<Replay>,
    /// Held during an append. The task function gets each entry before the next is appended.
    writing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Run {
    /// Returns the run of a context; the same run for each call.
    pub(crate) fn of(context: &TaskContext, shared: &Arc<Shared>) -> Arc<Self> {
        let run = context.share(|| Self::new(context.clone(), shared.clone()));
        let weak = Arc::downgrade(&run);
        context.check_return(move || weak.upgrade().and_then(|run| run.mismatch("the end of the body")));
        run
    }

    fn new(context: TaskContext, shared: Arc<Shared>) -> Self {
        let id = context.invocation_id();
        context.start_workflow(WorkflowIdentity { id, parent: None });
        Self {
            workflow: context.workflow().unwrap_or(WorkflowIdentity { id, parent: None }),
            context,
            shared,
            changed: Notify::new(),
            opened: OnceCell::new(),
            submitted_at: OnceCell::new(),
            replay: Mutex::new(Replay::unopened(id)),
            writing: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.context.engine()
    }

    pub(crate) fn id(&self) -> InvocationId {
        self.context.invocation_id()
    }

    pub(crate) fn config(&self) -> &WorkflowConfig {
        &self.shared.config
    }

    /// Returns the serializer of the journal: the serializer that wrote the call, even if the settings have changed.
    pub(crate) fn serializer(&self) -> Result<Arc<dyn Serializer>> {
        Ok(self.engine().reader(&self.context.record().serializer)?)
    }

    pub(crate) fn replay(&self) -> MutexGuard<'_, Replay> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the journal, once per run: reads it, and fences off older claims of this invocation.
    pub(crate) async fn open(&self) -> Result<()> {
        self.opened.get_or_try_init(|| self.open_journal()).await.copied()
    }

    fn open_journal(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            let record = self.context.record();
            let opening = JournalOpening {
                id: record.id,
                epoch: self.context.epoch(),
                attempt: self.context.attempt_number(),
                workflow: record.workflow.map(|workflow| workflow.id),
                takes_over: record.retry_of,
            };
            let state = &self.engine().parts().state;
            let journal = self.until_available(|| state.open_journal(&opening)).await?;
            let local = self.engine().parts().clock.now();
            let has_failures = journal.entries.iter().any(|recorded| operation_kind::is_failure(&recorded.entry));
            let errors = if journal.tries > 1 && has_failures { self.errors_of_attempts().await? } else { Vec::new() };
            self.measure(journal.entries.len());
            self.replay().open(journal, local, &errors);
            Ok(())
        }
        .boxed()
    }

    /// Measures the journal that the run was opened with.
    fn measure(&self, entries: usize) {
        let Some(metrics) = self.engine().metrics() else { return };
        let (recorder, task) = (metrics.recorder(), self.context.record().task.as_str());
        recorder.histogram(&list::JOURNAL_ENTRIES, &[task]).record(entries as f64);
        if entries > 0 {
            recorder.counter(&list::REPLAYS, &[task]).increment(1);
        }
    }

    /// Reads the errors with which earlier attempts failed.
    async fn errors_of_attempts(&self) -> Result<Vec<Box<str>>> {
        let mut errors = Vec::new();
        let orchestrator = &self.engine().parts().orchestrator;
        for id in [Some(self.id()), self.context.record().retry_of].into_iter().flatten() {
            let history = self.until_available(|| reads::history(&**orchestrator, id)).await?;
            let failed = history.into_iter().filter(|line| matches!(line.status, Status::Retry | Status::Failed));
            errors.extend(failed.filter_map(|line| line.detail));
        }
        Ok(errors)
    }

    /// Repeats a request until the store answers. An outage must not reach the task function, because the next run of
    /// the function would take another way. A run that is fenced off stops here.
    pub(crate) async fn until_available<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = pynenc_core::Result<T>>,
    {
        let mut failures = 0;
        loop {
            match request().await {
                Err(error) if error.is_retryable() => self.back_off(&mut failures).await,
                Err(error) if error.kind() == ErrorKind::Fenced => self.halt(Halt::Lost).await,
                reply => return Ok(reply?),
            }
        }
    }

    /// Waits before a request is repeated.
    pub(crate) async fn back_off(&self, failures: &mut u32) {
        let pause = store_backoff(*failures);
        *failures += 1;
        self.engine().parts().clock.sleep(pause).await;
    }

    /// Appends an entry, after the failures that the task function has handled before it. Returns the entry at its
    /// position, which an earlier append may have recorded.
    pub(crate) fn append(&self, entry: JournalEntry) -> BoxFuture<'_, Result<JournalRecord>> {
        async move {
            let _writing = self.writing.lock().await;
            let entries = self.replay().with_handled_failures(entry);
            let (state, id, epoch) = (&self.engine().parts().state, self.id(), self.context.epoch());
            let mut replies = self.until_available(|| state.append_journal(id, epoch, &entries)).await?;
            self.replay().appended(entries.len());
            let entry = entries.into_iter().next_back();
            match (replies.pop(), entry) {
                (Some(Appended::New(at)), Some(entry)) => Ok(JournalRecord { entry, at }),
                (Some(Appended::Existing(recorded)), _) => Ok(recorded),
                _ => Err(pynenc_core::Error::unavailable("an append to a journal had no reply").into()),
            }
        }
        .boxed()
    }

    /// Returns the time at which the workflow was submitted, by the store's clock. Earlier events don't count.
    pub(crate) async fn submitted_at(&self) -> Result<Timestamp> {
        let submitted_at = self.submitted_at.get_or_try_init(|| async {
            let orchestrator = &self.engine().parts().orchestrator;
            for id in [self.workflow.id, self.id()] {
                let history = self.until_available(|| reads::history(&**orchestrator, id)).await?;
                if let Some(first) = history.first() {
                    return Ok::<_, Error>(first.at);
                }
            }
            Ok(Timestamp::default())
        });
        submitted_at.await.copied()
    }

    /// Ends the task function. The returned future never completes.
    pub(crate) async fn halt<T>(&self, halt: Halt) -> T {
        self.context.halt(halt);
        pending().await
    }

    /// Waits until the replay has changed. If all open operations wait and no operation asks for the next entry, the
    /// code doesn't match the journal, and the run fails after [`STALL`].
    pub(crate) async fn wait_for_change(&self, changed: impl Future<Output = ()>) {
        if !self.is_stalled() {
            return changed.await;
        }
        tokio::select! {
            biased;
            () = changed => {}
            () = self.engine().parts().clock.sleep(STALL) => {
                let mismatch = self.is_stalled().then(|| self.mismatch("nothing")).flatten();
                if let Some(halt) = mismatch {
                    self.halt::<()>(halt).await;
                }
            }
        }
    }

    fn is_stalled(&self) -> bool {
        self.context.open_waits() == 0 && self.replay().is_stalled()
    }

    /// Returns a mismatch with the next entry of the journal: `found` is what the code did instead. At the end of the
    /// journal there is none.
    fn mismatch(&self, found: &str) -> Option<Halt> {
        let replay = self.replay();
        let next = replay.next_entry()?;
        let recorded = operation_kind::describe(operation_kind::of_entry(next), &next.name);
        Some(Halt::Mismatch(Mismatch { position: next.position.to_string(), recorded, found: found.to_owned() }))
    }

    /// Suspends the run when its open operations have only waited for times and events for a while. Completes only if
    /// the run stopped waiting meanwhile.
    pub(crate) fn suspend_when_idle(&self) -> BoxFuture<'_, ()> {
        async move {
            if !self.is_worth_suspending() {
                return pending().await;
            }
            self.engine().parts().clock.sleep(self.idle_time()).await;
            if let Some(waits) = self.durable_waits() {
                let until = waits.iter().filter_map(|wait| wait.until).min();
                self.shared.suspending(self.id(), waits.into_iter().filter_map(|wait| wait.event).collect());
                self.halt::<()>(Halt::Suspend(until.map(Due::At))).await;
            }
        }
        .boxed()
    }

    /// Notifies the open operations that the replay has changed, and the engine whether the task function only waits.
    pub(crate) fn notify_changed(&self) {
        self.context.set_idle(self.durable_waits().is_some());
        self.changed.notify_waiters();
    }

    /// Returns the waits of the open operations, if all of them wait for times or events.
    fn durable_waits(&self) -> Option<Vec<DurableWait>> {
        if self.context.open_waits() == 0 { self.replay().durable_waits() } else { None }
    }

    /// Whether the run waits for longer than the time after which it is suspended.
    fn is_worth_suspending(&self) -> bool {
        let Some(waits) = self.durable_waits() else { return false };
        let idle_time = self.idle_time();
        let Some(until) = waits.iter().filter_map(|wait| wait.until).min() else { return true };
        let suspension = self.engine().parts().clock.now() + idle_time;
        idle_time.is_zero() || self.replay().local(until) > suspension
    }

    /// Returns how long the run has to be idle before it is suspended. In synchronous mode nothing else could resume
    /// it, so it's suspended at once.
    fn idle_time(&self) -> Duration {
        if self.engine().settings().synchronous.is_some() { Duration::ZERO } else { self.config().put_aside_after }
    }
}
