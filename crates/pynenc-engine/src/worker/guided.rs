//! What an extension has to do with a run: it may end the body, judge its return, and keep things with it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pynenc_core::Clock;
use pynenc_core::record::WorkflowIdentity;
use pynenc_core::status::Due;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::error::Mismatch;

/// Why an extension ends a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// It is put aside, uncharged: scheduled until then, or until it is woken.
    PutAside(Option<Due>),
    /// Its code doesn't match what is recorded: it has failed, whatever its retries.
    Mismatch(Mismatch),
    /// Another runner owns it.
    Lost,
}

type Judge = Box<dyn Fn() -> Option<Halt> + Send>;

/// What extensions have said of a run, and keep with it.
#[derive(Default)]
pub(crate) struct Guided {
    halt: Mutex<Option<Halt>>,
    judge: Mutex<Option<Judge>>,
    shared: Mutex<FxHashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    founded: OnceLock<WorkflowIdentity>,
    rests: watch::Sender<bool>,
}

impl fmt::Debug for Guided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guided").field("halt", &self.halt).field("founded", &self.founded).finish_non_exhaustive()
    }
}

impl Guided {
    pub(super) fn halt(&self, halt: Halt) {
        lock(&self.halt).get_or_insert(halt);
    }

    pub(super) fn halted(&self) -> Option<Halt> {
        lock(&self.halt).clone()
    }

    pub(crate) fn judge_return(&self, judge: Judge) {
        *lock(&self.judge) = Some(judge);
    }

    /// What becomes of a body that has returned a value, if not that.
    pub(super) fn judged(&self) -> Option<Halt> {
        lock(&self.judge).as_ref().and_then(|judge| judge())
    }

    pub(crate) fn share<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = lock(&self.shared);
        let value = shared.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(make())).clone();
        value.downcast().expect("it is kept by its type")
    }

    /// Says whether the body only waits for what needs no body: that time doesn't count for its limit.
    pub(crate) fn rest(&self, rests: bool) {
        self.rests.send_if_modified(|before| std::mem::replace(before, rests) != rests);
    }

    /// Ends when the body has worked for so long, by this clock.
    pub(super) async fn worked(&self, clock: &dyn Clock, length: Duration) {
        let mut rests = self.rests.subscribe();
        let mut left = length;
        loop {
            // The sender is this value's own, so that it is there as long as anybody asks.
            let _ = rests.wait_for(|rests| !rests).await;
            let since = clock.now();
            tokio::select! {
                biased;
                _ = rests.wait_for(|rests| *rests) => left = left.saturating_sub(clock.now().since(since)),
                () = clock.sleep(left) => return,
            }
        }
    }

    /// Lets go of what is kept with the run: it may hold the run itself.
    pub(super) fn clear(&self) {
        let (shared, judge) = (std::mem::take(&mut *lock(&self.shared)), lock(&self.judge).take());
        drop((shared, judge));
    }

    pub(crate) fn found(&self, workflow: WorkflowIdentity) {
        self.founded.get_or_init(|| workflow);
    }

    pub(crate) fn founded(&self) -> Option<WorkflowIdentity> {
        self.founded.get().copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
