//! The state of a worker: its identity, its slots and the invocations that it holds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pynenc_core::broker::Message;
use pynenc_core::config::RunnerConfig;
use pynenc_core::{InvocationId, QueueName, RunnerId};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::health::Health;
use super::progress::Progress;
use super::resume_caller::ResultSender;
use super::unknown_tasks::UnknownTasks;
use crate::attempt::{Attempt, Interrupt, Slots};
use crate::engine::Engine;

/// Starts an attempt that was claimed inline, for a caller on the same runner. The runner gives it to the worker.
pub(crate) type StartAttempt = Box<dyn Fn(&Arc<Worker>, Arc<Attempt>, ResultSender) + Send + Sync>;

/// The work of one runner, without the decision when and on which threads it is done.
///
/// A [`Runner`](crate::runner::Runner) calls its methods. A test may call them too, to control each step.
pub struct Worker {
    pub(super) settings: RunnerConfig,
    pub(super) queues: Vec<QueueName>,
    pub(super) slots: Slots,
    pub(super) unknown_tasks: UnknownTasks,
    pub(super) inline: InlineClaims,
    /// Locked while the lane chooses what to claim. Until its reply names the claimed invocations, they look like those of a
    /// claim whose reply was lost.
    pub(super) taking: tokio::sync::Mutex<()>,
    pub(super) lost_claim: LostClaim,
    pub(super) is_fenced: AtomicBool,
    pub(super) unfenced: Notify,
    pub(super) identity_changed: Notify,
    /// Whether the store has this runner's introduction.
    pub(super) is_introduced: AtomicBool,
    progress: Mutex<Progress>,
    identity: Mutex<RunnerId>,
    held: Mutex<FxHashMap<InvocationId, Held>>,
    pub(super) taken_hints: TakenHints,
    pub(super) health: Health,
}

/// Whether and how the worker claims the calls that its own task functions await.
#[derive(Default)]
pub(super) struct InlineClaims {
    pub(super) start: OnceLock<StartAttempt>,
    pub(super) are_stopped: AtomicBool,
}

/// Whether a claim's reply was lost, so that the worker may own more than it knows of.
#[derive(Default)]
pub(super) struct LostClaim {
    pub(super) is_unresolved: AtomicBool,
    pub(super) notify: Notify,
}

/// Hints that were taken for invocations which the worker held, and that have to be pushed again.
#[derive(Default)]
pub(super) struct TakenHints {
    hints: Mutex<Vec<Message>>,
    pub(super) added: Notify,
}

impl TakenHints {
    pub(super) fn add(&self, hint: Message) {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
        self.added.notify_one();
    }

    pub(super) fn drain(&self) -> Vec<Message> {
        std::mem::take(&mut *self.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An invocation that the worker claims or runs. If another hint for it is taken meanwhile, that is noted, and the hint is
/// pushed again when the worker releases the invocation.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) by: Holder,
    pub(super) is_hinted: bool,
}

#[derive(Debug)]
pub(super) enum Holder {
    Claim,
    Attempt(Arc<Attempt>),
}

impl Held {
    pub(super) const fn by(by: Holder) -> Self {
        Self { by, is_hinted: false }
    }

    pub(super) fn attempt(&self) -> Option<&Arc<Attempt>> {
        if let Holder::Attempt(attempt) = &self.by { Some(attempt) } else { None }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("id", &self.id()).field("held", &self.held()).finish_non_exhaustive()
    }
}

impl Worker {
    /// Creates a worker with a new identity.
    pub fn new(settings: &RunnerConfig) -> Self {
        Self::with_identity(settings, RunnerId::new())
    }

    /// Creates a worker with a given identity.
    pub fn with_identity(settings: &RunnerConfig, identity: RunnerId) -> Self {
        Self {
            queues: settings.queues.iter().map(|name| name.as_str().into()).collect(),
            slots: Slots::new(settings.concurrency, settings.max_paused),
            unknown_tasks: UnknownTasks::default(),
            progress: Mutex::default(),
            inline: InlineClaims::default(),
            taking: tokio::sync::Mutex::default(),
            lost_claim: LostClaim::default(),
            is_fenced: AtomicBool::new(false),
            unfenced: Notify::new(),
            identity_changed: Notify::new(),
            is_introduced: AtomicBool::new(false),
            identity: Mutex::new(identity),
            held: Mutex::default(),
            taken_hints: TakenHints::default(),
            health: Health::default(),
            settings: settings.clone(),
        }
    }

    /// The worker of synchronous mode. It has no limit of slots: as many task functions run at once as calls are nested.
    pub(crate) fn inline(settings: &RunnerConfig) -> Self {
        Self { slots: Slots::new(usize::MAX, settings.max_paused), ..Self::new(settings) }
    }

    /// The settings.
    pub fn settings(&self) -> &RunnerConfig {
        &self.settings
    }

    /// The queues that the worker serves.
    pub fn queues(&self) -> &[QueueName] {
        &self.queues
    }

    /// The worker's identity. A worker whose runner was retired goes on under a new one.
    pub fn id(&self) -> RunnerId {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a slot is free, and returns how many are.
    pub async fn free_slots(&self) -> usize {
        self.slots.free().await
    }

    /// How many invocations the worker claims or has claimed and not yet settled.
    pub fn held(&self) -> usize {
        self.lock_held().len()
    }

    /// The tasks of the attempts that the worker holds, each once.
    pub(crate) fn running(&self) -> Vec<String> {
        let tasks: BTreeSet<String> = self.attempts().iter().map(|attempt| attempt.tracked.task.to_string()).collect();
        tasks.into_iter().collect()
    }

    /// Asks every task function to end, because the runner stops.
    pub fn interrupt_all(&self) {
        self.attempts().iter().for_each(|attempt| attempt.interrupt(Interrupt::Shutdown));
    }

    pub(super) fn attempts(&self) -> Vec<Arc<Attempt>> {
        self.lock_held().values().filter_map(Held::attempt).cloned().collect()
    }

    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_held(&self) -> MutexGuard<'_, FxHashMap<InvocationId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this worker performs the maintenance of the app.
    pub(super) fn holds_maintenance_lease(&self) -> bool {
        self.progress().lease.is_some_and(|lease| lease.holder == self.id())
    }

    /// Takes a new identity, if `retired` is still the present one. Other runners own its attempts now, so they are
    /// interrupted.
    pub(super) fn change_identity(&self, engine: &Engine, retired: RunnerId) {
        {
            let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
            if *identity != retired {
                return;
            }
            *identity = RunnerId::new();
            if let Some(metrics) = engine.metrics().filter(|_| !self.is_fenced.load(Ordering::Acquire)) {
                metrics.lost_lease();
            }
            tracing::warn!(%retired, new = %*identity, "the runner was retired and goes on under a new identity");
        }
        self.is_introduced.store(false, Ordering::Release);
        self.identity_changed.notify_waiters();
        let lost = self.attempts().into_iter().filter(|attempt| attempt.runner == retired);
        lost.for_each(|attempt| attempt.interrupt(Interrupt::Lost));
    }
}
