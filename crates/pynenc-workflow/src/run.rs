//! One run of a workflow: its context, and its journal as it is read and written.

use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pynenc_core::record::WorkflowIdentity;
use pynenc_core::state_backend::{Appended, JournalEntry, JournalOpening, Recorded};
use pynenc_core::status::Due;
use pynenc_core::{ErrorKind, InvocationId, Serializer, Status, Timestamp};
use pynenc_engine::{Engine, Error, Halt, Mismatch, Result, TaskContext};
use tokio::sync::{Notify, OnceCell};

use crate::config::WorkflowConfig;
use crate::extension::WorkflowExtension;
use crate::kind;
use crate::replay::{Replay, Wait};

/// How long all that is open waits for an entry that nobody asks for, before the code is said not to match.
const STALL: Duration = Duration::from_secs(10);

/// A run, as all handles of its body share it.
pub(crate) struct Run {
    pub(crate) context: TaskContext,
    pub(crate) workflow: WorkflowIdentity,
    pub(crate) changed: Notify,
    opened: OnceCell<()>,
    since: OnceCell<Timestamp>,
    replay: Mutex<Replay>,
    /// Entries are appended one after the other, and each is told to the body before the next.
    writing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Run {
    /// The run of a context, the same one however often it is asked for.
    pub(crate) fn of(context: &TaskContext) -> Arc<Self> {
        let run = context.share(|| Self::new(context.clone()));
        let weak = Arc::downgrade(&run);
        context.judge_return(move || weak.upgrade().and_then(|run| run.unreached()));
        run
    }

    fn new(context: TaskContext) -> Self {
        let id = context.invocation_id();
        context.found_workflow(WorkflowIdentity { id, parent: None });
        Self {
            workflow: context.workflow().unwrap_or(WorkflowIdentity { id, parent: None }),
            context,
            changed: Notify::new(),
            opened: OnceCell::new(),
            since: OnceCell::new(),
            replay: Mutex::new(Replay::unread(id)),
            writing: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.context.engine()
    }

    pub(crate) fn id(&self) -> InvocationId {
        self.context.invocation_id()
    }

    pub(crate) fn extension(&self) -> &WorkflowExtension {
        self.engine().extension().expect("a workflow is injected where the extension is")
    }

    pub(crate) fn config(&self) -> &WorkflowConfig {
        &self.extension().config
    }

    /// What writes and reads the journal: what wrote the call, whatever the settings say by now.
    pub(crate) fn serializer(&self) -> Result<Arc<dyn Serializer>> {
        Ok(self.engine().reader(&self.context.record().serializer)?)
    }

    pub(crate) fn replay(&self) -> MutexGuard<'_, Replay> {
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the journal, once a run, and makes this run the only one that may append to it.
    pub(crate) async fn open(&self) -> Result<()> {
        self.opened.get_or_try_init(|| self.read()).await.copied()
    }

    async fn read(&self) -> Result<()> {
        let record = self.context.record();
        let opening = JournalOpening {
            id: record.id,
            epoch: self.context.epoch(),
            attempt: self.context.attempt_number(),
            workflow: record.workflow.map(|workflow| workflow.id),
            takes_over: record.retry_of,
        };
        let state = &self.engine().parts().state;
        let journal = self.insisted(|| state.open_journal(&opening)).await?;
        let local = self.engine().parts().clock.now();
        let has_failures = journal.entries.iter().any(|recorded| kind::has_failed(&recorded.entry));
        let endings = if journal.tries > 1 && has_failures { self.endings().await? } else { Vec::new() };
        self.replay().open(journal, local, &endings);
        Ok(())
    }

    /// The errors that ended earlier tries.
    async fn endings(&self) -> Result<Vec<Box<str>>> {
        let mut endings = Vec::new();
        let orchestrator = &self.engine().parts().orchestrator;
        for id in [Some(self.id()), self.context.record().retry_of].into_iter().flatten() {
            let history = self.insisted(|| orchestrator.history(id)).await?;
            let ended = history.into_iter().filter(|line| matches!(line.status, Status::Retry | Status::Failed));
            endings.extend(ended.filter_map(|line| line.detail));
        }
        Ok(endings)
    }

    /// Asks a store until it answers: what passes must not show in a body, which would take another way in the next run.
    pub(crate) async fn insisted<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = pynenc_core::Result<T>>,
    {
        let mut failures = 0;
        loop {
            match ask().await {
                Err(error) if error.is_retryable() => self.pause(&mut failures).await,
                Err(error) if error.kind() == ErrorKind::Fenced => self.halt(Halt::Lost).await,
                answer => return Ok(answer?),
            }
        }
    }

    /// Waits before a store is asked again: 50 ms, doubled each time, at most 2 s.
    pub(crate) async fn pause(&self, failures: &mut u32) {
        let pause = Duration::from_millis(50 << (*failures).min(6)).min(Duration::from_secs(2));
        *failures += 1;
        self.engine().parts().clock.sleep(pause).await;
    }

    /// Appends an entry, and before it what the body has handled; gives what is recorded at its position.
    pub(crate) async fn append(&self, entry: JournalEntry) -> Result<Recorded> {
        let _writing = self.writing.lock().await;
        let entries = self.replay().to_append(entry);
        let (state, id, epoch) = (&self.engine().parts().state, self.id(), self.context.epoch());
        let mut replies = self.insisted(|| state.append_journal(id, epoch, &entries)).await?;
        self.replay().appended(entries.len());
        let entry = entries.into_iter().next_back();
        match (replies.pop(), entry) {
            (Some(Appended::New(at)), Some(entry)) => Ok(Recorded { entry, at }),
            (Some(Appended::Existing(recorded)), _) => Ok(recorded),
            _ => Err(pynenc_core::Error::unavailable("an append to a journal had no reply").into()),
        }
    }

    /// The time from which on events count: when the workflow was submitted.
    pub(crate) async fn since(&self) -> Result<Timestamp> {
        let since = self.since.get_or_try_init(|| async {
            let orchestrator = &self.engine().parts().orchestrator;
            for id in [self.workflow.id, self.id()] {
                let history = self.insisted(|| orchestrator.history(id)).await?;
                if let Some(first) = history.first() {
                    return Ok::<_, Error>(first.at);
                }
            }
            Ok(Timestamp::default())
        });
        since.await.copied()
    }

    /// Ends the body; nothing behind this runs.
    pub(crate) async fn halt<T>(&self, halt: Halt) -> T {
        self.context.halt(halt);
        pending().await
    }

    /// Waits until something has changed in the replay; says that the code doesn't match if nothing does for long.
    pub(crate) async fn stall(&self, changed: impl Future<Output = ()>) {
        if !self.is_stalled() {
            return changed.await;
        }
        tokio::select! {
            biased;
            () = changed => {}
            () = self.engine().parts().clock.sleep(STALL) => {
                let unasked = self.is_stalled().then(|| self.unasked("nothing")).flatten();
                if let Some(halt) = unasked {
                    self.halt::<()>(halt).await;
                }
            }
        }
    }

    fn is_stalled(&self) -> bool {
        self.context.open_waits() == 0 && self.replay().is_stalled()
    }

    /// What becomes of a body that has returned before it came to everything that is recorded.
    fn unreached(&self) -> Option<Halt> {
        self.unasked("the end of the body")
    }

    fn unasked(&self, found: &str) -> Option<Halt> {
        let replay = self.replay();
        let head = replay.head()?;
        let recorded = kind::shown(kind::of(head), &head.name);
        Some(Halt::Mismatch(Mismatch { position: head.position.to_string(), recorded, found: found.to_owned() }))
    }

    /// Puts the body aside when nothing has been open for a while that needs it in memory. Ends only when that doesn't
    /// hold any more.
    pub(crate) async fn put_aside_when_idle(&self) {
        if !self.is_worth_putting_aside() {
            return pending().await;
        }
        self.engine().parts().clock.sleep(self.patience()).await;
        if let Some(waits) = self.idle_waits() {
            let until = waits.iter().filter_map(|wait| wait.until).min();
            self.extension().aside(self.id(), waits.into_iter().filter_map(|wait| wait.event).collect());
            self.halt::<()>(Halt::PutAside(until.map(Due::At))).await;
        }
    }

    /// Tells those who wait for it that something has changed, and the engine whether the body only waits.
    pub(crate) fn tell(&self) {
        self.context.rest(self.idle_waits().is_some());
        self.changed.notify_waiters();
    }

    /// What all that is open waits for, if nothing of it needs the body in memory.
    fn idle_waits(&self) -> Option<Vec<Wait>> {
        if self.context.open_waits() == 0 { self.replay().durable_waits() } else { None }
    }

    /// What comes before the body would be put aside isn't worth it.
    fn is_worth_putting_aside(&self) -> bool {
        let Some(waits) = self.idle_waits() else { return false };
        let patience = self.patience();
        let Some(until) = waits.iter().filter_map(|wait| wait.until).min() else { return true };
        let aside = self.engine().parts().clock.now() + patience;
        patience.is_zero() || self.replay().local(until) > aside
    }

    /// How long the body has to be idle; nobody else would wait for it in synchronous mode.
    fn patience(&self) -> Duration {
        if self.engine().settings().synchronous.is_some() { Duration::ZERO } else { self.config().put_aside_after }
    }
}
