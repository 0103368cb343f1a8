//! What one runner does: it claims, runs, settles, and performs the services.

mod adoption;
mod answer;
mod attempt;
mod body_threads;
mod ending;
mod guided;
mod lease;
mod run;
mod services;
mod slots;
mod unknown_tasks;

use std::collections::BTreeSet;
use std::collections::hash_map::Entry as HeldEntry;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pynenc_core::broker::{Message, Pop};
use pynenc_core::config::RunnerConfig;
use pynenc_core::lane::{Claimed, Found};
use pynenc_core::orchestrator::{Claim, ClaimReply};
use pynenc_core::{ErrorKind, InvocationId, QueueName, RunnerId, Status, StatusRecord};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

pub use attempt::Attempt;
pub(crate) use attempt::{Awaited, Interrupt};
pub use guided::Halt;

pub(crate) use adoption::Adopter;
pub(crate) use body_threads::BodyThreads;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::extension::Changed;
use crate::task::Body;
use services::Progress;
use slots::{Entry, Slots};
use unknown_tasks::UnknownTasks;

/// How often a claim is asked for again, with the same token, before it is left to the check of what is owned.
const CLAIM_TRIES: u32 = 6;

/// The work of one runner, apart from when and on which threads it is done.
///
/// A [`Runner`](crate::runner::Runner) calls its methods; so may a test that wants every step in its hands.
pub struct Worker {
    settings: RunnerConfig,
    queues: Vec<QueueName>,
    identity: Mutex<RunnerId>,
    slots: Slots,
    held: Mutex<FxHashMap<InvocationId, Held>>,
    /// Held by who claims what nobody has named yet: until it is known, it looks like a claim whose reply was lost.
    taking: tokio::sync::Mutex<()>,
    has_lost_claim: AtomicBool,
    lost_claim: Notify,
    missed: Mutex<Vec<Message>>,
    missed_hint: Notify,
    adopter: OnceLock<Adopter>,
    adopts: AtomicBool,
    paused: AtomicUsize,
    is_fenced: AtomicBool,
    unfenced: Notify,
    renewed: Notify,
    progress: Mutex<Progress>,
    unknown_tasks: UnknownTasks,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("id", &self.id()).field("held", &self.held()).finish_non_exhaustive()
    }
}

/// An invocation that this worker has, or may be about to have, and whether it was hinted again meanwhile: that hint is
/// taken, and is put back when the worker lets go.
#[derive(Debug)]
struct Held {
    by: Holder,
    is_hinted: bool,
}

#[derive(Debug)]
enum Holder {
    Claim,
    Attempt(Arc<Attempt>),
}

impl Held {
    const fn by(by: Holder) -> Self {
        Self { by, is_hinted: false }
    }

    fn attempt(&self) -> Option<&Arc<Attempt>> {
        if let Holder::Attempt(attempt) = &self.by { Some(attempt) } else { None }
    }
}

impl Worker {
    /// A worker with the settings of a runner.
    pub fn new(settings: &RunnerConfig) -> Self {
        Self::with_identity(settings, RunnerId::new())
    }

    /// A worker whose identity was chosen by somebody else.
    pub fn with_identity(settings: &RunnerConfig, identity: RunnerId) -> Self {
        Self {
            queues: settings.queues.iter().map(|name| name.as_str().into()).collect(),
            identity: Mutex::new(identity),
            slots: Slots::new(settings.concurrency),
            held: Mutex::default(),
            taking: tokio::sync::Mutex::default(),
            has_lost_claim: AtomicBool::new(false),
            lost_claim: Notify::new(),
            missed: Mutex::default(),
            missed_hint: Notify::new(),
            adopter: OnceLock::new(),
            adopts: AtomicBool::new(true),
            paused: AtomicUsize::new(0),
            is_fenced: AtomicBool::new(false),
            unfenced: Notify::new(),
            renewed: Notify::new(),
            progress: Mutex::default(),
            unknown_tasks: UnknownTasks::default(),
            settings: settings.clone(),
        }
    }

    /// The worker of synchronous mode: as many bodies run at once as calls are nested.
    pub(crate) fn inline(settings: &RunnerConfig) -> Self {
        Self { slots: Slots::new(usize::MAX), ..Self::new(settings) }
    }

    /// Its settings.
    pub fn settings(&self) -> &RunnerConfig {
        &self.settings
    }

    /// The queues it serves.
    pub fn queues(&self) -> &[QueueName] {
        &self.queues
    }

