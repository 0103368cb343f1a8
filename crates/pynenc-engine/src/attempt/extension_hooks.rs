//! Hooks of extensions into one run of a task function: halt it, check what it returns, keep values with it.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use pynenc_core::Clock;
use pynenc_core::record::WorkflowIdentity;
use pynenc_core::status::Due;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::error::Mismatch;

/// Why an extension halts a task function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// The invocation is suspended, without charging an attempt: until this time, or until it is resumed.
    Suspend(Option<Due>),
    /// The code doesn't match the journal. The invocation fails, whatever retries it has left.
    Mismatch(Mismatch),
    /// Another runner owns the invocation.
    Lost,
}

type ReturnCheck = Box<dyn Fn() -> Option<Halt> + Send>;

/// The requests of extensions in one run, and the values that they keep with it.
#[derive(Default)]
pub(crate) struct ExtensionHooks {
    halt: Mutex<Option<Halt>>,
    return_check: Mutex<Option<ReturnCheck>>,
    shared: Mutex<FxHashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    started_workflow: OnceLock<WorkflowIdentity>,
    is_idle: AtomicBool,
    idle_changed: Notify,
}

impl fmt::Debug for ExtensionHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtensionHooks").field("halt", &self.halt).finish_non_exhaustive()
    }
}

impl ExtensionHooks {
    pub(super) fn halt(&self, halt: Halt) {
        lock(&self.halt).get_or_insert(halt);
    }

    pub(crate) fn halted(&self) -> Option<Halt> {
        lock(&self.halt).clone()
    }

    pub(crate) fn check_return(&self, check: ReturnCheck) {
        *lock(&self.return_check) = Some(check);
    }

    /// The halt that replaces a returned value, if the check gives one.
    pub(crate) fn checked_return(&self) -> Option<Halt> {
        lock(&self.return_check).as_ref().and_then(|check| check())
    }

    pub(crate) fn share<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut shared = lock(&self.shared);
        let value = shared.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(make())).clone();
        value.downcast().expect("values are kept by their type")
    }

    /// Sets whether the task function is idle. Idle time doesn't count towards the time limit.
    pub(crate) fn set_idle(&self, is_idle: bool) {
        if self.is_idle.swap(is_idle, Ordering::AcqRel) != is_idle {
            self.idle_changed.notify_waiters();
        }
    }

    /// Waits until the task function has been busy for `length`, by this clock.
    pub(crate) async fn busy_for(&self, clock: &dyn Clock, length: Duration) {
        let mut left = length;
        loop {
            self.until_idle_is(false).await;
            let since = clock.now();
            tokio::select! {
                biased;
                () = self.until_idle_is(true) => left = left.saturating_sub(clock.now().since(since)),
                () = clock.sleep(left) => return,
            }
        }
    }

    async fn until_idle_is(&self, wanted: bool) {
        loop {
            let changed = self.idle_changed.notified();
            if self.is_idle.load(Ordering::Acquire) == wanted {
                return;
            }
            changed.await;
        }
    }

    /// Drops the values that are kept with the run, since they may hold the run itself.
    pub(crate) fn clear(&self) {
        let (shared, check) = (std::mem::take(&mut *lock(&self.shared)), lock(&self.return_check).take());
        drop((shared, check));
    }

    pub(crate) fn start_workflow(&self, workflow: WorkflowIdentity) {
        self.started_workflow.get_or_init(|| workflow);
    }

    pub(crate) fn started_workflow(&self) -> Option<WorkflowIdentity> {
        self.started_workflow.get().copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