    /// Who it is; a worker that was retired goes on under a new identity.
    pub fn id(&self) -> RunnerId {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until more could be claimed, and tells how much.
    pub async fn free_slots(&self) -> usize {
        self.slots.free().await
    }

    /// How many invocations it has claimed and not yet settled.
    pub fn held(&self) -> usize {
        self.lock().len()
    }

    /// The tasks of what it has claimed and not yet settled, each once.
    pub(crate) fn running(&self) -> Vec<String> {
        let tasks: BTreeSet<String> = self.attempts().iter().map(|attempt| attempt.tracked.task.to_string()).collect();
        tasks.into_iter().collect()
    }

    fn attempts(&self) -> Vec<Arc<Attempt>> {
        self.lock().values().filter_map(Held::attempt).cloned().collect()
    }

    /// Tells every body to end, because the runner stops.
    pub fn interrupt_all(&self) {
        self.attempts().iter().for_each(|attempt| attempt.tell(Interrupt::Shutdown));
    }

    /// Claims what it can of `ids` and says that it runs: each attempt is to be given to [`Worker::run`].
    ///
    /// A reply that is lost is asked for again. What is claimed and never learned of is given back by
    /// [`Worker::compare_with_store`].
    pub async fn claim(self: &Arc<Self>, engine: &Engine, ids: Vec<InvocationId>) -> Vec<Arc<Attempt>> {
        let ids = self.not_held(ids);
        if ids.is_empty() {
            return Vec::new();
        }
        let claiming = Claiming { worker: self, ids, hint: None };
        let claim = self.claim_of(engine, claiming.ids.clone());
        let claimed = self.ask(engine, &claim).await;
        self.begun(engine, claim.runner, claimed).await
    }

    /// Claims what was found: each attempt is to be given to [`Worker::run`].
    ///
    /// # Errors
    ///
    /// The store didn't answer. What it has granted nevertheless is given back by the services, as soon as it does.
    ///
    /// # Cancel safety
    ///
    /// The claims of a dropped call are given back by [`Worker::compare_with_store`].
    pub async fn claim_found(
        self: &Arc<Self>,
        engine: &Engine,
        found: Found,
        pop: &Pop,
    ) -> pynenc_core::Result<Vec<Arc<Attempt>>> {
        match found {
            Found::Hints(ids) => Ok(self.claim(engine, ids).await),
            Found::Waiting => self.take(engine, pop).await,
        }
    }

    fn claim_of(&self, engine: &Engine, ids: Vec<InvocationId>) -> Claim {
        let left_out = self.unknown_tasks.left_out(engine.parts().clock.now());
        // Where threads are scarce, what is claimed may have to wait for one, and doesn't run yet.
        let runs_below = if engine.body_threads().are_scarce() { 0 } else { self.losses_in_company() };
        Claim::new(ids, self.id()).running_below(runs_below).without(left_out)
    }

    async fn take(self: &Arc<Self>, engine: &Engine, pop: &Pop) -> pynenc_core::Result<Vec<Arc<Attempt>>> {
        let _taking = self.taking.lock().await;
        let claim = self.claim_of(engine, Vec::new());
        match engine.lane().take(pop, &claim).await {
            Ok(taken) => Ok(self.begun(engine, claim.runner, taken).await),
            Err(error) if error.kind() == ErrorKind::Retired => {
                self.renew(claim.runner);
                Ok(Vec::new())
            }
            Err(error) => {
                self.give_back_soon();
                Err(error)
            }
        }
    }

    /// Has the services look for a claim whose answer was lost.
    fn give_back_soon(&self) {
        self.has_lost_claim.store(true, Ordering::Release);
        self.lost_claim.notify_one();
    }

    /// The attempts of what was granted. Other runners are offered what was left out.
    async fn begun(self: &Arc<Self>, engine: &Engine, runner: RunnerId, claimed: Vec<Claimed>) -> Vec<Arc<Attempt>> {
        let left_out = claimed.iter().filter_map(|claimed| match &claimed.reply {
            ClaimReply::LeftOut(tracked) => Some(self.unknown_tasks.hint(tracked, engine.parts().clock.now())),
            _ => None,
        });
        let left_out: Vec<_> = left_out.collect();
        let attempts = self.begin(engine, runner, claimed);
        engine.hint(&left_out).await;
        attempts
    }

    fn begin(self: &Arc<Self>, engine: &Engine, runner: RunnerId, claimed: Vec<Claimed>) -> Vec<Arc<Attempt>> {
        let attempts: Vec<_> =
            claimed.into_iter().filter_map(|claimed| self.granted(engine, runner, claimed)).collect();
        // Held before they run, so that a cancel that comes meanwhile finds them.
        let held = attempts.iter().map(|attempt| (attempt.id(), Held::by(Holder::Attempt(attempt.clone()))));
        let before: Vec<_> = {
            let mut all = self.lock();
            held.filter_map(|(id, attempt)| all.insert(id, attempt)).collect()
        };
        // Another claim of the same invocation has ended the one that this worker had.
        before.iter().filter_map(Held::attempt).for_each(|attempt| attempt.tell(Interrupt::Lost));
        attempts.iter().for_each(|attempt| began(engine, attempt));
        attempts
    }

    /// Forgets an attempt, unless another one of the same invocation is in its place.
    fn let_go(&self, attempt: &Attempt) {
        let mut all = self.lock();
        let is_own = |held: &Held| held.attempt().is_some_and(|other| other.epoch() == attempt.epoch());
        let held = if all.get(&attempt.id()).is_some_and(is_own) { all.remove(&attempt.id()) } else { None };
        drop(all);
        if held.is_some_and(|held| held.is_hinted)
            && let Some(hint) = attempt.hint()
        {
            self.put_back(hint);
        }
    }

    /// Has the services push a hint that was taken for what this worker had then.
    fn put_back(&self, hint: Message) {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
        self.missed_hint.notify_one();
    }

    /// A repeated hint for what this worker has already isn't worth a claim yet; its reply couldn't be told from the first.
    /// The others keep the order of their queue, in which they get slots of concurrency or are parked for them.
    fn not_held(&self, mut ids: Vec<InvocationId>) -> Vec<InvocationId> {
        let mut held = self.lock();
        ids.retain(|id| match held.entry(*id) {
            HeldEntry::Vacant(place) => {
                place.insert(Held::by(Holder::Claim));
                true
            }
            HeldEntry::Occupied(mut place) => {
                place.get_mut().is_hinted = true;
                false
            }
        });
        ids
    }

    async fn ask(&self, engine: &Engine, claim: &Claim) -> Vec<Claimed> {
        for attempt in 0..CLAIM_TRIES {
            match engine.lane().claim(claim).await {
                Ok(claimed) => return claimed,
                Err(error) if error.kind() == ErrorKind::Retired => {
                    self.renew(claim.runner);
                    return Vec::new();
                }
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, attempt, "a claim is asked for again");
                    engine.parts().clock.sleep(pause_before(attempt)).await;
                }
                Err(error) => {
                    tracing::error!(%error, "a claim failed");
                    return Vec::new();
                }
            }
        }
        Vec::new()
    }

    fn granted(self: &Arc<Self>, engine: &Engine, runner: RunnerId, claimed: Claimed) -> Option<Arc<Attempt>> {
        let ClaimReply::Granted(tracked) = claimed.reply else { return None };
        let task = engine.tasks().find(tracked.task.as_str());
        let is_blocking = task.is_some_and(|task| matches!(task.definition.body, Body::Blocking(_)));
        let entry = if self.runs_alone(&tracked.record) { Entry::Alone } else { Entry::Start };
        let place = self.slots.reserve(entry);
        Some(Arc::new(Attempt::new(self.clone(), runner, tracked, claimed.record, is_blocking, place)))
    }

    /// What was lost fewer times than this while it ran runs beside others: one loss wouldn't make it a poison pill.
    fn losses_in_company(&self) -> u32 {
        self.settings.poison_losses.saturating_sub(1).max(1)
    }

    /// Whether it takes down nobody but itself, because the next loss would make it a poison pill.
    fn runs_alone(&self, record: &StatusRecord) -> bool {
        record.losses >= self.losses_in_company()
    }

    /// Goes on under a new identity, if `retired` is still the present one; its bodies belong to others now.
    fn renew(&self, retired: RunnerId) {
        {
            let mut identity = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
            if *identity != retired {
                return;
            }
            *identity = RunnerId::new();
            tracing::warn!(%retired, new = %*identity, "this runner was retired and goes on under a new identity");
        }
        self.renewed.notify_waiters();
        let lost = self.attempts().into_iter().filter(|attempt| attempt.runner == retired);
        lost.for_each(|attempt| attempt.tell(Interrupt::Lost));
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<InvocationId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_paused(&self) -> Result<()> {
        let paused = self.paused.load(Ordering::Acquire);
        if paused < self.settings.max_paused { Ok(()) } else { Err(Error::TooManyPaused(paused)) }
    }

    fn count_paused(&self, is_new: bool) {
        if is_new {
            self.paused.fetch_add(1, Ordering::AcqRel);
        } else {
            self.paused.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Marks ids as being claimed, until the claim is over. A hint for what isn't granted is put back if one was taken.
struct Claiming<'a> {
    worker: &'a Worker,
    ids: Vec<InvocationId>,
    hint: Option<Message>,
}

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        let mut all = self.worker.lock();
        let mut is_hinted = false;
        for id in &self.ids {
            if all.get(id).is_some_and(|held| held.attempt().is_none()) {
                is_hinted |= all.remove(id).is_some_and(|held| held.is_hinted);
            }
        }
        drop(all);
        if let Some(hint) = self.hint.take().filter(|_| is_hinted) {
            self.worker.put_back(hint);
        }
    }
}

/// Tells of an attempt that runs, and its body of a cancel that was asked for in the meantime.
fn began(engine: &Engine, attempt: &Attempt) {
    let record = &attempt.tracked.record;
    if record.cancel_requested {
        attempt.tell(Interrupt::Cancel);
    }
    if record.status == Status::Running {
        engine.changed(&Changed { id: attempt.id(), task: &attempt.tracked.task, record });
    }
}

/// The wait before a store is asked again: 50 ms, doubled each time, at most 2 s.
pub(crate) fn pause_before(attempt: u32) -> Duration {
    Duration::from_millis(50 << attempt.min(6)).min(Duration::from_secs(2))
}
